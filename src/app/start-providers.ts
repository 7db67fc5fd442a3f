import { join } from "node:path";
import type { Home } from "../config/home.ts";
import type { KubernetesProviderConfig } from "../config/provider-config.ts";
import type { Config } from "../config/schema.ts";
import type { Reconcile } from "../core/reconcile.ts";
import type { TableState } from "../core/table-state.ts";
import { type Identity, providerOf, type ReachReport, type SourceUpdate } from "../model/index.ts";
import type { Clock } from "../platform/clock.ts";
import { findCluster } from "../platform/kubernetes/find-cluster.ts";
import type { Logger } from "../platform/logger.ts";
import { createFileProvider } from "../providers/file/file-provider.ts";
import { withDeterminedTls } from "../providers/kubernetes/determined-tls.ts";
import { createKubernetesProvider } from "../providers/kubernetes/kubernetes-provider.ts";
import { createDiscover } from "../providers/local/discover/discover.ts";
import { createLocalProvider, type LocalProvider } from "../providers/local/local-provider.ts";
import type { Provider, TaskControl } from "../providers/provider.ts";
import { gatewayApi } from "../reach/gateway-api/gateway-api.ts";
import { PodDialler } from "../reach/port-forward/pod-dialler.ts";
import { portForward } from "../reach/port-forward/port-forward.ts";
import { direct, type Reach } from "../reach/reach.ts";
import type { Leadership } from "../store/leadership.ts";
import type { Store } from "../store/store.ts";
import { keepInstallationId } from "./installation-id.ts";
import { clearFormerReaches, recordReach } from "./reach-records.ts";

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
  /** Of those that have something to tell of how they are reached. */
  reaches(): readonly ReachReport[];
  /** null: no provider runs that task itself. */
  control(taskKey: string): TaskControl | null;
  /** Takes away what was made for providers of earlier configurations, until disposed. Throws `unavailable`. */
  clearFormer(): Promise<AsyncDisposable>;
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
    const source = createKubernetesProvider({
      ...{ config: cluster, owner, ownPorts, clock, logger },
      environment: process.env,
    });
    const { determinedTls: files } = cluster;
    const provider = files === undefined ? source : withDeterminedTls(source, { files, clock, logger });
    return reachOf(cluster, { ...deps, logger })(provider, deps);
  });
  const others = [builtIn, ...(local === null ? [] : [local]), ...files].map((provider) => direct(provider, deps));
  const all = [...others, ...clusters];
  const byName = new Map(all.map((provider) => [provider.name, provider]));
  return {
    all,
    local,
    reaches: () => clusters.flatMap((provider) => provider.report?.() ?? []),
    control: (taskKey) => byName.get(providerOf(taskKey))?.control ?? null,
    clearFormer: () => clearFormerReaches(deps),
  };
}

function reachOf(config: KubernetesProviderConfig, { home, store, clock, logger }: ProvidersDeps): Reach {
  const cluster = () => findCluster(config, process.env, clock);
  const { gateway, namespaces } = config;
  if (config.reach === "gateway-api" && gateway !== undefined) {
    const installation = () => keepInstallationId(store);
    const record = recordReach(store, config);
    return gatewayApi({ gateway, namespaces, cluster, installation, record, clock, logger });
  }
  if (config.reach === "port-forward") {
    const dialler = () => new PodDialler(cluster, clock);
    return portForward({ dialler, folder: join(home.forwards, config.name), logger });
  }
  return direct;
}

/** Starts them all; one that cannot start is a stale source, and hides no other. Disposing ends the watching; tasks go on. */
export async function startProviders(
  { all, clearFormer }: Pick<Providers, "all" | "clearFormer">,
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
  scope.use(await clearFormer());
  return scope;
}
