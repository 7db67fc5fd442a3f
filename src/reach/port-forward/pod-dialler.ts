import type { Duplex } from "node:stream";
import type { Clock } from "../../platform/clock.ts";
import type { Cluster } from "../../platform/kubernetes/cluster.ts";
import { FoundClient } from "../../platform/kubernetes/found-client.ts";
import type { KubernetesObject } from "../../platform/kubernetes/objects.ts";
import type { Resource } from "../../platform/kubernetes/resource.ts";
import type { PodPort } from "./forwards.ts";

/** Of authorization.k8s.io/v1: whether whoever asks may do something. Nothing of it is kept. */
interface AccessReview extends KubernetesObject {
  readonly spec: { readonly resourceAttributes: Readonly<Record<string, string>> };
  readonly status?: { readonly allowed?: boolean };
}

const ACCESS_REVIEWS: Resource<AccessReview> = {
  ...{ apiVersion: "authorization.k8s.io/v1", kind: "SelfSubjectAccessReview" },
  ...{ plural: "selfsubjectaccessreviews", namespaced: false },
};
/** A WebSocket is opened by GET, and what it does is to create. */
const VERBS = ["get", "create"] as const;

/** Connects to pods of one cluster, by its API server. Disposing it ends no connection. */
export class PodDialler implements Disposable {
  readonly #client: FoundClient;

  constructor(find: () => Promise<Cluster>, clock: Clock) {
    this.#client = new FoundClient(find, clock);
  }

  /** Whoever asks destroys it. Throws what finding the cluster and `KubernetesClient.forward` throw. */
  async connect({ namespace, pod, port }: PodPort, signal: AbortSignal): Promise<Duplex> {
    const client = await this.#client.get();
    return await client.forward({ namespace, name: pod }, port, signal);
  }

  /** Which of the rights that it takes are missing in a namespace, before anybody needs them; null: none. Throws as `connect` does. */
  async missing(namespace: string, signal: AbortSignal): Promise<string | null> {
    const client = await this.#client.get();
    const asked = VERBS.map(async (verb) => {
      const resourceAttributes = { namespace, verb, resource: "pods", subresource: "portforward" };
      const review = { metadata: { name: "" }, spec: { resourceAttributes } };
      const { status } = await client.create(ACCESS_REVIEWS, review, signal);
      return status?.allowed === false ? [verb] : [];
    });
    const verbs = (await Promise.all(asked)).flat();
    return verbs.length === 0 ? null : `it may not ${verbs.join(" and ")} pods/portforward`;
  }

  [Symbol.dispose](): void {
    this.#client[Symbol.dispose]();
  }
}
