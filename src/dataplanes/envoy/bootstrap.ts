import { isIP } from "node:net";
import { CONTROL_CLUSTER, GATE_CLUSTER, GATE_LISTENER, RESOURCES_CLUSTER } from "./names.ts";
import { relayClusters, relayListener } from "./relay-bootstrap.ts";

/** Where an Envoy dials the gate. */
export type GateAddress = { readonly unix: string } | { readonly host: string; readonly port: number };

/** Files of an Envoy's own machine, PEM. */
export interface ClientFiles {
  readonly certificate: string;
  readonly key: string;
  /** Whom it believes to be the gate. */
  readonly authority: string;
}

/** Files of secrets in Envoy's own JSON (SDS), which name certificates and are read again when these change. */
export interface SecretFiles {
  /** Of the secret `CLIENT_SECRET`. */
  readonly client: string;
  /** Of the secret `AUTHORITY_SECRET`: whom it believes to be the gate. */
  readonly authority: string;
}

const CLIENT_SECRET = "client";
const AUTHORITY_SECRET = "authority";

export interface BootstrapOptions {
  /** `node.cluster`. */
  readonly fleet: string;
  /** Where it is asked for figures, and told to end: for who runs it alone. At a port the gate asks it through the Envoy itself. */
  readonly admin: GateAddress;
  /** gRPC; of several gates, each at an address, or all at one name. */
  readonly control: readonly [GateAddress, ...GateAddress[]];
  /** HTTP; null: each gate tells where both of its own are (`envoy.xds.advertise`), which several have to. */
  readonly gate: GateAddress | null;
  /** null: it speaks to the gate without TLS. */
  readonly tls: ClientFiles | SecretFiles | null;
  /** Visitors' connections open at once; more are refused. */
  readonly connections: number;
}

const API = "type.googleapis.com/envoy";

/**
 * What an Envoy starts with, in its own JSON; all else it is told. It keeps figures of itself and of its listeners alone: those of each
 * cluster are most of the memory that one takes.
 */
export function buildBootstrap(options: BootstrapOptions): object {
  const { fleet, admin, gate, connections } = options;
  const own = gateClusters(options);
  return {
    node: { cluster: fleet },
    admin: { address: address(admin, 0o600) },
    dynamic_resources: {
      ads_config: {
        ...{ api_type: "DELTA_GRPC", transport_api_version: "V3", set_node_on_first_message_only: true },
        grpc_services: [
          {
            envoy_grpc: {
              cluster_name: gate === null ? RESOURCES_CLUSTER : CONTROL_CLUSTER,
              // A gate that is started again is to be found again at once, and one that stays away is not to cost a processor.
              retry_policy: { retry_back_off: { base_interval: "0.1s", max_interval: "2s" } },
            },
          },
        ],
      },
      lds_config: { ads: {}, resource_api_version: "V3", initial_fetch_timeout: "0s" },
      cds_config: { ads: {}, resource_api_version: "V3", initial_fetch_timeout: "0s" },
    },
    // Each thread makes of a service what it needs with the first request for it: of most services it never comes to that.
    cluster_manager: { enable_deferred_cluster_creation: true },
    static_resources: {
      clusters: [...own, ...("port" in admin ? relayClusters(admin) : [])],
      listeners: [gateListener(), ...("port" in admin ? [relayListener(fleet, admin)] : [])],
    },
    bootstrap_extensions: [
      {
        name: "envoy.bootstrap.internal_listener",
        typed_config: { "@type": `${API}.extensions.bootstrap.internal_listener.v3.InternalListener` },
      },
    ],
    layered_runtime: { layers: [{ name: "taskgate", static_layer: RUNTIME }] },
    overload_manager: {
      resource_monitors: [
        {
          name: "envoy.resource_monitors.global_downstream_max_connections",
          typed_config: {
            "@type": `${API}.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig`,
            max_active_downstream_connections: connections,
          },
        },
      ],
    },
    stats_config: {
      stats_matcher: {
        inclusion_list: {
          patterns: [...STATS, ...own.map(({ name }) => `cluster.${name}.`)].map((prefix) => ({ prefix })),
        },
      },
    },
  };
}

const RUNTIME = {
  // Patterns of what is revoked, and of names that no job may see, are larger than what Envoy thinks anybody would write.
  "re2.max_program_size.error_level": 1_000_000,
  "re2.max_program_size.warn_level": 1_000_000,
  // Else what is closed inside, where connections of proxies go on, is a reset outside, and takes the last bytes of its answer along.
  "envoy.reloadable_features.enable_send_rst_on_user_space_socket": false,
  // What one connection may break off is bounded by the listener (`limits.http2Resets`); this would end it at half of five hundred.
  "overload.premature_reset_total_stream_count": 1_000_000,
};

/** Beginnings of the names of what it keeps figures of. */
const STATS = [
  "server.",
  "control_plane.",
  "listener_manager.",
  "cluster_manager.",
  "listener.",
  "http.",
  "tcp.",
  "access_logs.",
  "overload.",
];

function gateClusters({ control, gate, tls }: BootstrapOptions): { readonly name: string }[] {
  const hosts = control.flatMap((at) => ("host" in at ? [at.host] : []));
  const calls = { tls, hosts, protocol: "h2" } as const;
  if (gate !== null) {
    return [
      cluster(CONTROL_CLUSTER, control, calls),
      cluster(GATE_CLUSTER, [gate], { tls, hosts: "host" in gate ? [gate.host] : [], protocol: "raw" }),
    ];
  }
  return [
    cluster(RESOURCES_CLUSTER, control, calls),
    cluster(CONTROL_CLUSTER, "told", calls),
    cluster(GATE_CLUSTER, "told", { ...calls, protocol: "raw" }),
  ];
}

