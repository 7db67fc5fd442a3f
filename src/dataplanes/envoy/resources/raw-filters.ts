import type { Policy } from "../../../model/index.ts";
import type { FilterChain, NetworkFilter } from "../proto/tables/listener.ts";
import { NetworkSetFilterState, TcpProxy } from "../proto/tables/network-filters.ts";
import { TCP_LOG_OPTIONS } from "../watch/loggers.ts";
import { SERVER_NAME_PREFIX } from "./cluster-name.ts";
import { extension, seconds } from "./envoy-json.ts";
import type { TranslateSettings } from "./settings.ts";

export const PASS_THROUGH = "pass-through";
/** What tcp_proxy takes its cluster from, in the place of its own. */
const CLUSTER_STATE = "envoy.tcp_proxy.cluster";
/** Of who names nobody: there is no such cluster, and so the connection ends. */
const NOBODY = SERVER_NAME_PREFIX;

/** Carries bytes to a cluster, both ways. */
export function tcpProxy(cluster: string, policy: Policy, { limits, accessLog }: TranslateSettings): NetworkFilter {
  return extension("envoy.filters.network.tcp_proxy", TcpProxy, {
    statPrefix: "tcp",
    cluster,
    idleTimeout: seconds(policy.idleTimeoutMs ?? limits.idleTime),
    maxConnectAttempts: limits.tries,
    accessLog: [...accessLog.tcp],
    accessLogOptions: TCP_LOG_OPTIONS,
  });
}

/**
 * One chain for TLS of all services that end it themselves: the cluster is by the server's name. Its prefix keeps visitors from the clusters
 * of services that ask who comes.
 */
export function passThroughChain(settings: TranslateSettings): FilterChain {
  return {
    name: PASS_THROUGH,
    filters: [
      extension("envoy.filters.network.set_filter_state", NetworkSetFilterState, {
        onNewConnection: [
          {
            objectKey: CLUSTER_STATE,
            formatString: { textFormatSource: { inlineString: `${SERVER_NAME_PREFIX}%REQUESTED_SERVER_NAME%` } },
          },
        ],
      }),
      tcpProxy(NOBODY, {}, settings),
    ],
  };
}
