import type { KubernetesClient } from "../../../platform/kubernetes/client.ts";
import type { KubernetesObject, KubernetesService, Pod } from "../../../platform/kubernetes/objects.ts";
import { PODS, SERVICES, type Resource, type Scope } from "../../../platform/kubernetes/resource.ts";
import type { GatewayRef } from "../unit.ts";
import type { PodsOf } from "./network-policy.ts";

/** What stands around a Gateway, as it was last read; what may not be read is null. */
export interface Surroundings {
  /** Its proxy's pods; null: none were found by what its controller is known to write on them. */
  readonly pods: PodsOf | null;
  /** Whether these have their node's address, by which no policy knows them. */
  readonly isOnHostNetwork: boolean;
  /** Services that lead to these pods. */
  readonly services: readonly KubernetesService[] | null;
  /** What may not be read, in words; null: all may. */
  readonly unread: string | null;
}

/** Namespace of Envoy Gateway's Envoys, unless it makes them beside their Gateways. */
const ENVOY_GATEWAY_NAMESPACE = "envoy-gateway-system";

/** Pods that may be the Gateway's proxy, the likeliest first, by what controllers write on what they make. */
export function likelyPods({ namespace, name }: GatewayRef, controller: string | undefined): readonly PodsOf[] {
  // Of the Gateway API itself (GEP-1762): Contour's provisioner, Istio, NGINX Gateway Fabric and others.
  const standard = { namespace, labels: { "gateway.networking.k8s.io/gateway-name": name } };
  if (controller?.startsWith("gateway.envoyproxy.io/") !== true) return [standard];
  const labels = {
    "gateway.envoyproxy.io/owning-gateway-name": name,
    "gateway.envoyproxy.io/owning-gateway-namespace": namespace,
  };
  return [{ namespace: ENVOY_GATEWAY_NAMESPACE, labels }, { namespace, labels }, standard];
}

export interface LookAt {
  readonly gateway: GatewayRef;
  /** Of its class; undefined: not known. */
  readonly controller: string | undefined;
  /** As configured: taken as they are. */
  readonly pods: PodsOf | undefined;
}

/** Reads what there is. Throws KubernetesError but for a want of rights. */
export async function lookAround(
  client: Pick<KubernetesClient, "list">,
  { gateway, controller, pods }: LookAt,
  signal: AbortSignal,
): Promise<Surroundings> {
  const unread = new Set<string>();
  const read = async <T extends KubernetesObject>(
    resource: Resource<T>,
    scope: Scope,
  ): Promise<readonly T[] | null> => {
    const items: T[] = [];
    try {
      for await (const page of client.list(resource, scope, signal)) items.push(...page.items);
      return items;
    } catch (error) {
      if ((error as { readonly status?: number }).status !== 403) throw error;
      unread.add(`${resource.plural} of namespace ${scope.namespace ?? ""}`);
      return null;
    }
  };
  const nothing = { pods: pods ?? null, isOnHostNetwork: false, services: null };
  for (const likely of pods === undefined ? likelyPods(gateway, controller) : [pods]) {
    const labelSelector = Object.entries(likely.labels)
      .map(([key, value]) => `${key}=${value}`)
      .join(",");
    const found = await read<Pod>(PODS, { namespace: likely.namespace, labelSelector });
    if (found === null || found.length === 0) continue;
    const services = await read(SERVICES, { namespace: likely.namespace });
    return {
      pods: likely,
      isOnHostNetwork: found.some(({ spec }) => spec?.hostNetwork === true),
      services: services?.filter((service) => found.some((pod) => leadsTo(service, pod))) ?? null,
      unread: textOf(unread),
    };
  }
  return { ...nothing, unread: textOf(unread) };
}

function leadsTo({ spec }: KubernetesService, { metadata }: Pod): boolean {
  const selector = Object.entries(spec?.selector ?? {});
  return selector.length > 0 && selector.every(([key, value]) => metadata.labels?.[key] === value);
}

function textOf(unread: ReadonlySet<string>): string | null {
  return unread.size === 0 ? null : [...unread].join(", ");
}
