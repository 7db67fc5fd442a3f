import type { Resource, ResourceKey } from "../../resource.ts";

const CLUSTER = "envoy.config.cluster.v3.Cluster";
const ENDPOINTS = "envoy.config.endpoint.v3.ClusterLoadAssignment";

/** A cluster by EDS; `timeout` (such as "3s") is what can change about it. */
export function cluster(name: string, timeout = "1s", fleet: string | null = null): Resource {
  const edsConfig = { ads: {}, resourceApiVersion: "V3" };
  const body = { name, type: "EDS", connectTimeout: timeout, edsClusterConfig: { edsConfig } };
  return { type: CLUSTER, name, fleet, body, subject: `local/${name}` };
}

export function endpoints(name: string, port: number): Resource {
  const address = { socketAddress: { address: "127.0.0.1", portValue: port } };
  const body = { clusterName: name, endpoints: [{ lbEndpoints: [{ endpoint: { address } }] }] };
  return { type: ENDPOINTS, name, fleet: null, body, subject: `local/${name}` };
}

/** One of no use but to be told of. */
export function small(kind: "secret" | "listener" | "routes" | "extension", name: string, text = ""): Resource {
  const [type, body] = SMALL[kind](name, text);
  return { type, name, fleet: null, body, subject: "envoy" };
}

const SMALL = {
  secret: (name: string, text: string) => [
    "envoy.extensions.transport_sockets.tls.v3.Secret",
    { name, tlsCertificate: { certificateChain: { inlineString: text } } },
  ],
  listener: (name: string, text: string) => ["envoy.config.listener.v3.Listener", { name, statPrefix: text }],
  routes: (name: string, text: string) => [
    "envoy.config.route.v3.RouteConfiguration",
    { name, virtualHosts: [{ name: "all", domains: [text === "" ? "*" : text] }] },
  ],
  extension: (name: string, text: string) => [
    "envoy.config.core.v3.TypedExtensionConfig",
    { name: `${name}${text}`, typedConfig: { "@type": "type.googleapis.com/google.protobuf.Empty" } },
  ],
} as const satisfies Record<string, (name: string, text: string) => readonly [string, object]>;

export const set = (...resources: Resource[]) => ({ set: resources, removed: [] });
export const remove = (...resources: ResourceKey[]) => ({ set: [], removed: resources });
