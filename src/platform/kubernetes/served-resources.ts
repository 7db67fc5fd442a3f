import type { KubernetesClient } from "./client.ts";
import type { KubernetesObject } from "./objects.ts";
import type { Resource } from "./resource.ts";

/** What a cluster serves, each version asked for once. */
export class ServedResources {
  readonly #client: KubernetesClient;
  readonly #signal: AbortSignal;
  /** Plural names by version. */
  readonly #known = new Map<string, Promise<ReadonlySet<string>>>();

  constructor(client: KubernetesClient, signal: AbortSignal) {
    this.#client = client;
    this.#signal = signal;
  }

  async has({ apiVersion, plural }: Resource<KubernetesObject>): Promise<boolean> {
    const asked = this.#known.get(apiVersion) ?? this.#client.served(apiVersion, this.#signal);
    this.#known.set(apiVersion, asked);
    return (await asked).has(plural);
  }

  /** The first of them that is served; null: none is. Throws KubernetesError. */
  async first<T extends KubernetesObject>(resources: readonly Resource<T>[]): Promise<Resource<T> | null> {
    for (const resource of resources) if (await this.has(resource)) return resource;
    return null;
  }
}
