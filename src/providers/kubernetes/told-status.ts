import type { Problem, Told } from "../../model/index.ts";
import { buildAddresses, type Addresses } from "./status-annotations.ts";

/** What the gate has told of one task. */
export interface ToldTask {
  readonly addresses: Addresses;
  readonly problems: readonly Problem[];
}

export interface ToldChange {
  /** Another election: what was told before is forgotten. */
  readonly isAnew: boolean;
  /** Ids of tasks. */
  readonly tasks: readonly string[];
  /** Of problems that are of no task. */
  readonly subjects: readonly string[];
}

/** What the gate has told since it leads. */
export class ToldStatus {
  readonly #tasks = new Map<string, ToldTask>();
  #problems: ReadonlyMap<string, readonly Problem[]> = new Map();
  #leading: AbortSignal | null = null;
  #listener: ((change: ToldChange) => void) | null = null;

  /** null: this gate does not lead. */
  get leading(): AbortSignal | null {
    return this.#leading?.aborted === false ? this.#leading : null;
  }

  task(id: string): ToldTask | undefined {
    return this.#tasks.get(id);
  }

  /** Those of no task that there is. */
  problemsOf(subject: string): readonly Problem[] {
    return this.#problems.get(subject) ?? [];
  }

  /** The subjects of all that `problemsOf` has. */
  subjects(): Iterable<string> {
    return this.#problems.keys();
  }

  /** Calls whenever something was told, from now on; there is one who listens. */
  listen(listener: (change: ToldChange) => void): Disposable {
    this.#listener = listener;
    return { [Symbol.dispose]: () => (this.#listener = null) };
  }

  take({ tasks, problems }: Told, leading: AbortSignal): void {
    const isAnew = leading !== this.#leading;
    if (isAnew) this.#tasks.clear();
    this.#leading = leading;
    for (const [id, status] of tasks) {
      if (status === null) this.#tasks.delete(id);
      else this.#tasks.set(id, { addresses: buildAddresses(status), problems: status.problems });
    }
    const before = this.#problems;
    this.#problems = Map.groupBy(problems, ({ subject }) => subject);
    const subjects = new Set([...before.keys(), ...this.#problems.keys()]);
    const changed = [...subjects].filter(
      (subject) => JSON.stringify(before.get(subject)) !== JSON.stringify(this.#problems.get(subject)),
    );
    this.#listener?.({ isAnew, tasks: [...tasks.keys()], subjects: changed });
  }
}
