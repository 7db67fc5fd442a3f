import type { LiveEvent, TaskView } from "../api/wire.ts";
import type { TaskStatus } from "../model/index.ts";
import type { Provider } from "../providers/provider.ts";

export interface TellDeps {
  readonly providers: readonly Provider[];
  /** All tasks first, then what changed. */
  readonly subscribe: (listener: (event: LiveEvent) => void) => Disposable;
  /** By service key, epoch ms. */
  readonly lastUsed: () => ReadonlyMap<string, number>;
}

/** The way back: tells each provider that wants to know what became of its tasks. The leader alone calls this; disposing ends it. */
export function tellProviders({ providers, subscribe, lastUsed }: TellDeps): Disposable {
  return subscribe((event) => {
    const views = event.kind === "tasks" ? event.tasks : event.set;
    for (const provider of providers) {
      const mine = views.filter((view) => view.provider === provider.name);
      if (mine.length > 0) provider.tell?.(new Map(mine.map((view) => [taskId(view), statusOf(view, lastUsed())])));
    }
  });
}

function taskId(view: TaskView): string {
  return view.id.slice(view.provider.length + 1);
}

function statusOf(view: TaskView, used: ReadonlyMap<string, number>): TaskStatus {
  const services = view.services.map((service) => {
    const lastUsed = used.get(`${view.id}/${service.name}`);
    const urls = service.url === null ? [] : [service.url];
    return [service.name, { urls, health: service.health, ...(lastUsed === undefined ? {} : { lastUsed }) }] as const;
  });
  return { services: Object.fromEntries(services), problems: view.problems };
}
