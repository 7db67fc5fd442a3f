import { sameIdentity, type Identity, type Principal } from "../model/index.ts";
import type { TaskDirectory } from "./task-directory.ts";
import type { LiveEvent, ProblemView } from "./wire.ts";

/** Whether somebody may see a task here and act on it: its owner and administrators. */
export function mayManage(principal: Principal, owner: Identity | null): boolean {
  return principal.admin || (owner !== null && sameIdentity(principal, owner));
}

/** What of the directory one principal may see. */
export interface Visibility {
  sees(taskKey: string): boolean;
  /** Of sources and of no task: administrators and the gate's owner alone. */
  problems(problems: readonly ProblemView[]): readonly ProblemView[];
  /** Takes out of an event what is not to be seen. Call it on every event, in order: it remembers what was shown. */
  filter(event: LiveEvent): LiveEvent;
}

/** Administrators see everything, as it is. `gateOwner` sees what is wrong with the gate, too. */
export function createVisibility(principal: Principal, gateOwner: Identity, directory: TaskDirectory): Visibility {
  const all = principal.admin;
  const sees = (taskKey: string) => all || mayManage(principal, directory.ownerOf(taskKey));
  const problems = (list: readonly ProblemView[]) => (mayManage(principal, gateOwner) ? list : []);
  const shown = new Set<string>();
  return {
    sees,
    problems,
    filter(event) {
      if (all) return event;
      if (event.kind === "tasks") {
        const tasks = event.tasks.filter((view) => sees(view.id));
        shown.clear();
        for (const view of tasks) shown.add(view.id);
        return { kind: "tasks", tasks, problems: problems(event.problems) };
      }
      const set = event.set.filter((view) => sees(view.id));
      // A task that changed hands goes away for who had it.
      const gone = [...event.removed, ...event.set.filter((view) => !sees(view.id)).map((view) => view.id)];
      const removed = gone.filter((key) => shown.delete(key));
      for (const view of set) shown.add(view.id);
      return { kind: "change", set, removed, problems: problems(event.problems) };
    },
  };
}
