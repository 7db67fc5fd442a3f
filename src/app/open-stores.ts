import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import type { Home } from "../config/home.ts";
import type { StoreConfig } from "../config/store-config.ts";
import type { Clock } from "../platform/clock.ts";
import { KubernetesClient } from "../platform/kubernetes/client.ts";
import { findCluster } from "../platform/kubernetes/find-cluster.ts";
import type { Logger } from "../platform/logger.ts";
import { startEmbeddedStore } from "../store/embedded/embedded-store.ts";
import { startSoleLeadership } from "../store/embedded/sole-leadership.ts";
import { findAnchor } from "../store/kubernetes/anchor.ts";
import { STORE_BOUNDS, startKubernetesStore } from "../store/kubernetes/kubernetes-store.ts";
import { startLeaseLeadership } from "../store/kubernetes/lease-leadership.ts";
import type { Leadership } from "../store/leadership.ts";
import type { Store } from "../store/store.ts";
import { watchLeadership, type WatchedLeadership } from "./watch-leadership.ts";

export interface OpenStoresDeps {
  readonly config: StoreConfig;
  readonly home: Home;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** What outlives the gate. */
export interface Stores extends AsyncDisposable {
  /** What all gates of an installation know. */
  readonly store: Store;
  /** Whether there may be other gates on it. */
  readonly isShared: boolean;
  /** What is of this machine alone: its processes. The very store where there is no other. */
  readonly machineStore: Store;
  readonly leadership: WatchedLeadership;
}

/** The state folder is this gate's alone in any case: `conflict` where another has it. Throws what the stores throw. */
export async function openStores({ config, home, clock, logger }: OpenStoresDeps): Promise<Stores> {
  await using scope = new AsyncDisposableStack();
  const base = { clock, logger };
  const machineStore = scope.use(await startEmbeddedStore({ file: home.database, ...base }));
  if (config.type === "embedded") {
    return opened(
      {
        ...{ store: machineStore, machineStore, isShared: false },
        leadership: startSoleLeadership({ store: machineStore, ...base }),
      },
      scope,
    );
  }
  const { name, anchor, leaseDuration } = config;
  const cluster = await findCluster(config, process.env, clock);
  const client = scope.use(new KubernetesClient({ cluster, clock, bounds: STORE_BOUNDS }));
  const namespace = config.namespace ?? cluster.namespace;
  const owner = anchor === undefined ? undefined : await findAnchor(client, { namespace, name: anchor });
  const place = { client, name, namespace, owner };
  const store = scope.use(await startKubernetesStore({ ...place, networkClock: clock, ...base }));
  const holder = `${hostname()}-${randomUUID()}`;
  const leadership = startLeaseLeadership({ ...place, holder, durationS: leaseDuration / 1000, ...base });
  return opened({ store, machineStore, isShared: true, leadership }, scope);
}

function opened(
  { leadership, ...stores }: Pick<Stores, "store" | "isShared" | "machineStore"> & { readonly leadership: Leadership },
  scope: AsyncDisposableStack,
): Stores {
  const kept = scope.move();
  return { ...stores, leadership: watchLeadership(leadership), [Symbol.asyncDispose]: () => kept.disposeAsync() };
}
