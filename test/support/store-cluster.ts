import { randomUUID } from "node:crypto";
import { onTestFinished } from "vitest";
import type { Clock } from "../../src/platform/clock.ts";
import { systemClock } from "../../src/platform/clock.ts";
import type { KubernetesBounds } from "../../src/platform/kubernetes/bounds.ts";
import { KubernetesClient } from "../../src/platform/kubernetes/client.ts";
import { loadKubeconfig } from "../../src/platform/kubernetes/kubeconfig.ts";
import { type Logger, silentLogger } from "../../src/platform/logger.ts";
import { STORE_BOUNDS, startKubernetesStore } from "../../src/store/kubernetes/kubernetes-store.ts";
import type { Store } from "../../src/store/store.ts";

/** A gate's part of a store in a cluster. */
export interface StoreGate extends AsyncDisposable {
  readonly client: KubernetesClient;
  readonly store: Store;
}

export interface StoreGateOptions {
  readonly kubeconfig: string;
  /** The store's name: those that say the same share it. */
  readonly name: string;
  readonly clock?: Clock;
  readonly bounds?: Partial<KubernetesBounds>;
  readonly logger?: Logger;
}

export const NAMESPACE = "default";

/** A name that no other store has. */
export function storeName(): string {
  return `s${randomUUID().slice(0, 8)}`;
}

/** Opens a store by a client of its own. Disposed by the test's end at the latest, where a test opens it. */
export async function openStoreGate(options: StoreGateOptions): Promise<StoreGate> {
  const { kubeconfig, name, clock = systemClock, bounds, logger = silentLogger } = options;
  const cluster = await loadKubeconfig([kubeconfig], null, systemClock);
  const client = new KubernetesClient({ cluster, clock: systemClock, bounds: { ...STORE_BOUNDS, ...bounds } });
  const deps = { client, namespace: NAMESPACE, name, clock, networkClock: systemClock, logger };
  const store = await startKubernetesStore(deps);
  return {
    client,
    store,
    async [Symbol.asyncDispose]() {
      await store[Symbol.asyncDispose]();
      client[Symbol.dispose]();
    },
  };
}

/** The same, ended with the test. */
export async function storeGate(options: StoreGateOptions): Promise<StoreGate> {
  const gate = await openStoreGate(options);
  onTestFinished(() => gate[Symbol.asyncDispose]());
  return gate;
}
