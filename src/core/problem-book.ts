import { problemKey, type Problem } from "../model/index.ts";
import { KeptEntries } from "./kept-entries.ts";

/** All problems that there are. Two who say the same share one entry, which stays until both take it back. */
export class ProblemBook {
  readonly kept = new KeptEntries<Problem>();
  readonly #others = new Map<string, number>();
  readonly #touch: (subject: string) => void;
  /** Of those that cannot change: with each change of one, a source tells all of its problems again. */
  readonly #keys = new WeakMap<Problem, string>();

  constructor(touch: (subject: string) => void) {
    this.#touch = touch;
  }

  add(problem: Problem): void {
    const key = problemKey(problem);
    if (this.kept.has(key)) this.#others.set(key, (this.#others.get(key) ?? 0) + 1);
    else this.kept.set(key, problem);
    this.#touch(problem.subject);
  }

  remove(problem: Problem): void {
    const key = problemKey(problem);
    const others = this.#others.get(key);
    if (others === undefined) this.kept.delete(key);
    else if (others === 1) this.#others.delete(key);
    else this.#others.set(key, others - 1);
    this.#touch(problem.subject);
  }

  /** Takes `before` back and adds `after`, leaving alone what is in both. */
  replace(before: readonly Problem[], after: readonly Problem[]): void {
    if (before === after || (before.length === 0 && after.length === 0)) return;
    const gone = new Map(before.map((problem) => [this.#keyOf(problem), problem]));
    const added = new Map(after.map((problem) => [this.#keyOf(problem), problem]));
    for (const [key, problem] of added) if (!gone.delete(key)) this.add(problem);
    for (const problem of gone.values()) this.remove(problem);
  }

  #keyOf(problem: Problem): string {
    const known = this.#keys.get(problem);
    if (known !== undefined) return known;
    const key = problemKey(problem);
    if (Object.isFrozen(problem)) this.#keys.set(problem, key);
    return key;
  }
}
