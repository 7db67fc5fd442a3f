import { isDeepStrictEqual } from "node:util";
import type { LiveEvent, TaskView } from "../api/wire.ts";
import type { Problem, TaskStatus } from "../model/index.ts";
import type { Provider } from "../providers/provider.ts";

export interface TellDeps {
  readonly providers: readonly Provider[];
  /** All tasks first, then what changed. */
  readonly subscribe: (listener: (event: LiveEvent) => void) => Disposable;
  /** By service key, epoch ms. */
  readonly lastUsed: () => ReadonlyMap<string, number>;
}

/**
 * The way back: tells each provider that wants to know what became of its tasks and objects. The leader alone calls this, with what aborts
 * when it no longer leads; disposing ends it.
 */
export function tellProviders({ providers, subscribe, lastUsed }: TellDeps, leading: AbortSignal): Disposable {
  const told = new Map<string, readonly Problem[]>();
  return subscribe((event) => {
    const isAll = event.kind === "tasks";
    const views = isAll ? event.tasks : event.set;
    const removed = isAll ? [] : event.removed;
    for (const provider of providers) {
      if (provider.tell === undefined) continue;
      const prefix = `${provider.name}/`;
      const mine = views.filter((view) => view.provider === provider.name);
      const gone = removed.filter((key) => key.startsWith(prefix));
      const problems = event.problems.filter(({ subject }) => subject.startsWith(prefix));
      const isOtherProblem = !isDeepStrictEqual(problems, told.get(provider.name) ?? []);
      if (!isAll && mine.length + gone.length === 0 && !isOtherProblem) continue;
      told.set(provider.name, problems);
      const tasks = new Map<string, TaskStatus | null>(gone.map((key) => [key.slice(prefix.length), null]));
      for (const view of mine) tasks.set(view.id.slice(prefix.length), statusOf(view, lastUsed()));
      provider.tell({ tasks, problems }, leading);
    }
  });
}

function statusOf(view: TaskView, used: ReadonlyMap<string, number>): TaskStatus {
  const services = view.services.map((service) => {
    const lastUsed = used.get(`${view.id}/${service.name}`);
    const urls = service.url === null ? [] : [service.url];
    return [service.name, { urls, health: service.health, ...(lastUsed === undefined ? {} : { lastUsed }) }] as const;
  });
  return { services: Object.fromEntries(services), problems: view.problems };
}
