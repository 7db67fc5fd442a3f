import type { Problem, TaskStatus } from "../model/index.ts";
import type { Provider } from "../providers/provider.ts";
import type { TaskView } from "../api/wire.ts";

export interface TellDeps {
  readonly providers: readonly Provider[];
  /** Every task that there is now. */
  readonly list: () => readonly TaskView[];
  /** By service key, epoch ms. */
  readonly lastUsed: () => ReadonlyMap<string, number>;
}

/** The way back: tells each provider that wants to know what became of its tasks. Call it on the leader only. */
export function tellProviders({ providers, list, lastUsed }: TellDeps): void {
  const listening = providers.filter((provider) => provider.tell !== undefined);
  if (listening.length === 0) return;
  const used = lastUsed();
  for (const provider of listening) {
    const mine = list().filter((view) => view.provider === provider.name);
    const prefix = `${provider.name}/`;
    provider.tell?.(new Map(mine.map((view) => [view.id.slice(prefix.length), statusOf(view, used)])));
  }
}

function statusOf(view: TaskView, used: ReadonlyMap<string, number>): TaskStatus {
  const services = view.services.map((service) => {
    const lastUsed = used.get(`${view.id}/${service.name}`);
    const urls = service.url === null ? [] : [service.url];
    return [service.name, { urls, health: service.health, ...(lastUsed === undefined ? {} : { lastUsed }) }] as const;
  });
  return { services: Object.fromEntries(services), problems: view.problems satisfies readonly Problem[] };
}
