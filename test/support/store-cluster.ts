import { randomUUID } from "node:crypto";
import { onTestFinished } from "vitest";
import { type Clock, systemClock } from "../../src/platform/clock.ts";
import { KubernetesClient } from "../../src/platform/kubernetes/client.ts";
import { loadKubeconfig } from "../../src/platform/kubernetes/kubeconfig.ts";
import { silentLogger } from "../../src/platform/logger.ts";
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
  /** Default: `NAMESPACE`. */
  readonly namespace?: string;
  /** Port of this machine where the API server is reached. Default: as the kubeconfig says. */
  readonly relay?: number;
  /** To act as somebody else than the kubeconfig's. */
  readonly as?: string;
  readonly clock?: Clock;
}

export const NAMESPACE = "default";

/** A name that no other store has. */
export function storeName(): string {
  return `s${randomUUID().slice(0, 8)}`;
}

/** Opens a store by a client of its own. Disposed by the test's end at the latest, where a test opens it. */
export async function openStoreGate(options: StoreGateOptions): Promise<StoreGate> {
  const { kubeconfig, name, namespace = NAMESPACE, as, relay, clock = systemClock } = options;
  const whole = await loadKubeconfig([kubeconfig], null, systemClock);
  const cluster = {
    ...whole,
    // No name of its certificate is this machine's.
    ...(relay === undefined ? {} : { server: new URL(`https://127.0.0.1:${String(relay)}`), insecure: true }),
    ...(as === undefined ? {} : { headers: { "impersonate-user": as } }),
  };
  const client = new KubernetesClient({ cluster, clock: systemClock, bounds: STORE_BOUNDS });
  const deps = { client, namespace, name, clock, networkClock: systemClock, logger: silentLogger };
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
