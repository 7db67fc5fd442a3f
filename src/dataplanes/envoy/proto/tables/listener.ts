import {
  any,
  bool,
  boolValue,
  duration,
  enumeration,
  field,
  message,
  repeated,
  string,
  uint32,
  uint32Value,
} from "../kit.ts";
import type { Value } from "../kit.ts";
import {
  Address,
  CidrRange,
  ProxyProtocolPassThroughTLVs,
  SocketOption,
  SocketOptionsOverride,
  TcpKeepalive,
  UdpSocketConfig,
  Version,
} from "./address.ts";
import { ExtensionConfigSource } from "./config-source.ts";
import { Int32Range, Metadata, RuntimeFeatureFlag, TransportSocket, TypedExtensionConfig } from "./core.ts";
import { QuicProtocolOptions } from "./protocol.ts";
import { Matcher } from "./xds-matcher.ts";
import { AccessLog } from "./access-log.ts";
import { StatsMatcher } from "./matcher.ts";

/** envoy.config.listener.v3, with its listener filters and UDP options. */

export const AdditionalAddress = message("envoy.config.listener.v3.AdditionalAddress", {
  address: field(1, Address),
  socketOptions: field(2, SocketOptionsOverride),
  tcpKeepalive: field(3, TcpKeepalive),
});
export type AdditionalAddress = Value<typeof AdditionalAddress>;

export const FilterChainMatch = message("envoy.config.listener.v3.FilterChainMatch", {
  destinationPort: uint32Value(8),
  prefixRanges: repeated(field(3, CidrRange)),
  directSourcePrefixRanges: repeated(field(13, CidrRange)),
  sourceType: enumeration(12, { ANY: 0, SAME_IP_OR_LOOPBACK: 1, EXTERNAL: 2 }),
  sourcePrefixRanges: repeated(field(6, CidrRange)),
  sourcePorts: repeated(uint32(7)),
  serverNames: repeated(string(11)),
  transportProtocol: string(9),
  applicationProtocols: repeated(string(10)),
});
export type FilterChainMatch = Value<typeof FilterChainMatch>;

export const NetworkFilter = message("envoy.config.listener.v3.Filter", {
  name: string(1),
  typedConfig: any(4),
  configDiscovery: field(5, ExtensionConfigSource),
});
export type NetworkFilter = Value<typeof NetworkFilter>;

export const FilterChain = message("envoy.config.listener.v3.FilterChain", {
  filterChainMatch: field(1, FilterChainMatch),
  filters: repeated(field(3, NetworkFilter)),
  metadata: field(5, Metadata),
  transportSocket: field(6, TransportSocket),
  transportSocketConnectTimeout: duration(9),
  name: string(7),
});
export type FilterChain = Value<typeof FilterChain>;

export const MatchSet = message("envoy.config.listener.v3.ListenerFilterChainMatchPredicate.MatchSet", {
  get rules() {
    return repeated(field(1, ListenerFilterChainMatchPredicate));
  },
});
export type MatchSet = Value<typeof MatchSet>;

export const ListenerFilterChainMatchPredicate = message("envoy.config.listener.v3.ListenerFilterChainMatchPredicate", {
  orMatch: field(1, MatchSet),
  andMatch: field(2, MatchSet),
  get notMatch() {
    return field(3, ListenerFilterChainMatchPredicate);
  },
  anyMatch: bool(4),
  destinationPortRange: field(5, Int32Range),
});
export type ListenerFilterChainMatchPredicate = Value<typeof ListenerFilterChainMatchPredicate>;

export const ListenerFilter = message("envoy.config.listener.v3.ListenerFilter", {
  name: string(1),
  typedConfig: any(3),
  configDiscovery: field(5, ExtensionConfigSource),
  filterDisabled: field(4, ListenerFilterChainMatchPredicate),
});
export type ListenerFilter = Value<typeof ListenerFilter>;

export const QuicListenerOptions = message("envoy.config.listener.v3.QuicProtocolOptions", {
  quicProtocolOptions: field(1, QuicProtocolOptions),
  idleTimeout: duration(2),
  cryptoHandshakeTimeout: duration(3),
  enabled: field(4, RuntimeFeatureFlag),
  packetsToReadToConnectionCountRatio: uint32Value(5),
  cryptoStreamConfig: field(6, TypedExtensionConfig),
  proofSourceConfig: field(7, TypedExtensionConfig),
  connectionIdGeneratorConfig: field(8, TypedExtensionConfig),
  serverPreferredAddressConfig: field(9, TypedExtensionConfig),
  sendDisableActiveMigration: boolValue(10),
  connectionDebugVisitorConfig: field(11, TypedExtensionConfig),
  rejectNewConnections: bool(13),
  maxSessionsPerEventLoop: uint32Value(14),
});
export type QuicListenerOptions = Value<typeof QuicListenerOptions>;

