import {
  any,
  bool,
  boolValue,
  doubleValue,
  duration,
  enumeration,
  field,
  map,
  message,
  repeated,
  string,
  struct,
  uint32Value,
} from "../kit.ts";
import type { Value } from "../kit.ts";
import { Metadata, Percent, RuntimeDouble, TransportSocket, TypedExtensionConfig } from "./core.ts";
import { HashPolicy, RetryPolicy, RoutingPriority } from "./route.ts";
import { ConfigSource } from "./config-source.ts";
import { ClusterLoadAssignment, HealthCheck, HealthStatusSet } from "./endpoint.ts";
import { BindConfig, TcpKeepalive } from "./address.ts";
import { Matcher } from "./xds-matcher.ts";
import {
  Http1ProtocolOptions,
  Http2ProtocolOptions,
  Http3ProtocolOptions,
  HttpProtocolOptions,
  UpstreamHttpProtocolOptions,
} from "./protocol.ts";
import { HttpFilter } from "./connection-manager.ts";
import { StatsMatcher } from "./matcher.ts";

/** envoy.config.cluster.v3, and the protocol options of upstreams. */

export const RetryBudget = message("envoy.config.cluster.v3.CircuitBreakers.Thresholds.RetryBudget", {
  budgetPercent: field(1, Percent),
  minRetryConcurrency: uint32Value(2),
  budgetInterval: duration(3),
});
export type RetryBudget = Value<typeof RetryBudget>;

export const Thresholds = message("envoy.config.cluster.v3.CircuitBreakers.Thresholds", {
  priority: enumeration(1, RoutingPriority),
  maxConnections: uint32Value(2),
  maxPendingRequests: uint32Value(3),
  maxRequests: uint32Value(4),
  maxRetries: uint32Value(5),
  retryBudget: field(8, RetryBudget),
  trackRemaining: bool(6),
  maxConnectionPools: uint32Value(7),
});
export type Thresholds = Value<typeof Thresholds>;

export const CircuitBreakers = message("envoy.config.cluster.v3.CircuitBreakers", {
  thresholds: repeated(field(1, Thresholds)),
  perHostThresholds: repeated(field(2, Thresholds)),
});
export type CircuitBreakers = Value<typeof CircuitBreakers>;

export const TransportSocketMatch = message("envoy.config.cluster.v3.Cluster.TransportSocketMatch", {
  name: string(1),
  match: struct(2),
  transportSocket: field(3, TransportSocket),
});
export type TransportSocketMatch = Value<typeof TransportSocketMatch>;

export const CustomClusterType = message("envoy.config.cluster.v3.Cluster.CustomClusterType", {
  name: string(1),
  typedConfig: any(2),
});
export type CustomClusterType = Value<typeof CustomClusterType>;

export const EdsClusterConfig = message("envoy.config.cluster.v3.Cluster.EdsClusterConfig", {
  edsConfig: field(1, ConfigSource),
  serviceName: string(2),
});
export type EdsClusterConfig = Value<typeof EdsClusterConfig>;

export const OutlierDetection = message("envoy.config.cluster.v3.OutlierDetection", {
  consecutive5xx: uint32Value(1),
  interval: duration(2),
  baseEjectionTime: duration(3),
  maxEjectionPercent: uint32Value(4),
  enforcingConsecutive5xx: uint32Value(5),
  enforcingSuccessRate: uint32Value(6),
  successRateMinimumHosts: uint32Value(7),
  successRateRequestVolume: uint32Value(8),
  successRateStdevFactor: uint32Value(9),
  consecutiveGatewayFailure: uint32Value(10),
  enforcingConsecutiveGatewayFailure: uint32Value(11),
  splitExternalLocalOriginErrors: bool(12),
  consecutiveLocalOriginFailure: uint32Value(13),
  enforcingConsecutiveLocalOriginFailure: uint32Value(14),
  enforcingLocalOriginSuccessRate: uint32Value(15),
  failurePercentageThreshold: uint32Value(16),
  enforcingFailurePercentage: uint32Value(17),
  enforcingFailurePercentageLocalOrigin: uint32Value(18),
  failurePercentageMinimumHosts: uint32Value(19),
  failurePercentageRequestVolume: uint32Value(20),
  maxEjectionTime: duration(21),
  maxEjectionTimeJitter: duration(22),
  successfulActiveHealthCheckUnejectHost: boolValue(23),
  alwaysEjectOneHost: boolValue(25),
});
export type OutlierDetection = Value<typeof OutlierDetection>;

export const SlowStartConfig = message("envoy.config.cluster.v3.Cluster.SlowStartConfig", {
  slowStartWindow: duration(1),
  aggression: field(2, RuntimeDouble),
  minWeightPercent: field(3, Percent),
});
export type SlowStartConfig = Value<typeof SlowStartConfig>;

