import { duration, enumeration, field, message, repeated, string } from "../kit.ts";
import type { Value } from "../kit.ts";
import { Locality, Node } from "./core.ts";
import { Endpoint, HealthCheck, HealthStatus } from "./endpoint.ts";
import { TransportSocketMatch } from "./cluster.ts";
import { BindConfig } from "./address.ts";

/** envoy.service.health.v3: an Envoy says what it sees of endpoints. */

export const Capability = message("envoy.service.health.v3.Capability", {
  healthCheckProtocols: repeated(enumeration(1, { HTTP: 0, TCP: 1, REDIS: 2 })),
});
export type Capability = Value<typeof Capability>;

export const HealthCheckRequest = message("envoy.service.health.v3.HealthCheckRequest", {
  node: field(1, Node),
  capability: field(2, Capability),
});
export type HealthCheckRequest = Value<typeof HealthCheckRequest>;

export const EndpointHealth = message("envoy.service.health.v3.EndpointHealth", {
  endpoint: field(1, Endpoint),
  healthStatus: enumeration(2, HealthStatus),
});
export type EndpointHealth = Value<typeof EndpointHealth>;

export const LocalityEndpointsHealth = message("envoy.service.health.v3.LocalityEndpointsHealth", {
  locality: field(1, Locality),
  endpointsHealth: repeated(field(2, EndpointHealth)),
});
export type LocalityEndpointsHealth = Value<typeof LocalityEndpointsHealth>;

export const ClusterEndpointsHealth = message("envoy.service.health.v3.ClusterEndpointsHealth", {
  clusterName: string(1),
  localityEndpointsHealth: repeated(field(2, LocalityEndpointsHealth)),
});
export type ClusterEndpointsHealth = Value<typeof ClusterEndpointsHealth>;

export const EndpointHealthResponse = message("envoy.service.health.v3.EndpointHealthResponse", {
  clusterEndpointsHealth: repeated(field(2, ClusterEndpointsHealth)),
});
export type EndpointHealthResponse = Value<typeof EndpointHealthResponse>;

export const HealthCheckRequestOrEndpointHealthResponse = message(
  "envoy.service.health.v3.HealthCheckRequestOrEndpointHealthResponse",
  {
    healthCheckRequest: field(1, HealthCheckRequest),
    endpointHealthResponse: field(2, EndpointHealthResponse),
  },
);
export type HealthCheckRequestOrEndpointHealthResponse = Value<typeof HealthCheckRequestOrEndpointHealthResponse>;

export const LocalityEndpoints = message("envoy.service.health.v3.LocalityEndpoints", {
  locality: field(1, Locality),
  endpoints: repeated(field(2, Endpoint)),
});
export type LocalityEndpoints = Value<typeof LocalityEndpoints>;

export const ClusterHealthCheck = message("envoy.service.health.v3.ClusterHealthCheck", {
  clusterName: string(1),
  healthChecks: repeated(field(2, HealthCheck)),
  localityEndpoints: repeated(field(3, LocalityEndpoints)),
  transportSocketMatches: repeated(field(4, TransportSocketMatch)),
  upstreamBindConfig: field(5, BindConfig),
});
export type ClusterHealthCheck = Value<typeof ClusterHealthCheck>;

export const HealthCheckSpecifier = message("envoy.service.health.v3.HealthCheckSpecifier", {
  clusterHealthChecks: repeated(field(1, ClusterHealthCheck)),
  interval: duration(2),
});
export type HealthCheckSpecifier = Value<typeof HealthCheckSpecifier>;
