import type { Clock } from "../clock.ts";
import { KubernetesClient } from "./client.ts";
import type { Cluster } from "./cluster.ts";

/** The client of a cluster that is looked for when somebody asks, until it is found. Disposing ends its connections. */
export class FoundClient implements Disposable {
  readonly #find: () => Promise<Cluster>;
  readonly #clock: Clock;
  #client: Promise<KubernetesClient> | null = null;

  constructor(find: () => Promise<Cluster>, clock: Clock) {
    this.#find = find;
    this.#clock = clock;
  }

  /** Not the asker's to dispose of. Throws what finding the cluster throws. */
  async get(): Promise<KubernetesClient> {
    this.#client ??= this.#open();
    return await this.#client;
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
