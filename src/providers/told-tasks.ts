import type { Task } from "../model/index.ts";

/** What a change tells of tasks. */
export interface TaskChanges {
  readonly set: Task[];
  readonly removed: string[];
}

/** Tasks as they were told of last: what is the same is not told again. */
export class ToldTasks {
  readonly #told = new Map<string, string>();

  ids(): Iterable<string> {
    return this.#told.keys();
  }

  has(id: string): boolean {
    return this.#told.has(id);
  }

  /** Adds to `changes` how the task differs from what was told of it; null: there is none (any more). */
  tell(id: string, task: Task | null, { set, removed }: TaskChanges): void {
    const text = task === null ? undefined : JSON.stringify(task);
    if (text === this.#told.get(id)) return;
    if (task === null || text === undefined) {
      this.#told.delete(id);
      removed.push(id);
    } else {
      this.#told.set(id, text);
      set.push(task);
    }
  }
}
