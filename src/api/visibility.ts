import { isAbove, mayUse } from "../auth/access.ts";
import { type Identity, inScope, type Principal, taskInScope } from "../model/index.ts";
import type { Clock } from "../platform/clock.ts";
import type { TaskDirectory } from "./task-directory.ts";
import type { LiveEvent, ProblemView, TaskView } from "./wire.ts";

/** What of the directory one principal may see: their own tasks, and of those of others what they may use. */
export interface Visibility {
  sees(taskKey: string): boolean;
  /** Whether they may see all of it, its logs too. */
  reads(taskKey: string): boolean;
  /** Whether they may act on it. */
  manages(taskKey: string): boolean;
  /** What of a task they may see; null: nothing. */
  show(view: TaskView): TaskView | null;
  /** Of sources and of no task: administrators and the gate's owner alone. */
  problems(problems: readonly ProblemView[]): readonly ProblemView[];
  /** Takes out of an event what is not to be seen. Call it on every event, in order: it remembers what was shown. */
  filter(event: LiveEvent): LiveEvent;
}

export interface VisibilityDeps {
  /** Sees what is wrong with the gate, too. */
  readonly owner: Identity;
  readonly directory: Pick<TaskDirectory, "accessOf" | "ownerOf">;
  readonly clock: Pick<Clock, "now">;
}

/** Administrators see everything, as it is. */
export function createVisibility(principal: Principal, deps: VisibilityDeps): Visibility {
  const { directory } = deps;
  const readsAll =
    principal.scope === undefined ||
    (principal.scope.services === undefined && taskInScope(principal.scope, "read", ""));
  const { scope, ...unscoped } = principal;
  const owns = (taskKey: string) => isAbove(directory.ownerOf(taskKey), principal);
  const reads = (taskKey: string) => owns(taskKey) && taskInScope(scope, "read", taskKey);
  const manages = (taskKey: string) => owns(taskKey) && taskInScope(scope, "manage", taskKey);
  const usable = (taskKey: string): ReadonlySet<string> => {
    const now = deps.clock.now();
    const services = directory.accessOf(taskKey)?.services ?? [];
    // A token that may look at a service sees of it what its owner may use.
    const whom = (service: string) => (inScope(scope, "read", service) ? unscoped : principal);
    return new Set(
      services.flatMap(({ name, route }) => (mayUse(route, whom(route.service), now) === "allowed" ? [name] : [])),
    );
  };
  const show = (view: TaskView): TaskView | null => {
    if (manages(view.id)) return view;
    if (reads(view.id)) return { ...view, controllable: false, removable: false, manageable: false };
    const names = usable(view.id);
    return names.size === 0 ? null : asUser(view, names);
  };
  const shownOf = (views: readonly TaskView[]): TaskView[] => views.flatMap((view) => show(view) ?? []);
  const problems = (list: readonly ProblemView[]) => (isAbove(deps.owner, principal) && readsAll ? list : []);
  const shown = new Set<string>();
  return {
    sees: (taskKey) => reads(taskKey) || usable(taskKey).size > 0,
    reads,
    manages,
    show,
    problems,
    filter(event) {
      if (principal.admin && scope === undefined) return event;
      if (event.kind === "tasks") {
        const tasks = shownOf(event.tasks);
        shown.clear();
        for (const view of tasks) shown.add(view.id);
        return { kind: "tasks", tasks, problems: problems(event.problems) };
      }
      const set = shownOf(event.set);
      const present = new Set(set.map((view) => view.id));
      // A task that changed hands, or is shared no more, goes away for who had it.
      const gone = [...event.removed, ...event.set.map((view) => view.id).filter((key) => !present.has(key))];
      const removed = gone.filter((key) => shown.delete(key));
      for (const key of present) shown.add(key);
      return { kind: "change", set, removed, problems: problems(event.problems) };
    },
  };
}

/** What somebody is told of a task of another's: how to use what they may use of it. */
function asUser(view: TaskView, usable: ReadonlySet<string>): TaskView {
  const services = view.services.filter((service) => usable.has(service.name));
  return {
    ...view,
    ...{ reason: null, problems: [], controllable: false, removable: false, manageable: false },
    services: services.map((service) => ({ ...service, sharedWith: [] })),
  };
}
