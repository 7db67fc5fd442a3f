import { bool, boolValue, duration, enumeration, field, message, repeated, string, uint32Value } from "../kit.ts";
import type { Value } from "../kit.ts";
import { BackoffStrategy, ConfigSource } from "./config-source.ts";
import { Metadata, Percent, SubstitutionFormatString, TlvEntry } from "./core.ts";
import { AccessLog } from "./access-log.ts";

/** Filters of connections: tcp_proxy, set_filter_state, connection_limit. */

export const TcpProxyOnDemand = message("envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy.OnDemand", {
  odcdsConfig: field(1, ConfigSource),
});
export type TcpProxyOnDemand = Value<typeof TcpProxyOnDemand>;

export const TcpAccessLogOptions = message(
  "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy.TcpAccessLogOptions",
  {
    accessLogFlushInterval: duration(1),
    flushAccessLogOnConnected: bool(2),
    flushAccessLogOnStart: bool(3),
  },
);
export type TcpAccessLogOptions = Value<typeof TcpAccessLogOptions>;

export const TcpProxy = message("envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy", {
  statPrefix: string(1),
  cluster: string(2),
  onDemand: field(14, TcpProxyOnDemand),
  metadataMatch: field(9, Metadata),
  idleTimeout: duration(8),
  accessLog: repeated(field(5, AccessLog)),
  maxConnectAttempts: uint32Value(7),
  backoffOptions: field(18, BackoffStrategy),
  maxDownstreamConnectionDuration: duration(13),
  maxDownstreamConnectionDurationJitterPercentage: field(20, Percent),
  accessLogOptions: field(17, TcpAccessLogOptions),
  proxyProtocolTlvs: repeated(field(19, TlvEntry)),
  upstreamConnectMode: enumeration(21, { IMMEDIATE: 0, ON_DOWNSTREAM_DATA: 1, ON_DOWNSTREAM_TLS_HANDSHAKE: 2 }),
  maxEarlyDataBytes: uint32Value(22),
  checkDrainClose: boolValue(24),
});
export type TcpProxy = Value<typeof TcpProxy>;

export const FilterStateValue = message("envoy.extensions.filters.common.set_filter_state.v3.FilterStateValue", {
  objectKey: string(1),
  factoryKey: string(6),
  formatString: field(2, SubstitutionFormatString),
  sharedWithUpstream: enumeration(4, { NONE: 0, ONCE: 1, TRANSITIVE: 2 }),
  skipIfEmpty: bool(5),
});
export type FilterStateValue = Value<typeof FilterStateValue>;

export const NetworkSetFilterState = message("envoy.extensions.filters.network.set_filter_state.v3.Config", {
  onNewConnection: repeated(field(1, FilterStateValue)),
  onDownstreamTlsHandshake: repeated(field(2, FilterStateValue)),
});
export type NetworkSetFilterState = Value<typeof NetworkSetFilterState>;
