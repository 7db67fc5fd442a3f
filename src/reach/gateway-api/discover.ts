import type { KubernetesClient } from "../../platform/kubernetes/client.ts";
import {
  CUSTOM_RESOURCE_DEFINITIONS,
  EXPERIMENTAL_GATEWAY_GROUP,
  GATEWAY_GROUP,
  GATEWAYS,
  listenerSets,
  tcpRoutes,
  type CustomResourceDefinition,
} from "../../platform/kubernetes/gateway-objects.ts";
import { KubernetesError } from "../../platform/kubernetes/kubernetes-error.ts";
import type { KubernetesObject } from "../../platform/kubernetes/objects.ts";
import type { Resource } from "../../platform/kubernetes/resource.ts";
import { ServedResources } from "../../platform/kubernetes/served-resources.ts";
import type { Served } from "./plan-input.ts";

/** Of the Gateway API's own definitions in all versions so far: what is taken where they may not be read. */
const LISTENERS = { least: 1, most: 64 };
/** Newest first: where several are served, their objects are the same. */
const ROUTE_VERSIONS = ["v1", "v1beta1", "v1alpha3", "v1alpha2"];
const SET_VERSIONS = [
  [GATEWAY_GROUP, "v1"],
  [EXPERIMENTAL_GATEWAY_GROUP, "v1alpha1"],
] as const;

/** What a cluster serves of the Gateway API; `missing`: what it lacks, in words, so that nothing can be done. */
export type Discovered = { readonly served: Served } | { readonly missing: string };

/** Asks what the cluster serves, and how many listeners its definitions allow. Throws KubernetesError. */
export async function discover(client: KubernetesClient, signal: AbortSignal): Promise<Discovered> {
  const served = new ServedResources(client, signal);
  if (!(await served.has(GATEWAYS))) return { missing: "the cluster has no Gateways: install the Gateway API" };
  const routes = await served.first(ROUTE_VERSIONS.map(tcpRoutes));
  if (routes === null) {
    return { missing: "the cluster has no TCPRoutes: install the Gateway API's channel that has them" };
  }
  const sets = await served.first(SET_VERSIONS.map(([group, version]) => listenerSets(group, version)));
  const gatewayListeners = await bounds(client, GATEWAYS, signal);
  const setListeners = sets === null ? LISTENERS.most : (await bounds(client, sets, signal)).most;
  return { served: { tcpRoutes: routes, listenerSets: sets, gatewayListeners, setListeners } };
}

async function bounds(
  client: KubernetesClient,
  resource: Resource<KubernetesObject>,
  signal: AbortSignal,
): Promise<Served["gatewayListeners"]> {
  const [group = "", version = ""] = resource.apiVersion.split("/");
  try {
    const name = { name: `${resource.plural}.${group}` };
    const definition = await client.get(CUSTOM_RESOURCE_DEFINITIONS, name, signal);
    return definition === null ? LISTENERS : listenerBounds(definition, version);
  } catch (error) {
    // Nobody is made to give that right: the bound may be lower than it could be, and no more.
    if (error instanceof KubernetesError && error.status === 403) return LISTENERS;
    throw error;
  }
}

/** How many listeners `spec.listeners` and `status.listeners` of that version may have. */
export function listenerBounds({ spec }: CustomResourceDefinition, version: string): Served["gatewayListeners"] {
  const schema: unknown = spec?.versions?.find(({ name }) => name === version)?.schema?.openAPIV3Schema;
  const [listeners, told] = ["spec", "status"].map((part) => listOf(schema, part));
  if (listeners === undefined) return LISTENERS;
  // A definition without them has no such bound.
  const bounds = { least: listeners.minItems ?? 0, most: listeners.maxItems ?? Number.MAX_SAFE_INTEGER };
  return told?.maxItems === undefined ? bounds : { ...bounds, told: told.maxItems };
}

interface Bounds {
  readonly minItems?: number;
  readonly maxItems?: number;
}

function listOf(schema: unknown, part: string): Bounds | undefined {
  return ["properties", part, "properties", "listeners"].reduce<unknown>(
    (within, key) => (within as Readonly<Record<string, unknown>> | undefined)?.[key],
    schema,
  ) as Bounds | undefined;
}
