import {
  bool,
  boolValue,
  bytes,
  duration,
  enumeration,
  field,
  message,
  repeated,
  string,
  struct,
  uint32,
  uint32Value,
  uint64Value,
} from "../kit.ts";
import type { Value } from "../kit.ts";
import { FractionalPercent, HeaderValueOption, Int64Range, Locality, Metadata, TypedExtensionConfig } from "./core.ts";
import { StringMatcher } from "./matcher.ts";
import { Address, ProxyProtocolConfig } from "./address.ts";

/** envoy.config.endpoint.v3, and active health checks. */

/** envoy.config.core.v3.RequestMethod. */
export const RequestMethod = {
  METHOD_UNSPECIFIED: 0,
  GET: 1,
  HEAD: 2,
  POST: 3,
  PUT: 4,
  DELETE: 5,
  CONNECT: 6,
  OPTIONS: 7,
  TRACE: 8,
  PATCH: 9,
} as const;

/** envoy.config.core.v3.HealthStatus. */
export const HealthStatus = { UNKNOWN: 0, HEALTHY: 1, UNHEALTHY: 2, DRAINING: 3, TIMEOUT: 4, DEGRADED: 5 } as const;

export const HealthCheckPayload = message("envoy.config.core.v3.HealthCheck.Payload", {
  text: string(1),
  binary: bytes(2),
});
export type HealthCheckPayload = Value<typeof HealthCheckPayload>;

export const HttpHealthCheck = message("envoy.config.core.v3.HealthCheck.HttpHealthCheck", {
  host: string(1),
  path: string(2),
  send: field(3, HealthCheckPayload),
  receive: repeated(field(4, HealthCheckPayload)),
  responseBufferSize: uint64Value(14),
  requestHeadersToAdd: repeated(field(6, HeaderValueOption)),
  requestHeadersToRemove: repeated(string(8)),
  expectedStatuses: repeated(field(9, Int64Range)),
  retriableStatuses: repeated(field(12, Int64Range)),
  codecClientType: enumeration(10, { HTTP1: 0, HTTP2: 1, HTTP3: 2 }),
  serviceNameMatcher: field(11, StringMatcher),
  method: enumeration(13, RequestMethod),
  useAlpnProtocol: bool(15),
});
export type HttpHealthCheck = Value<typeof HttpHealthCheck>;

export const TcpHealthCheck = message("envoy.config.core.v3.HealthCheck.TcpHealthCheck", {
  send: field(1, HealthCheckPayload),
  receive: repeated(field(2, HealthCheckPayload)),
  proxyProtocolConfig: field(3, ProxyProtocolConfig),
});
export type TcpHealthCheck = Value<typeof TcpHealthCheck>;

export const GrpcHealthCheck = message("envoy.config.core.v3.HealthCheck.GrpcHealthCheck", {
  serviceName: string(1),
  authority: string(2),
  initialMetadata: repeated(field(3, HeaderValueOption)),
});
export type GrpcHealthCheck = Value<typeof GrpcHealthCheck>;

export const TlsOptions = message("envoy.config.core.v3.HealthCheck.TlsOptions", {
  alpnProtocols: repeated(string(1)),
});
export type TlsOptions = Value<typeof TlsOptions>;

export const HealthCheck = message("envoy.config.core.v3.HealthCheck", {
  timeout: duration(1),
  interval: duration(2),
  initialJitter: duration(20),
  intervalJitter: duration(3),
  intervalJitterPercent: uint32(18),
  unhealthyThreshold: uint32Value(4),
  healthyThreshold: uint32Value(5),
  reuseConnection: boolValue(7),
  httpHealthCheck: field(8, HttpHealthCheck),
  tcpHealthCheck: field(9, TcpHealthCheck),
  grpcHealthCheck: field(11, GrpcHealthCheck),
  noTrafficInterval: duration(12),
  noTrafficHealthyInterval: duration(24),
  unhealthyInterval: duration(14),
  unhealthyEdgeInterval: duration(15),
  healthyEdgeInterval: duration(16),
  eventLogger: repeated(field(25, TypedExtensionConfig)),
  alwaysLogHealthCheckFailures: bool(19),
  alwaysLogHealthCheckSuccess: bool(26),
  tlsOptions: field(21, TlsOptions),
  transportSocketMatchCriteria: struct(23),
  name: string(27),
});
export type HealthCheck = Value<typeof HealthCheck>;

export const HealthStatusSet = message("envoy.config.core.v3.HealthStatusSet", {
  statuses: repeated(enumeration(1, HealthStatus)),
});
export type HealthStatusSet = Value<typeof HealthStatusSet>;

export const HealthCheckConfig = message("envoy.config.endpoint.v3.Endpoint.HealthCheckConfig", {
  portValue: uint32(1),
  hostname: string(2),
  address: field(3, Address),
  disableActiveHealthCheck: bool(4),
});
export type HealthCheckConfig = Value<typeof HealthCheckConfig>;

export const EndpointAdditionalAddress = message("envoy.config.endpoint.v3.Endpoint.AdditionalAddress", {
  address: field(1, Address),
});
export type EndpointAdditionalAddress = Value<typeof EndpointAdditionalAddress>;

export const Endpoint = message("envoy.config.endpoint.v3.Endpoint", {
  address: field(1, Address),
  healthCheckConfig: field(2, HealthCheckConfig),
  hostname: string(3),
  additionalAddresses: repeated(field(4, EndpointAdditionalAddress)),
  observabilityName: string(5),
});
export type Endpoint = Value<typeof Endpoint>;

export const LbEndpoint = message("envoy.config.endpoint.v3.LbEndpoint", {
  endpoint: field(1, Endpoint),
  healthStatus: enumeration(2, HealthStatus),
  metadata: field(3, Metadata),
  loadBalancingWeight: uint32Value(4),
});
export type LbEndpoint = Value<typeof LbEndpoint>;

export const LocalityLbEndpoints = message("envoy.config.endpoint.v3.LocalityLbEndpoints", {
  locality: field(1, Locality),
  metadata: field(9, Metadata),
  lbEndpoints: repeated(field(2, LbEndpoint)),
  loadBalancingWeight: uint32Value(3),
  priority: uint32(5),
});
export type LocalityLbEndpoints = Value<typeof LocalityLbEndpoints>;

export const DropOverload = message("envoy.config.endpoint.v3.ClusterLoadAssignment.Policy.DropOverload", {
  category: string(1),
  dropPercentage: field(2, FractionalPercent),
});
export type DropOverload = Value<typeof DropOverload>;

export const ClusterLoadAssignmentPolicy = message("envoy.config.endpoint.v3.ClusterLoadAssignment.Policy", {
  dropOverloads: repeated(field(2, DropOverload)),
  overprovisioningFactor: uint32Value(3),
  endpointStaleAfter: duration(4),
  weightedPriorityHealth: bool(6),
});
export type ClusterLoadAssignmentPolicy = Value<typeof ClusterLoadAssignmentPolicy>;

export const ClusterLoadAssignment = message("envoy.config.endpoint.v3.ClusterLoadAssignment", {
  clusterName: string(1),
  endpoints: repeated(field(2, LocalityLbEndpoints)),
  policy: field(4, ClusterLoadAssignmentPolicy),
});
export type ClusterLoadAssignment = Value<typeof ClusterLoadAssignment>;
