import * as kit from "../src/dataplanes/envoy/proto/kit.ts";
import "../src/dataplanes/envoy/proto/tables.ts";
import { Cluster, UpstreamProtocolOptions } from "../src/dataplanes/envoy/proto/tables/cluster.ts";
import { DeltaDiscoveryResponse } from "../src/dataplanes/envoy/proto/tables/discovery.ts";
import { ClusterLoadAssignment } from "../src/dataplanes/envoy/proto/tables/endpoint.ts";
import { CheckRequest } from "../src/dataplanes/envoy/proto/tables/ext-authz.ts";
import { officialProtos } from "../src/dataplanes/envoy/proto/testing/official-protos.ts";
import { median, type Row, type Suite } from "./suite.ts";

const CALLS = 20_000;

const CLUSTER: Cluster = {
  name: "tg/experiment-7-resnet.apps.example.com",
  type: "EDS",
  edsClusterConfig: { serviceName: "experiment-7-resnet", edsConfig: { ads: {}, resourceApiVersion: "V3" } },
  connectTimeout: "5s",
  lbPolicy: "LEAST_REQUEST",
  circuitBreakers: { thresholds: [{ maxConnections: 100_000, maxPendingRequests: 100_000, maxRequests: 100_000 }] },
  outlierDetection: { consecutive5xx: 5, interval: "5s", baseEjectionTime: "10s" },
  typedExtensionProtocolOptions: {
    "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": kit.pack(UpstreamProtocolOptions, {
      explicitHttpConfig: { httpProtocolOptions: {} },
    }),
  },
  metadata: { filterMetadata: { taskgate: { service: "alice/experiment-7", access: "0123456789abcdef" } } },
};

const ASSIGNMENT: ClusterLoadAssignment = {
  clusterName: "experiment-7-resnet",
  endpoints: [
    { lbEndpoints: [{ endpoint: { address: { socketAddress: { address: "10.1.2.3", portValue: 8080 } } } }] },
    { priority: 1, lbEndpoints: [{ endpoint: { address: { pipe: { path: "/run/taskgate/gate.sock" } } } }] },
  ],
};

const FIELDS = [
  "user-agent",
  "accept",
  "accept-language",
  "cookie",
  "sec-fetch-site",
  "sec-fetch-mode",
  "x-request-id",
];

const CHECK: CheckRequest = {
  attributes: {
    source: { address: { socketAddress: { address: "127.0.0.1", portValue: 40_000 } } },
    request: {
      time: "2026-01-02T03:04:05.678Z",
      http: {
        method: "GET",
        path: "/lab/tree?reset",
        host: "experiment-7.apps.example.com",
        headers: Object.fromEntries(
          FIELDS.map((name) => [name, `${name} of sixty characters or so, as browsers send them`]),
        ),
      },
    },
  },
};

/** Messages to and from Envoy: written and read by our tables; the ratio is to protobufjs with its own objects and the official .proto files. */
export const benchMessages: Suite = (say) => {
  say("reading the official .proto files");
  const root = officialProtos();
  say("measuring");
  const both = <V>(name: string, table: kit.Message<V>, value: V): readonly Row[] => {
    const bytes = kit.encode(table, value);
    const reference = root.lookupType(table.name);
    const decoded = reference.decode(bytes);
    const written = measure(() => kit.encode(table, value));
    const read = measure(() => kit.decode(table, bytes));
    return [
      row(
        `write ${name}, ${bytes.length} B`,
        written,
        measure(() => reference.encode(decoded).finish()),
      ),
      row(
        `read ${name}, ${bytes.length} B`,
        read,
        measure(() => reference.decode(bytes)),
      ),
    ];
  };
  return [
    ...both("a cluster", Cluster, CLUSTER),
    ...both("an assignment", ClusterLoadAssignment, ASSIGNMENT),
    ...both("an ext_authz request", CheckRequest, CHECK),
    row("write a response of 1,000 encoded clusters", measure(responseOf(1000), CALLS / 100)),
  ];
};

function responseOf(count: number): () => Buffer {
  const content = kit.rawAny(Cluster, kit.encode(Cluster, CLUSTER));
  const resource = { name: "tg/experiment", version: "0123456789abcdef", resource: content };
  const resources = Array.from({ length: count }, () => resource);
  return () => kit.encode(DeltaDiscoveryResponse, { typeUrl: kit.typeUrl(Cluster), nonce: "1", resources });
}

/** Microseconds of processor time for a call; the median of ten turns, as others use the machine, too. */
function measure(call: () => unknown, calls = CALLS): number {
  const turns = Array.from({ length: 12 }, () => {
    const before = process.cpuUsage();
    for (let count = 0; count < calls; count++) call();
    const { user, system } = process.cpuUsage(before);
    return (user + system) / calls;
  });
  // The first two turns are for the compiler.
  return median(turns.slice(2));
}

function row(name: string, value: number, theirs?: number): Row {
  return { name, value, unit: "µs", ratio: theirs === undefined ? null : value / theirs };
}
