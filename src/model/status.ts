import type { Problem } from "./problem.ts";

/** What is known back about a task, for a provider that can show it where the task lives. */
export interface TaskStatus {
  readonly services: Readonly<
    Record<string, { readonly urls: readonly string[]; readonly health: string; readonly lastUsed?: number }>
  >;
  readonly problems: readonly Problem[];
}
