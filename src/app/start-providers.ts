import { join } from "node:path";
import type { Home } from "../config/home.ts";
import type { KubernetesProviderConfig } from "../config/provider-config.ts";
import type { Config } from "../config/schema.ts";
import type { Reconcile } from "../core/reconcile.ts";
import type { TableState } from "../core/table-state.ts";
import { type Identity, providerOf, type SourceUpdate } from "../model/index.ts";
import type { Clock } from "../platform/clock.ts";
import { findCluster } from "../platform/kubernetes/find-cluster.ts";
import type { Logger } from "../platform/logger.ts";
import { createFileProvider } from "../providers/file/file-provider.ts";
import { createKubernetesProvider } from "../providers/kubernetes/kubernetes-provider.ts";
import { createDiscover } from "../providers/local/discover/discover.ts";
import { createLocalProvider, type LocalProvider } from "../providers/local/local-provider.ts";
import type { Provider, TaskControl } from "../providers/provider.ts";
import { PodDialler } from "../reach/port-forward/pod-dialler.ts";
import { portForward } from "../reach/port-forward/port-forward.ts";
import { direct, type Reach } from "../reach/reach.ts";
import type { Leadership } from "../store/leadership.ts";
import type { Store } from "../store/store.ts";

export interface ProvidersDeps {
  readonly config: Config;
  readonly home: Home;
  readonly store: Store;
  /** Of this machine's own tasks. */
  readonly machineStore: Store;
  readonly leadership: Leadership;
  readonly owner: Identity;
  /** The gate's own ports: never a target. */
  readonly ownPorts: ReadonlySet<number>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Name of the provider of this machine. */
export const LOCAL_PROVIDER = "local";

/** Every provider that the configuration names. Nothing is started. */
export interface Providers {
  readonly all: readonly Provider[];
  readonly local: LocalProvider | null;
  /** null: no provider runs that task itself. */
  control(taskKey: string): TaskControl | null;
}

/** `builtIn` comes first: the gate's own tasks. */
export function createProviders(deps: ProvidersDeps, builtIn: Provider): Providers {
  const { config, owner, clock } = deps;
  const ownPorts = (): ReadonlySet<number> => deps.ownPorts;
  const discover = createDiscover({ logger: deps.logger });
  const local = config.local.enabled
    ? createLocalProvider({ ...deps, store: deps.machineStore, ownPorts, config: config.local, discover })
    : null;
  const files = config.files.map((file) =>
    createFileProvider({ ...file, owner, ownPorts, clock, logger: deps.logger.child({ provider: file.name }) }),
  );
  const clusters = config.providers.map((cluster) => {
    const logger = deps.logger.child({ provider: cluster.name });
    const provider = createKubernetesProvider({
      ...{ config: cluster, owner, ownPorts, clock, logger },
      environment: process.env,
    });
    return reachOf(cluster, { ...deps, logger })(provider, deps);
  });
  const others = [builtIn, ...(local === null ? [] : [local]), ...files].map((provider) => direct(provider, deps));
  const all = [...others, ...clusters];
  const byName = new Map(all.map((provider) => [provider.name, provider]));
  return {
    all,
    local,
    control: (taskKey) => byName.get(providerOf(taskKey))?.control ?? null,
  };
}

function reachOf(cluster: KubernetesProviderConfig, { home, clock, logger }: ProvidersDeps): Reach {
  if (cluster.reach === "direct") return direct;
  return portForward({
    dialler: () => new PodDialler(() => findCluster(cluster, process.env, clock), clock),
    folder: join(home.forwards, cluster.name),
    logger,
  });
}

/** Starts them all; one that cannot start is a stale source, and hides no other. Disposing ends the watching; tasks go on. */
export async function startProviders(
  all: readonly Provider[],
  sinks: {
    readonly state: TableState;
    readonly reconcile: Reconcile;
    readonly clock: Clock;
    readonly logger: Logger;
  },
  signal: AbortSignal,
): Promise<AsyncDisposableStack> {
  const { state, reconcile, clock, logger } = sinks;
  const scope = new AsyncDisposableStack();
  for (const { name } of all) state.addSource(name);
  const starting = all.map(async (provider) => {
    let loggedSince: number | null = null;
    const publish = (update: SourceUpdate): void => {
      // Told again with each further failure.
      if (update.kind === "stale" && update.since !== loggedSince) {
        logger.warn({ provider: provider.name, err: update.error }, "source is stale");
        loggedSince = update.since;
      }
      state.update(provider.name, update);
      reconcile.touch();
    };
    try {
      scope.use(await provider.start(publish, signal));
    } catch (error) {
      publish({ kind: "stale", since: clock.now(), error: error instanceof Error ? error : new Error(String(error)) });
    }
  });
  await Promise.all(starting);
  return scope;
}
