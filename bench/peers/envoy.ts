import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { envoyProgram } from "../../testbed/envoy.ts";
import { type Backends, freePorts, type Peer, startProxy } from "./peer.ts";

let program = "";

/** One worker thread; no access log, no request ids, and routes for any host: nothing that it need not do. */
export const envoy: Peer = {
  name: "envoy",
  kinds: ["http", "grpc", "tcp"],
  http2: true,
  prepare: async () => {
    program = await envoyProgram();
  },
  start: async (backends, folder) => {
    const [http = 0, grpc = 0, tcp = 0] = await freePorts(3);
    const config = join(folder, "envoy.json");
    writeFileSync(config, JSON.stringify(makeConfig(backends, { http, grpc, tcp })));
    const options = ["--concurrency", "1", "--disable-hot-restart", "--log-level", "warn"];
    const { pid } = await startProxy([program, "-c", config, ...options], [http, grpc, tcp]);
    const ports = { http, grpc, tcp };
    return { pid, ports, session: null, authority: (kind) => `bench.localhost:${ports[kind]}` };
  },
};

const API = "type.googleapis.com/envoy.extensions";
const UPSTREAM = `${API}.upstreams.http.v3.HttpProtocolOptions`;
/** Bounds that no suite comes near. */
const MANY = 200_000;

function makeConfig(backends: Backends, ports: Backends): unknown {
  return {
    static_resources: {
      listeners: [
        listener("http", ports.http, http("http")),
        listener("grpc", ports.grpc, http("grpc")),
        listener("tcp", ports.tcp, {
          name: "envoy.filters.network.tcp_proxy",
          typed_config: {
            "@type": `${API}.filters.network.tcp_proxy.v3.TcpProxy`,
            stat_prefix: "tcp",
            cluster: "tcp",
          },
        }),
      ],
      clusters: [
        cluster("http", backends.http, {}),
        cluster("tcp", backends.tcp, {}),
        cluster("grpc", backends.grpc, {
          typed_extension_protocol_options: {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
              "@type": UPSTREAM,
              explicit_http_config: { http2_protocol_options: {} },
            },
          },
        }),
      ],
    },
  };
}

function listener(name: string, port: number, filter: unknown): unknown {
  return { name, address: address(port), filter_chains: [{ filters: [filter] }] };
}

function http(to: string): unknown {
  return {
    name: "envoy.filters.network.http_connection_manager",
    typed_config: {
      "@type": `${API}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
      stat_prefix: to,
      codec_type: "AUTO",
      use_remote_address: true,
      generate_request_id: false,
      upgrade_configs: [{ upgrade_type: "websocket" }],
      route_config: {
        virtual_hosts: [
          { name: to, domains: ["*"], routes: [{ match: { prefix: "/" }, route: { cluster: to, timeout: "0s" } }] },
        ],
      },
      http_filters: [
        { name: "envoy.filters.http.router", typed_config: { "@type": `${API}.filters.http.router.v3.Router` } },
      ],
    },
  };
}

function cluster(name: string, port: number, more: object): unknown {
  return {
    name,
    type: "STATIC",
    connect_timeout: "5s",
    circuit_breakers: {
      thresholds: [{ max_connections: MANY, max_pending_requests: MANY, max_requests: MANY }],
    },
    load_assignment: {
      cluster_name: name,
      endpoints: [{ lb_endpoints: [{ endpoint: { address: address(port) } }] }],
    },
    ...more,
  };
}

function address(port: number): unknown {
  return { socket_address: { address: "127.0.0.1", port_value: port } };
}
