import type { Grants } from "../auth/grants.ts";
import type { Reconcile } from "../core/reconcile.ts";
import type { Built, TableState } from "../core/table-state.ts";

/** What keeps the table and what was given to its tasks together. Disposing it ends that. */
export interface SharedTasks extends Disposable {
  /** The loop that builds what it tells the table. */
  follow(reconcile: Pick<Reconcile, "touch">): void;
  /** To be called after every build: what was given goes with the task that it was given to. */
  published(built: Pick<Built, "tasks" | "sources">): void;
}

/** Tells the table at once what was given already. */
export function shareTasks(deps: {
  readonly grants: Pick<Grants, "tasks" | "openings" | "observe" | "prune">;
  readonly state: Pick<TableState, "tasks" | "share" | "mayList">;
}): SharedTasks {
  const { grants, state } = deps;
  let loop: Pick<Reconcile, "touch"> | null = null;
  /** Tasks that something was given to. */
  const shared = new Set(grants.tasks());
  const tell = (key: string): void => {
    const openings = grants.openings(key);
    state.share(key, openings);
    if (openings.length === 0) shared.delete(key);
    else shared.add(key);
  };
  for (const key of [...shared]) tell(key);
  const observing = grants.observe((key) => {
    tell(key);
    loop?.touch();
  });

  /** A task that is listed and cannot be used, or whose source was not heard yet, may be the one that it was given to. */
  const prune = (key: string): void => {
    const task = state.tasks.get(key)?.task;
    if (task !== undefined) void grants.prune(key, { instance: task.instance, owner: task.owner });
    else if (!state.mayList(key)) void grants.prune(key, null);
  };

  return {
    follow: (reconcile) => void (loop = reconcile),
    published({ tasks, sources }) {
      if (shared.size === 0) return;
      // Once a source was heard, what it does not list is gone for good: also what went while no gate ran.
      const keys = sources.length > 0 ? [...shared] : [...tasks.set, ...tasks.removed].filter((key) => shared.has(key));
      for (const key of keys) prune(key);
    },
    [Symbol.dispose]: () => observing[Symbol.dispose](),
  };
}
