import type { Duplex } from "node:stream";
import type { Clock } from "../../platform/clock.ts";
import { KubernetesClient } from "../../platform/kubernetes/client.ts";
import type { Cluster } from "../../platform/kubernetes/cluster.ts";
import type { PodPort } from "./forwards.ts";

/** Connects to pods of one cluster, by its API server. Disposing it ends no connection. */
export class PodDialler implements Disposable {
  readonly #clock: Clock;
  readonly #find: () => Promise<Cluster>;
  #client: Promise<KubernetesClient> | null = null;

  constructor(find: () => Promise<Cluster>, clock: Clock) {
    this.#find = find;
    this.#clock = clock;
  }

  /** Whoever asks destroys it. Throws what finding the cluster and `KubernetesClient.forward` throw. */
  async connect({ namespace, pod, port }: PodPort, signal: AbortSignal): Promise<Duplex> {
    this.#client ??= this.#open();
    const client = await this.#client;
    return await client.forward({ namespace, name: pod }, port, signal);
  }

  [Symbol.dispose](): void {
    this.#client?.then(
      (client) => client[Symbol.dispose](),
      () => undefined,
    );
  }

  async #open(): Promise<KubernetesClient> {
    try {
      return new KubernetesClient({ cluster: await this.#find(), clock: this.#clock });
    } catch (error) {
      // A kubeconfig may be there by the next time.
      this.#client = null;
      throw error;
    }
  }
}
