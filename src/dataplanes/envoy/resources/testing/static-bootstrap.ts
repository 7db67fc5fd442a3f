import { GATE_CLUSTER, GATE_LISTENER } from "../../names.ts";
import type { Resource } from "../../resource.ts";

type Json = Record<string, unknown>;

/** What an Envoy serves, or says is wrong, without anybody who tells it more: resources of one fleet in the place of those that it would ask for. */
export function staticBootstrap(resources: readonly Resource[], fleet: string): object {
  const own = resources.filter((resource) => resource.fleet === null || resource.fleet === fleet);
  const of = (type: string) =>
    own.filter((resource) => resource.type.endsWith(`.${type}`)).map(({ body }) => body as Json);
  const routes = new Map(of("RouteConfiguration").map((body) => [body.name as string, body]));
  const assignments = new Map(of("ClusterLoadAssignment").map((body) => [body.clusterName as string, body]));
  const secrets = of("Secret");
  return {
    staticResources: {
      clusters: [GATE, ...of("Cluster").map((body) => withAssignment(body, assignments))].map(withoutSds),
      listeners: [GATE_ENTRANCE, ...of("Listener").map((body) => withRoutes(body, routes))].map(withoutSds),
      secrets,
    },
    bootstrapExtensions: [
      {
        name: "envoy.bootstrap.internal_listener",
        typedConfig: {
          "@type": "type.googleapis.com/envoy.extensions.bootstrap.internal_listener.v3.InternalListener",
        },
      },
    ],
  };
}

const GATE: Json = {
  name: GATE_CLUSTER,
  type: "STATIC",
  loadAssignment: { clusterName: GATE_CLUSTER, endpoints: [{ lbEndpoints: [{ endpoint: { address: { pipe: { path: "/nowhere" } } } }] }] }, // prettier-ignore
};

const GATE_ENTRANCE: Json = {
  name: GATE_LISTENER,
  internalListener: {},
  filterChains: [
    {
      filters: [
        {
          name: "envoy.filters.network.tcp_proxy",
          typedConfig: {
            "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
            statPrefix: "gate",
            cluster: GATE_CLUSTER,
          },
        },
      ],
    },
  ],
};

function withAssignment(cluster: Json, assignments: ReadonlyMap<string, Json>): Json {
  if (cluster.type !== "EDS") return cluster;
  const { edsClusterConfig, ...rest } = cluster;
  const name = (edsClusterConfig as Json | undefined)?.serviceName as string;
  const assignment = assignments.get(name) ?? { clusterName: name };
  return { ...rest, type: "STATIC", loadAssignment: { ...assignment, clusterName: rest.name } };
}

function withRoutes(listener: Json, routes: ReadonlyMap<string, Json>): Json {
  return map(listener, (value) => {
    if (value.rds === undefined) return value;
    const { rds, ...rest } = value;
    return { ...rest, routeConfig: routes.get((rds as Json).routeConfigName as string) };
  });
}

/** Secrets that are static are named without a source. */
function withoutSds(body: Json): Json {
  return map(body, (value) => Object.fromEntries(Object.entries(value).filter(([key]) => key !== "sdsConfig")));
}

function map(value: Json, change: (value: Json) => Json): Json {
  const deep = (one: unknown): unknown => {
    if (Array.isArray(one)) return one.map(deep);
    if (typeof one !== "object" || one === null) return one;
    return Object.fromEntries(Object.entries(change(one as Json)).map(([key, inner]) => [key, deep(inner)]));
  };
  return deep(value) as Json;
}
