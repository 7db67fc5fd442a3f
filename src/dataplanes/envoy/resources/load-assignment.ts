import { takesNew, type Endpoint, type Upstream } from "../../../model/index.ts";
import { hostOf } from "../../host-of.ts";
import { isSticky, stickyId } from "../../sticky-cookie.ts";
import type { ClusterLoadAssignment, LbEndpoint } from "../proto/tables/endpoint.ts";
import { isRaw } from "./cluster-name.ts";
import { HOST_KEY } from "./own-address-filters.ts";
import { ANY_REPLICA, OWN_METADATA, STICKY_KEY, SUBSET_METADATA } from "./sticky-subsets.ts";
import { addressOf, GATE_ADDRESS } from "./endpoint-address.ts";

export interface AssignmentInput {
  readonly name: string;
  /** Those that may be dialled. */
  readonly endpoints: readonly Endpoint[];
  readonly upstream: Upstream;
  readonly secret: string;
}

/** Marks, for the transport socket, the endpoint that is the gate itself: it is dialled without what the service's own need. */
export const GATE_MATCH = Object.freeze({ gate: true });
const SOCKET_METADATA = "envoy.transport_socket_match";
/** A thousand times the usual: as long as one in a thousand is well, nothing that could go to it goes to the gate. */
const OVERPROVISIONING = 100_000;
const WEIGHT_MAX = 1_000_000;

/** Endpoints of one upstream, or of one replica of it; behind them the gate, which answers where none of them does. */
export function translateAssignment(input: AssignmentInput): ClusterLoadAssignment {
  const { name, endpoints } = input;
  return {
    clusterName: name,
    endpoints: [
      { lbEndpoints: endpoints.map((endpoint) => lbEndpoint(endpoint, input)) },
      // Whoever speaks raw bytes must not come to speak them to the gate, which believes what Envoy says of visitors.
      ...(isRaw(input.upstream.protocol) ? [] : [{ priority: 1, lbEndpoints: [gateEndpoint(input.upstream)] }]),
    ],
    policy: { overprovisioningFactor: OVERPROVISIONING },
  };
}

/** Name of a set of endpoints, which all clusters that lead there share: one change of it is one resource. */
export function assignmentName(upstream: string, replica?: string): string {
  return replica === undefined ? upstream : `${upstream}#${replica}`;
}

function lbEndpoint(endpoint: Endpoint, input: AssignmentInput): LbEndpoint {
  const { address, health, weight } = endpoint;
  const { policy } = input.upstream;
  return {
    endpoint: {
      address: addressOf(address),
      ...(policy.rewriteHost === true && { hostname: hostOf(address) }),
      ...(policy.activeHealth !== undefined && { healthCheckConfig: { hostname: hostOf(address) } }),
    },
    ...(!takesNew(health) && { healthStatus: health === "draining" ? "DRAINING" : "UNHEALTHY" }),
    ...(weight !== 1 && { loadBalancingWeight: Math.min(WEIGHT_MAX, Math.max(1, Math.round(weight))) }),
    ...metadataOf(endpoint, input),
  };
}

/** What it is found by, and what filters on the way to it and back say of it. */
function metadataOf({ address, replica }: Endpoint, { upstream, secret }: AssignmentInput): LbEndpoint {
  const { policy, id } = upstream;
  const replicaId = isSticky(upstream) ? stickyId(secret, id, replica) : undefined;
  const own = {
    ...(replicaId !== undefined && { [STICKY_KEY]: replicaId }),
    ...(policy.rewriteHost === true && { [HOST_KEY]: hostOf(address) }),
  };
  if (Object.keys(own).length === 0) return {};
  const subset = replicaId === undefined ? {} : { [SUBSET_METADATA]: { [STICKY_KEY]: [replicaId, ANY_REPLICA] } };
  return { metadata: { filterMetadata: { [OWN_METADATA]: own, ...subset } } };
}

function gateEndpoint(upstream: Upstream): LbEndpoint {
  const { policy } = upstream;
  const metadata = {
    ...((policy.upstreamTls !== undefined || policy.proxyProtocol !== undefined) && { [SOCKET_METADATA]: GATE_MATCH }),
    ...(isSticky(upstream) && { [SUBSET_METADATA]: { [STICKY_KEY]: [ANY_REPLICA] } }),
  };
  return {
    endpoint: {
      address: GATE_ADDRESS,
      ...(policy.activeHealth !== undefined && { healthCheckConfig: { disableActiveHealthCheck: true } }),
    },
    ...(Object.keys(metadata).length > 0 && { metadata: { filterMetadata: metadata } }),
  };
}
