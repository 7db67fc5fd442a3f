import { ADMIN_CLUSTER, CONTROL_CLUSTER, RELAY_CLUSTER } from "./names.ts";

/** Of the calls of ext_proc: those that ask for a question to the admin. */
export const RELAY_FIELD = "taskgate-relay";
/** Who asks for one: node id and fleet. Envoy writes them over whatever a local program says. */
export const RELAY_HEADERS = Object.freeze({ node: "x-taskgate-node", fleet: "x-taskgate-fleet" });
/** All that can be asked. */
export const RELAY_PATH = "/clusters";

/** The gate answers sooner, even if it has nothing to ask. */
const LONGEST_WAIT = "30s";
/** From one question to the next. */
const APART = "0.1s";
/** Of an answer: a question names a hundred clusters. */
const ANSWER_BYTES = 16 * 1024 * 1024;
const API = "type.googleapis.com/envoy";
const EXTENSIONS = `${API}.extensions`;

interface AdminPort {
  readonly host: string;
  readonly port: number;
}

/*
 * How a gate asks the admin of an Envoy that it cannot reach: Envoy has nothing that tells others how its endpoints are, but everything by
 * which it can be made to ask itself. A health check never ends asking an own listener; there the gate (ext_proc) says, when it wants to know
 * something, what the admin is asked, and is given the answer. So nothing listens where others come, and the gate dials nobody.
 *
 * The listener is a socket without a file, of which only Linux has any: checks are made by Envoy's main thread, where internal listeners
 * are not.
 */

export function relayClusters(admin: AdminPort): readonly object[] {
  return [
    {
      name: RELAY_CLUSTER,
      type: "STATIC",
      connect_timeout: "1s",
      load_assignment: assignment(RELAY_CLUSTER, socketOf(admin)),
      health_checks: [
        {
          interval: APART,
          no_traffic_interval: APART,
          no_traffic_healthy_interval: APART,
          unhealthy_interval: "1s", // there is no gate
          timeout: LONGEST_WAIT,
          unhealthy_threshold: 1,
          healthy_threshold: 1,
          http_health_check: { host: RELAY_CLUSTER, path: "/" },
        },
      ],
    },
    {
      name: ADMIN_CLUSTER,
      type: "STATIC",
      connect_timeout: "1s",
      load_assignment: assignment(ADMIN_CLUSTER, {
        socket_address: { address: admin.host, port_value: admin.port },
      }),
    },
  ];
}

export function relayListener(fleet: string, admin: AdminPort): object {
  return {
    name: RELAY_CLUSTER,
    address: socketOf(admin),
    per_connection_buffer_limit_bytes: ANSWER_BYTES,
    // The gate is to hear of what Envoy does for others.
    ignore_global_conn_limit: true,
    filter_chains: [
      {
        filters: [
          {
            name: "envoy.filters.network.http_connection_manager",
            typed_config: {
              "@type": `${EXTENSIONS}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
              stat_prefix: RELAY_CLUSTER,
              early_header_mutation_extensions: [whoAsks(fleet)],
              http_filters: [
                askGate(),
                {
                  name: "envoy.filters.http.router",
                  typed_config: { "@type": `${EXTENSIONS}.filters.http.router.v3.Router` },
                },
              ],
              route_config: {
                virtual_hosts: [{ name: ADMIN_CLUSTER, domains: ["*"], routes: [toAdmin()] }],
              },
            },
          },
        ],
      },
    ],
  };
}

function whoAsks(fleet: string): object {
  const says = (key: string, value: string) => ({
    append: { header: { key, value }, append_action: "OVERWRITE_IF_EXISTS_OR_ADD" },
  });
  return {
    name: "envoy.http.early_header_mutation.header_mutation",
    typed_config: {
      "@type": `${EXTENSIONS}.http.early_header_mutation.header_mutation.v3.HeaderMutation`,
      mutations: [
        says(RELAY_HEADERS.node, "%CEL(xds.node.id)%"),
        says(RELAY_HEADERS.fleet, fleet.replaceAll("%", "%%")),
      ],
    },
  };
}

function askGate(): object {
  return {
    name: "envoy.filters.http.ext_proc",
    typed_config: {
      "@type": `${EXTENSIONS}.filters.http.ext_proc.v3.ExternalProcessor`,
      grpc_service: {
        envoy_grpc: { cluster_name: CONTROL_CLUSTER },
        initial_metadata: [{ key: RELAY_FIELD, value: "1" }],
      },
      message_timeout: LONGEST_WAIT,
      processing_mode: {
        request_header_mode: "SEND",
        response_header_mode: "SKIP",
        response_body_mode: "BUFFERED",
      },
      mutation_rules: { allow_all_routing: true },
      forward_rules: { allowed_headers: { patterns: Object.values(RELAY_HEADERS).map((exact) => ({ exact })) } },
    },
  };
}

function toAdmin(): object {
  return {
    match: { path: RELAY_PATH, headers: [{ name: ":method", string_match: { exact: "GET" } }] },
    route: { cluster: ADMIN_CLUSTER, timeout: "5s" },
  };
}

function socketOf({ port }: AdminPort): object {
  return { pipe: { path: `@taskgate-admin-${String(port)}` } };
}

function assignment(name: string, address: object): object {
  return { cluster_name: name, endpoints: [{ lb_endpoints: [{ endpoint: { address } }] }] };
}