export const LeastRequestLbConfig = message("envoy.config.cluster.v3.Cluster.LeastRequestLbConfig", {
  choiceCount: uint32Value(1),
  activeRequestBias: field(2, RuntimeDouble),
  slowStartConfig: field(3, SlowStartConfig),
});
export type LeastRequestLbConfig = Value<typeof LeastRequestLbConfig>;

export const RoundRobinLbConfig = message("envoy.config.cluster.v3.Cluster.RoundRobinLbConfig", {
  slowStartConfig: field(1, SlowStartConfig),
});
export type RoundRobinLbConfig = Value<typeof RoundRobinLbConfig>;

export const LocalityWeightedLbConfig = message(
  "envoy.config.cluster.v3.Cluster.CommonLbConfig.LocalityWeightedLbConfig",
  {},
);

export const CommonLbConfig = message("envoy.config.cluster.v3.Cluster.CommonLbConfig", {
  healthyPanicThreshold: field(1, Percent),
  localityWeightedLbConfig: field(3, LocalityWeightedLbConfig),
  updateMergeWindow: duration(4),
  ignoreNewHostsUntilFirstHc: bool(5),
  closeConnectionsOnHostSetChange: bool(6),
  overrideHostStatus: field(8, HealthStatusSet),
});
export type CommonLbConfig = Value<typeof CommonLbConfig>;

export const UpstreamConnectionOptions = message("envoy.config.cluster.v3.UpstreamConnectionOptions", {
  tcpKeepalive: field(1, TcpKeepalive),
  setLocalInterfaceNameOnUpstreamConnections: bool(2),
});
export type UpstreamConnectionOptions = Value<typeof UpstreamConnectionOptions>;

export const TrackClusterStats = message("envoy.config.cluster.v3.TrackClusterStats", {
  timeoutBudgets: bool(1),
  requestResponseSizes: bool(2),
  perEndpointStats: bool(3),
});
export type TrackClusterStats = Value<typeof TrackClusterStats>;

export const PreconnectPolicy = message("envoy.config.cluster.v3.Cluster.PreconnectPolicy", {
  perUpstreamPreconnectRatio: doubleValue(1),
  predictivePreconnectRatio: doubleValue(2),
});
export type PreconnectPolicy = Value<typeof PreconnectPolicy>;

export const OriginalDstLbConfig = message("envoy.config.cluster.v3.Cluster.OriginalDstLbConfig", {
  useHttpHeader: bool(1),
  httpHeaderName: string(2),
  upstreamPortOverride: uint32Value(3),
});
export type OriginalDstLbConfig = Value<typeof OriginalDstLbConfig>;

export const LbSubsetSelector = message("envoy.config.cluster.v3.Cluster.LbSubsetConfig.LbSubsetSelector", {
  keys: repeated(string(1)),
  singleHostPerSubset: bool(4),
  fallbackPolicy: enumeration(2, {
    NOT_DEFINED: 0,
    NO_FALLBACK: 1,
    ANY_ENDPOINT: 2,
    DEFAULT_SUBSET: 3,
    KEYS_SUBSET: 4,
  }),
  fallbackKeysSubset: repeated(string(3)),
});
export type LbSubsetSelector = Value<typeof LbSubsetSelector>;

export const LbSubsetConfig = message("envoy.config.cluster.v3.Cluster.LbSubsetConfig", {
  fallbackPolicy: enumeration(1, { NO_FALLBACK: 0, ANY_ENDPOINT: 1, DEFAULT_SUBSET: 2 }),
  defaultSubset: struct(2),
  subsetSelectors: repeated(field(3, LbSubsetSelector)),
  localityWeightAware: bool(4),
  scaleLocalityWeight: bool(5),
  panicModeAny: bool(6),
  listAsAny: bool(7),
  metadataFallbackPolicy: enumeration(8, { METADATA_NO_FALLBACK: 0, FALLBACK_LIST: 1 }),
});
export type LbSubsetConfig = Value<typeof LbSubsetConfig>;

