import type { Problem } from "./problem.ts";
import type { Task } from "./task.ts";

/** What a provider publishes. The first is whole, the rest are changes. Empty is not unknown, and stale keeps the last good. */
export type SourceUpdate =
  | { readonly kind: "whole"; readonly tasks: readonly Task[]; readonly problems: readonly Problem[] }
  | {
      readonly kind: "change";
      readonly set: readonly Task[];
      /** Task ids. */
      readonly removed: readonly string[];
      /** All that the source now has to say, not only what is new. */
      readonly problems: readonly Problem[];
    }
  | { readonly kind: "stale"; readonly since: number; readonly error: Error };

/** pending: nothing heard yet; ready: up to date; stale: failing, its last good tasks are kept. */
export type SourceState =
  | { readonly state: "pending" }
  | { readonly state: "ready" }
  | { readonly state: "stale"; readonly since: number; readonly message: string };
