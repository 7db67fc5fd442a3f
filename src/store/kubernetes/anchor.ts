import { GatewayError } from "../../model/index.ts";
import type { KubernetesClient } from "../../platform/kubernetes/client.ts";
import type { OwnerReference } from "../../platform/kubernetes/objects.ts";
import { CONFIG_MAPS } from "../../platform/kubernetes/resource.ts";
import { toUnavailable } from "./entry-cluster.ts";

/** Longest time that the API server is waited for. */
const FIND_MS = 30_000;

/**
 * The ConfigMap that all of a store belongs to: the cluster removes what belongs to an object once that is removed. Throws `bad_request`
 * where there is none, and `unavailable`.
 */
export async function findAnchor(
  client: KubernetesClient,
  { namespace, name }: { readonly namespace: string; readonly name: string },
): Promise<OwnerReference> {
  const found = await client
    .get(CONFIG_MAPS, { namespace, name }, AbortSignal.timeout(FIND_MS))
    .catch((error: unknown) => {
      throw toUnavailable(error);
    });
  const uid = found?.metadata.uid;
  if (uid === undefined)
    throw new GatewayError("bad_request", `store.anchor: there is no ConfigMap ${namespace}/${name}`);
  return { apiVersion: CONFIG_MAPS.apiVersion, kind: CONFIG_MAPS.kind, name, uid };
}
