import type { Problem } from "./problem.ts";

/** What is known back about a task, for a provider that can show it where the task lives. */
export interface TaskStatus {
  readonly services: Readonly<
    Record<string, { readonly urls: readonly string[]; readonly health: string; readonly lastUsed?: number }>
  >;
  readonly problems: readonly Problem[];
}

/** What a provider is told of its own. */
export interface Told {
  /** By task id; null: there is no such task any more. */
  readonly tasks: ReadonlyMap<string, TaskStatus | null>;
  /** All that belong to no task that there is: of objects that make none, of tasks that were refused. */
  readonly problems: readonly Problem[];
}