interface Called {
  readonly tls: BootstrapOptions["tls"];
  /** Names and addresses of which its certificate has one. */
  readonly hosts: readonly string[];
  readonly protocol: "h2" | "raw";
}

function cluster(name: string, at: readonly GateAddress[] | "told", called: Called): { readonly name: string } {
  const { tls, hosts, protocol } = called;
  const others = {
    ...(at === "told" ? TOLD : placed(name, at)),
    connect_timeout: "2s",
    // Whoever is slow there is not to hold up others: nothing here is bounded but by the gate itself.
    circuit_breakers: { thresholds: [UNBOUNDED] },
    ...(protocol === "h2" && { typed_extension_protocol_options: HTTP2 }),
    ...(tls !== null && hosts.length > 0 && { transport_socket: transportSocket(tls, hosts, protocol) }),
  };
  return { name, ...others };
}

const TOLD = { type: "EDS", eds_cluster_config: { eds_config: { ads: {}, resource_api_version: "V3", initial_fetch_timeout: "0s" } } }; // prettier-ignore

function placed(name: string, at: readonly GateAddress[]): object {
  const isNamed = at.some((one) => "host" in one && isIP(one.host) === 0);
  return {
    // Of a name with addresses of both kinds, such as `localhost`, the gate seldom listens on that of IPv6.
    ...(isNamed ? { type: "STRICT_DNS", dns_lookup_family: "V4_PREFERRED" } : { type: "STATIC" }),
    load_assignment: {
      cluster_name: name,
      endpoints: [{ lb_endpoints: at.map((one) => ({ endpoint: { address: address(one) } })) }],
    },
  };
}

const UNBOUNDED = { max_connections: 1_000_000, max_pending_requests: 1_000_000, max_requests: 1_000_000 };

/** A gate that was killed with its machine is found out by PING. One that is busy, on a machine that is, is not to be taken for that. */
const HTTP2 = {
  "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
    "@type": `${API}.extensions.upstreams.http.v3.HttpProtocolOptions`,
    explicit_http_config: {
      http2_protocol_options: { connection_keepalive: { interval: "30s", timeout: "30s" } },
    },
  },
};

function transportSocket(
  files: ClientFiles | SecretFiles,
  hosts: readonly string[],
  protocol: Called["protocol"],
): object {
  const sans = hosts.map((host) => ({ san_type: isIP(host) === 0 ? "DNS" : "IP_ADDRESS", matcher: { exact: host } }));
  const named = hosts.find((host) => isIP(host) === 0);
  return {
    name: "envoy.transport_sockets.tls",
    typed_config: {
      "@type": `${API}.extensions.transport_sockets.tls.v3.UpstreamTlsContext`,
      ...(named !== undefined && { sni: named }),
      common_tls_context: {
        ...(protocol === "h2" && { alpn_protocols: ["h2"] }),
        ...("client" in files ? secretsOf(files, sans) : certificatesOf(files, sans)),
      },
    },
  };
}

function certificatesOf({ certificate, key, authority }: ClientFiles, sans: readonly object[]): object {
  return {
    tls_certificates: [{ certificate_chain: { filename: certificate }, private_key: { filename: key } }],
    validation_context: { trusted_ca: { filename: authority }, match_typed_subject_alt_names: sans },
  };
}

function secretsOf({ client, authority }: SecretFiles, sans: readonly object[]): object {
  const secret = (name: string, path: string): object => ({
    name,
    sds_config: { path_config_source: { path }, resource_api_version: "V3" },
  });
  return {
    tls_certificate_sds_secret_configs: [secret(CLIENT_SECRET, client)],
    combined_validation_context: {
      default_validation_context: { match_typed_subject_alt_names: sans },
      validation_context_sds_secret_config: secret(AUTHORITY_SECRET, authority),
    },
  };
}

/** What those files hold, of certificates in `folder` by the names that a Secret of Kubernetes has for them. */
export function secretFiles(folder: string): Record<keyof SecretFiles, object> {
  const file = (name: string): object => ({ filename: `${folder}/${name}` });
  const watched = { watched_directory: { path: folder } };
  const secret = (name: string, content: object): object => ({
    resources: [{ "@type": `${API}.extensions.transport_sockets.tls.v3.Secret`, name, ...content }],
  });
  const pair = { certificate_chain: file("tls.crt"), private_key: file("tls.key") };
  return {
    client: secret(CLIENT_SECRET, { tls_certificate: { ...pair, ...watched } }),
    authority: secret(AUTHORITY_SECRET, { validation_context: { trusted_ca: file("ca.crt"), ...watched } }),
  };
}

/** So that the gate is an endpoint like any other, at the same address in every fleet. */
function gateListener(): object {
  return {
    name: GATE_LISTENER,
    internal_listener: {},
    filter_chains: [
      {
        filters: [
          {
            name: "envoy.filters.network.tcp_proxy",
            typed_config: {
              "@type": `${API}.extensions.filters.network.tcp_proxy.v3.TcpProxy`,
              stat_prefix: GATE_LISTENER,
              cluster: GATE_CLUSTER,
            },
          },
        ],
      },
    ],
  };
}

function address(at: GateAddress, mode?: number): object {
  if ("unix" in at) return { pipe: { path: at.unix, ...(mode !== undefined && { mode }) } };
  return { socket_address: { address: at.host, port_value: at.port } };
}
