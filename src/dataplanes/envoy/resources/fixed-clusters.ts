import type { Cluster } from "../proto/tables/cluster.ts";
import { UNBOUNDED } from "./cluster.ts";
import { TUNNEL_CLUSTER, TUNNEL_HEADER } from "./cluster-name.ts";
import { BUFFER_BYTES, seconds } from "./envoy-json.ts";
import { PROXIED } from "./listener.ts";
import type { TranslateSettings } from "./settings.ts";

const NO_BOUNDS = {
  thresholds: [{ maxConnections: UNBOUNDED, maxPendingRequests: UNBOUNDED, maxRequests: UNBOUNDED }],
};

/** Clusters that are there whatever the table holds. */
export function fixedClusters(settings: TranslateSettings): Cluster[] {
  return settings.proxiesFrom.length === 0 ? [tunnelCluster(settings)] : [tunnelCluster(settings), PROXIED_CLUSTER];
}

/** Of CONNECT: dials what the gate says. */
function tunnelCluster({ limits }: TranslateSettings): Cluster {
  return {
    name: TUNNEL_CLUSTER,
    type: "ORIGINAL_DST",
    connectTimeout: seconds(limits.connectTime),
    perConnectionBufferLimitBytes: BUFFER_BYTES,
    lbPolicy: "CLUSTER_PROVIDED",
    originalDstLbConfig: { useHttpHeader: true, httpHeaderName: TUNNEL_HEADER },
    circuitBreakers: NO_BOUNDS,
  };
}

/** Where connections of proxies go on. */
const PROXIED_CLUSTER: Cluster = {
  name: PROXIED,
  type: "STATIC",
  circuitBreakers: NO_BOUNDS,
  loadAssignment: {
    clusterName: PROXIED,
    endpoints: [
      { lbEndpoints: [{ endpoint: { address: { envoyInternalAddress: { serverListenerName: PROXIED } } } }] },
    ],
  },
};