export const UdpListenerConfig = message("envoy.config.listener.v3.UdpListenerConfig", {
  downstreamSocketConfig: field(5, UdpSocketConfig),
  quicOptions: field(7, QuicListenerOptions),
  udpPacketPacketWriterConfig: field(8, TypedExtensionConfig),
});
export type UdpListenerConfig = Value<typeof UdpListenerConfig>;

export const ExactBalance = message("envoy.config.listener.v3.Listener.ConnectionBalanceConfig.ExactBalance", {});

export const ConnectionBalanceConfig = message("envoy.config.listener.v3.Listener.ConnectionBalanceConfig", {
  exactBalance: field(1, ExactBalance),
  extendBalance: field(2, TypedExtensionConfig),
});
export type ConnectionBalanceConfig = Value<typeof ConnectionBalanceConfig>;

export const InternalListenerConfig = message("envoy.config.listener.v3.Listener.InternalListenerConfig", {});

export const Listener = message("envoy.config.listener.v3.Listener", {
  name: string(1),
  address: field(2, Address),
  additionalAddresses: repeated(field(33, AdditionalAddress)),
  statPrefix: string(28),
  filterChains: repeated(field(3, FilterChain)),
  filterChainMatcher: field(32, Matcher),
  useOriginalDst: boolValue(4),
  defaultFilterChain: field(25, FilterChain),
  perConnectionBufferLimitBytes: uint32Value(5),
  metadata: field(6, Metadata),
  drainType: enumeration(8, { DEFAULT: 0, MODIFY_ONLY: 1 }),
  listenerFilters: repeated(field(9, ListenerFilter)),
  listenerFiltersTimeout: duration(15),
  continueOnListenerFiltersTimeout: bool(17),
  transparent: boolValue(10),
  freebind: boolValue(11),
  socketOptions: repeated(field(13, SocketOption)),
  tcpFastOpenQueueLength: uint32Value(12),
  trafficDirection: enumeration(16, { UNSPECIFIED: 0, INBOUND: 1, OUTBOUND: 2 }),
  udpListenerConfig: field(18, UdpListenerConfig),
  connectionBalanceConfig: field(20, ConnectionBalanceConfig),
  enableReusePort: boolValue(29),
  accessLog: repeated(field(22, AccessLog)),
  tcpBacklogSize: uint32Value(24),
  maxConnectionsToAcceptPerSocketEvent: uint32Value(34),
  bindToPort: boolValue(26),
  internalListener: field(27, InternalListenerConfig),
  enableMptcp: bool(30),
  ignoreGlobalConnLimit: bool(31),
  bypassOverloadManager: bool(35),
  tcpKeepalive: field(37, TcpKeepalive),
  statsMatcher: field(39, StatsMatcher),
  perConnectionBufferHighWatermarkTimeout: duration(38),
});
export type Listener = Value<typeof Listener>;

export const TlsInspector = message("envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector", {
  enableJa3Fingerprinting: boolValue(1),
  enableJa4Fingerprinting: boolValue(3),
  initialReadBufferSize: uint32Value(2),
  closeConnectionOnClientHelloParsingErrors: bool(4),
  maxClientHelloSize: uint32Value(5),
});
export type TlsInspector = Value<typeof TlsInspector>;

export const ProxyProtocolKeyValuePair = message(
  "envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol.KeyValuePair",
  {
    metadataNamespace: string(1),
    key: string(2),
  },
);
export type ProxyProtocolKeyValuePair = Value<typeof ProxyProtocolKeyValuePair>;

export const ProxyProtocolRule = message("envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol.Rule", {
  tlvType: uint32(1),
  onTlvPresent: field(2, ProxyProtocolKeyValuePair),
});
export type ProxyProtocolRule = Value<typeof ProxyProtocolRule>;

export const ProxyProtocol = message("envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol", {
  rules: repeated(field(1, ProxyProtocolRule)),
  allowRequestsWithoutProxyProtocol: bool(2),
  passThroughTlvs: field(3, ProxyProtocolPassThroughTLVs),
  disallowedVersions: repeated(enumeration(4, Version)),
  statPrefix: string(5),
  tlvLocation: enumeration(6, { DYNAMIC_METADATA: 0, FILTER_STATE: 1 }),
});
export type ProxyProtocol = Value<typeof ProxyProtocol>;