export const Cluster = message("envoy.config.cluster.v3.Cluster", {
  transportSocketMatches: repeated(field(43, TransportSocketMatch)),
  transportSocketMatcher: field(59, Matcher),
  name: string(1),
  altStatName: string(28),
  type: enumeration(2, { STATIC: 0, STRICT_DNS: 1, LOGICAL_DNS: 2, EDS: 3, ORIGINAL_DST: 4 }),
  clusterType: field(38, CustomClusterType),
  edsClusterConfig: field(3, EdsClusterConfig),
  connectTimeout: duration(4),
  perConnectionBufferLimitBytes: uint32Value(5),
  lbPolicy: enumeration(6, {
    ROUND_ROBIN: 0,
    LEAST_REQUEST: 1,
    RING_HASH: 2,
    RANDOM: 3,
    MAGLEV: 5,
    CLUSTER_PROVIDED: 6,
    LOAD_BALANCING_POLICY_CONFIG: 7,
  }),
  loadAssignment: field(33, ClusterLoadAssignment),
  healthChecks: repeated(field(8, HealthCheck)),
  circuitBreakers: field(10, CircuitBreakers),
  typedExtensionProtocolOptions: map(any(36)),
  dnsLookupFamily: enumeration(17, { AUTO: 0, V4_ONLY: 1, V6_ONLY: 2, V4_PREFERRED: 3, ALL: 4 }),
  typedDnsResolverConfig: field(55, TypedExtensionConfig),
  waitForWarmOnInit: boolValue(54),
  outlierDetection: field(19, OutlierDetection),
  lbSubsetConfig: field(22, LbSubsetConfig),
  originalDstLbConfig: field(34, OriginalDstLbConfig),
  cleanupInterval: duration(20),
  upstreamBindConfig: field(21, BindConfig),
  leastRequestLbConfig: field(37, LeastRequestLbConfig),
  roundRobinLbConfig: field(56, RoundRobinLbConfig),
  commonLbConfig: field(27, CommonLbConfig),
  transportSocket: field(24, TransportSocket),
  metadata: field(25, Metadata),
  upstreamConnectionOptions: field(30, UpstreamConnectionOptions),
  closeConnectionsOnHostHealthFailure: bool(31),
  ignoreHealthOnHostRemoval: bool(32),
  lrsReportEndpointMetrics: repeated(string(57)),
  upstreamConfig: field(48, TypedExtensionConfig),
  trackClusterStats: field(49, TrackClusterStats),
  preconnectPolicy: field(50, PreconnectPolicy),
  connectionPoolPerDownstreamConnection: bool(51),
  statsMatcher: field(61, StatsMatcher),
  perConnectionBufferHighWatermarkTimeout: duration(60),
});
export type Cluster = Value<typeof Cluster>;

export const ExplicitHttpConfig = message("envoy.extensions.upstreams.http.v3.HttpProtocolOptions.ExplicitHttpConfig", {
  httpProtocolOptions: field(1, Http1ProtocolOptions),
  http2ProtocolOptions: field(2, Http2ProtocolOptions),
  http3ProtocolOptions: field(3, Http3ProtocolOptions),
});
export type ExplicitHttpConfig = Value<typeof ExplicitHttpConfig>;

export const UseDownstreamHttpConfig = message(
  "envoy.extensions.upstreams.http.v3.HttpProtocolOptions.UseDownstreamHttpConfig",
  {
    httpProtocolOptions: field(1, Http1ProtocolOptions),
    http2ProtocolOptions: field(2, Http2ProtocolOptions),
    http3ProtocolOptions: field(3, Http3ProtocolOptions),
  },
);
export type UseDownstreamHttpConfig = Value<typeof UseDownstreamHttpConfig>;

export const AutoHttpConfig = message("envoy.extensions.upstreams.http.v3.HttpProtocolOptions.AutoHttpConfig", {
  httpProtocolOptions: field(1, Http1ProtocolOptions),
  http2ProtocolOptions: field(2, Http2ProtocolOptions),
  http3ProtocolOptions: field(3, Http3ProtocolOptions),
});
export type AutoHttpConfig = Value<typeof AutoHttpConfig>;

export const MatchPredicate = message("envoy.config.common.matcher.v3.MatchPredicate", {
  get notMatch() {
    return field(3, MatchPredicate);
  },
  anyMatch: bool(4),
});
export type MatchPredicate = Value<typeof MatchPredicate>;

export const HttpProtocolOptionsOutlierDetection = message(
  "envoy.extensions.upstreams.http.v3.HttpProtocolOptions.OutlierDetection",
  { errorMatcher: field(1, MatchPredicate) },
);

export const UpstreamProtocolOptions = message("envoy.extensions.upstreams.http.v3.HttpProtocolOptions", {
  commonHttpProtocolOptions: field(1, HttpProtocolOptions),
  upstreamHttpProtocolOptions: field(2, UpstreamHttpProtocolOptions),
  explicitHttpConfig: field(3, ExplicitHttpConfig),
  useDownstreamProtocolConfig: field(4, UseDownstreamHttpConfig),
  autoConfig: field(5, AutoHttpConfig),
  httpFilters: repeated(field(6, HttpFilter)),
  outlierDetection: field(8, HttpProtocolOptionsOutlierDetection),
  hashPolicy: repeated(field(10, HashPolicy)),
  retryPolicy: field(11, RetryPolicy),
});
export type UpstreamProtocolOptions = Value<typeof UpstreamProtocolOptions>;
