import { taskKey, type Problem, type SourceState } from "../model/index.ts";
import { LIMITS } from "./limits.ts";
import { readChoice, readFields, readInteger, readList, readProse, readWord, whyUnusable, type Fields } from "./read-value.ts"; // prettier-ignore
import { readTaskId } from "./read-task.ts";

const PENDING: SourceState = Object.freeze({ state: "pending" });
const READY: SourceState = Object.freeze({ state: "ready" });

const CODE = { is: /^[a-z][a-z0-9_]{0,63}$/, example: "a code such as name_taken" };

/** The last moment that a Date can be. */
const MOST_TIME = 8_640_000_000_000_000;

/** In the place of a task: it is gone. */
export const GONE = Symbol("gone");

type NotedTasks = Map<string, unknown>;

/** What a source said since the last `take`. */
export interface Noted {
  /** Task ids, with what the source calls a task, or GONE. */
  readonly tasks: ReadonlyMap<string, unknown>;
  /** Tasks that are not in `tasks` are gone. */
  readonly whole: boolean;
  /** All that there now is to say about the source. */
  readonly problems: readonly Problem[];
}

/**
 * One source: what it said last, and whether it can be believed. `pending` until its first whole update, then `ready`; `stale` while it
 * fails, and its last good tasks stay.
 */
export class Source {
  readonly name: string;
  #state: SourceState = PENDING;
  #heard = false;
  #tasks: NotedTasks = new Map();
  #whole = false;
  #said: readonly Problem[] = [];
  /** Of problems that cannot change, as a source gave them. */
  readonly #problemsRead = new WeakMap<object, Problem>();
  /** What `#said` was read from, without a finding. */
  #readFrom: unknown = null;
  #findings: readonly Problem[] = [];
  #changed = false;

  constructor(name: string) {
    this.name = name;
  }

  get state(): SourceState {
    return this.#state;
  }

  /** It said once what all its tasks are: what is not among them is gone, and not merely unknown. */
  get heard(): boolean {
    return this.#heard;
  }

  /** Takes note of an update, which may be anything. Never throws. */
  note(update: unknown): void {
    const findings: Problem[] = [];
    try {
      this.#read(readFields(update, "The update"), findings);
    } catch (error) {
      findings.push(this.#problem("update_invalid", whyUnusable(error)));
    }
    this.#findings = findings;
    this.#changed = true;
  }

  /** What was said since the last call; null: nothing. */
  take(): Noted | null {
    if (!this.#changed) return null;
    const problems = this.#findings.length === 0 ? this.#said : [...this.#said, ...this.#findings];
    const noted = { tasks: this.#tasks, whole: this.#whole, problems };
    this.#tasks = new Map();
    this.#whole = false;
    this.#changed = false;
    if (this.#state.state !== "stale") return noted;
    const { since, message: why } = this.#state;
    const message = `It has failed since ${new Date(since).toISOString()} (${why}). What was last known of its tasks is kept.`;
    const stale = Object.freeze({ ...this.#problem("source_stale", message), since });
    return { ...noted, problems: [...noted.problems, stale] };
  }

  #read(update: Fields, findings: Problem[]): void {
    const kind = readChoice(update.kind, "kind", ["whole", "change", "stale"]);
    if (kind === "stale") {
      this.#readStale(update);
      return;
    }
    // Everything is read before anything is noted: a whole update that breaks off in its middle must not look like a smaller whole.
    const removed = kind === "whole" ? [] : readList(update.removed, "removed", LIMITS.tasksPerSource);
    const gone = removed.filter((id) => typeof id === "string");
    const tasks = readList(kind === "whole" ? update.tasks : update.set, "tasks", LIMITS.tasksPerSource);
    const set = this.#readTasks(tasks, findings);
    this.#noteTasks(kind === "whole", gone, set);
    // The same list, which cannot have changed, is most often told again: read anew, each change would cost what all problems do.
    if (update.problems === this.#readFrom && Object.isFrozen(update.problems)) return;
    this.#said = this.#readProblems(update.problems, findings);
    this.#readFrom = findings.length === 0 ? update.problems : null;
  }

  #noteTasks(whole: boolean, gone: readonly string[], set: NotedTasks): void {
    if (whole) {
      this.#tasks = set;
      this.#whole = true;
      this.#heard = true;
    } else {
      for (const id of gone) this.#tasks.set(id, GONE);
      for (const [id, task] of set) this.#tasks.set(id, task);
    }
    if (this.#heard) this.#state = READY;
  }

  #readTasks(tasks: readonly unknown[], findings: Problem[]): NotedTasks {
    const noted: NotedTasks = new Map();
    const repeated = new Set<string>();
    for (const raw of tasks) {
      const id = readTaskId(raw);
      if (id === null)
        findings.push(this.#problem("task_invalid", "A task has no usable id; expected one word without slashes, such as nb-1.")); // prettier-ignore
      else if (noted.has(id)) repeated.add(id);
      else noted.set(id, raw);
    }
    for (const id of repeated) {
      const message = "Two tasks have this id; expected every id once. The first is used.";
      findings.push(Object.freeze({ subject: taskKey(this.name, id), code: "task_invalid", message }));
    }
    findings.splice(LIMITS.problemsPerSource);
    return noted;
  }

  #readStale(update: Fields): void {
    const since = readInteger(update.since, "since", 0, MOST_TIME);
    const error = update.error;
    const message = readProse(error instanceof Error ? error.message : error, "error", 512);
    const { state } = this.#state;
    if (state === "stale" && this.#state.since === since && this.#state.message === message) return;
    this.#state = Object.freeze({ state: "stale", since, message });
  }

  #readProblems(value: unknown, findings: Problem[]): readonly Problem[] {
    const problems: Problem[] = [];
    const all = readList(value, "problems", Number.MAX_SAFE_INTEGER);
    const more = all.length - LIMITS.problemsPerSource;
    if (more > 0)
      findings.push(this.#problem("update_invalid", `There are ${String(more)} more problems than are told.`));
    for (const one of all.slice(0, LIMITS.problemsPerSource)) {
      try {
        problems.push(this.#readProblem(one));
      } catch (error) {
        findings.push(this.#problem("update_invalid", whyUnusable(error)));
      }
    }
    return problems;
  }

  #readProblem(raw: unknown): Problem {
    const isLasting = typeof raw === "object" && raw !== null && Object.isFrozen(raw);
    const known = isLasting ? this.#problemsRead.get(raw) : undefined;
    if (known !== undefined) return known;
    const read = readProblem(readFields(raw, "problem"));
    if (isLasting) this.#problemsRead.set(raw, read);
    return read;
  }

  #problem(code: string, message: string): Problem {
    return Object.freeze({ subject: this.name, code, message });
  }
}

function readProblem(fields: Fields): Problem {
  return Object.freeze({
    subject: readProse(fields.subject, "problem.subject", 512),
    code: readWord(fields.code, "problem.code", CODE),
    message: readProse(fields.message, "problem.message", 2048),
  });
}
