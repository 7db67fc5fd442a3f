import { z } from "zod";
import { AccessConfig } from "./access-config.ts";
import { AuditConfig } from "./audit-config.ts";
import { CullConfig } from "./cull-config.ts";
import { DeterminedConfig } from "./determined/determined-config.ts";
import { EnvoyConfig } from "./envoy-config.ts";
import { FrontConfig } from "./front-config.ts";
import { ForwardedConfig, PublicConfig } from "./public-config.ts";
import { LoginMethod, whoName } from "./login-methods.ts";
import { KubernetesProviderConfig, providerName } from "./provider-config.ts";
import { StoreConfig } from "./store-config.ts";
import { count, duration, filePath, flag, hostName, hostPort, networks, portRange, share, size } from "./units.ts";

const CertificateFiles = z.strictObject({
  certificate: filePath.describe("File with a certificate chain, PEM. Files are read again when they change."),
  key: filePath.describe("File with its private key, PEM; for its owner alone to read."),
});

export const ListenConfig = z.strictObject({
  address: hostPort.prefault("127.0.0.1:7080").describe("Where the gate listens: one port for everything."),
  tls: z
    .strictObject({
      certificate: CertificateFiles.shape.certificate.optional(),
      key: CertificateFiles.shape.key.optional(),
      certificates: z
        .array(CertificateFiles)
        .max(1000)
        .prefault([])
        .describe("More certificates: each visitor gets the one that holds the name that it asks for, else the first."),
      local: flag
        .optional()
        .describe(
          "Make an authority in the state folder, and certificates by it for every name of the gate that no file has. " +
            "`taskgate up --tls local` sets it.",
        ),
    })
    .refine((tls) => (tls.certificate === undefined) === (tls.key === undefined), {
      path: ["key"],
      error: "certificate and key belong together: expected both or none",
    })
    .refine((tls) => tls.local === true || tls.certificate !== undefined || tls.certificates.length > 0, {
      path: ["certificate"],
      error: "expected a certificate with its key, certificates, or local: true",
    })
    .optional()
    .describe("Serve TLS on the address. Without it the gate speaks plain HTTP."),
  proxyProtocol: z
    .strictObject({
      from: networks.describe(
        "Addresses or networks of proxies whose connections begin with a PROXY header, version 1 or 2. One of theirs without it is " +
          "refused, and so is the header from anybody else.",
      ),
    })
    .prefault({})
    .describe("Who stands before the gate and names the visitors' addresses."),
  public: PublicConfig.optional().describe(
    "Where visitors come in, if that is not the gate's own port but a front before it: what links, logins and cookies are made for. " +
      "Default: the gate's own port.",
  ),
  forwarded: ForwardedConfig,
  plainOnPublicAddress: flag
    .prefault(false)
    .describe(
      "Allow plain HTTP on an address that is not loopback. Logins and sessions then cross the network unencrypted.",
    ),
});
export type ListenConfig = z.output<typeof ListenConfig>;

export const LimitsConfig = z.strictObject({
  headerBytes: size("4KiB", "1MiB").prefault("64KiB").describe("Largest request or response head."),
  headerFields: count(10, 10_000).prefault(1000).describe("Most fields of a request or response head, or of trailers."),
  headerLine: size("256B", "1MiB").prefault("64KiB").describe("Longest line of a request or response head."),
  bodyBytes: size("0B", "999999GiB")
    .prefault("0B")
    .describe("Largest body of a request; larger ones are refused with 413. 0B: any."),
  headerTime: duration("10ms", "10m")
    .prefault("20s")
    .describe("Longest time from the first byte of a request head to its last."),
  keepAlive: duration("10ms", "1d").prefault("75s").describe("How long an idle client connection is kept."),
  connectTime: duration("10ms", "10m").prefault("5s").describe("Longest time to connect to an endpoint."),
  idleTime: duration("10ms", "20d")
    .prefault("1h")
    .describe(
      "Longest silence, both ways, on a request, stream, WebSocket or TCP connection. There is no overall deadline.",
    ),
  connections: count(1, 1_000_000)
    .prefault(20_000)
    .describe("Client connections open at once, of all ports; more are refused. Tunnels and TCP count here too."),
  connectionsPerClient: count(0, 1_000_000)
    .prefault(10_000)
    .describe(
      "The same from one client address (of IPv6: one /64). 0: no bound but the total. A proxy in front is one client.",
    ),
  requests: count(0, 1_000_000)
    .prefault(20_000)
    .describe(
      "Requests under way at once; more are answered 503. Streams of HTTP/2 and open WebSockets are requests. 0: no bound.",
    ),
  requestsPerClient: count(0, 1_000_000)
    .prefault(10_000)
    .describe("The same from one client address (of IPv6: one /64). 0: no bound but the total."),
  requestsPerService: count(0, 1_000_000)
    .prefault(10_000)
    .describe("The same for one service, whose policy may ask for fewer. 0: no bound but the total."),
  upstreamIdle: count(0, 10_000).prefault(256).describe("Idle connections kept to each endpoint."),
  upstreamSessions: count(1, 1000)
    .prefault(32)
    .describe(
      "HTTP/2 connections (gRPC) open to each endpoint at once; calls beyond what they take wait for connectTime.",
    ),
  http2Streams: count(1, 10_000).prefault(256).describe("Streams of one HTTP/2 client connection open at once."),
  http2Resets: count(1, 1_000_000)
    .prefault(1000)
    .describe(
      "Streams that one HTTP/2 client connection may break off at once, and as many again every half a minute; it ends with one more (CVE-2023-44487).",
    ),
  http2ControlFrames: count(10, 1_000_000)
    .prefault(1000)
    .describe(
      "PING and SETTINGS frames that one HTTP/2 client connection may send at once, and as many again every ten seconds, beside those that go with 200 bytes of other traffic each; it ends with one more.",
    ),
  tries: count(1, 100)
    .prefault(3)
    .describe("Endpoints that one request is tried at, where nothing that was sent can have happened twice."),
  ejectAfter: count(1, 1000)
    .prefault(3)
    .describe(
      "Failures in a row (no connection, or one that breaks before an answer) from which on an endpoint is passed over.",
    ),
  ejectFirst: duration("10ms", "1h")
    .prefault("1s")
    .describe("How long an endpoint is passed over at first; each time again doubles it."),
  ejectLongest: duration("10ms", "1d").prefault("30s").describe("The longest that an endpoint is passed over."),
  ejectShare: count(0, 100)
    .prefault(80)
    .describe(
      "The most of a service's endpoints, in percent, that are passed over at once. One may always be, the last one never is; 0 turns it off.",
    ),
  slowStart: duration("0ms", "1h")
    .prefault("0ms")
    .describe(
      "How long an endpoint that joins others, or is well again, gets less than its share, rising from a tenth; 0ms turns it off. " +
        "A service's policy may say otherwise.",
    ),
});
export type LimitsConfig = z.output<typeof LimitsConfig>;

export const AccessLogConfig = z.strictObject({
  mode: z
    .enum(["off", "sampled", "full"])
    .prefault("off")
    .describe("Log no requests, a share of them and every failure (5xx), or all."),
  sample: share.prefault(0.01).describe("Share of the requests that `sampled` logs."),
  file: filePath.optional().describe("File that lines are appended to. Without it they go to standard output."),
  maxBytes: size("1MiB", "100GiB").prefault("100MiB").describe("Size at which the file is moved to FILE.1."),
  files: count(2, 1000).prefault(5).describe("Files kept, the current one included."),
  bufferBytes: size("64KiB", "1GiB")
    .prefault("4MiB")
    .describe(
      "Lines that wait to be written. Beyond that they are dropped and counted: requests never wait for the log.",
    ),
  query: flag.prefault(false).describe("Log the query of paths too; tokens are often in there."),
  principal: flag.prefault(true).describe("Log who was let in."),
});
export type AccessLogConfig = z.output<typeof AccessLogConfig>;

export const TracingConfig = z.strictObject({
  otlp: z
    .url({ protocol: /^https?$/, error: "expected a URL such as http://127.0.0.1:4318/v1/traces" })
    .optional()
    .describe(
      "Send spans there, by OTLP over HTTP: the whole URL, mostly ending in /v1/traces. Without it none are made.",
    ),
  sample: share.prefault(0.05).describe("Share of the traces that start here which are kept."),
  followParent: flag
    .prefault(true)
    .describe("Where a request is part of a trace already, keep what its sender keeps. Otherwise `sample` decides."),
  serviceName: z
    .string()
    .regex(/^[\x21-\x7e]{1,200}$/, { error: "expected 1 to 200 visible characters" })
    .prefault("taskgate")
    .describe("What the spans call this gate: their service.name."),
});
export type TracingConfig = z.output<typeof TracingConfig>;

export const RequestIdConfig = z
  .enum(["keep", "replace"])
  .prefault("keep")
  .describe("Whether a visitor's own X-Request-Id, if well-formed, is what logs and the job get, or always a new one.");
export type RequestIdConfig = z.output<typeof RequestIdConfig>;

export const MetricsConfig = z.strictObject({
  perService: flag.prefault(true).describe("Have figures of each service, beside those of all."),
  services: count(1, 10_000)
    .prefault(200)
    .describe("Services that have figures of their own; those of all others are summed as `other`."),
});
export type MetricsConfig = z.output<typeof MetricsConfig>;

export const TcpConfig = z.strictObject({
  ports: portRange.prefault("20000-20999").describe("Range that raw TCP services get their port from."),
  services: z
    .record(
      z.string().regex(/^[^/]+\/[^/]+\/[^/]+$/, { error: "expected PROVIDER/TASK/SERVICE" }),
      z.union([z.literal("auto"), count(1, 65_535)], { error: "expected a port from 1 to 65535, or auto" }),
    )
    .meta({ title: "map of PROVIDER/TASK/SERVICE to a port, or auto" })
    .prefault({})
    .describe(
      "TCP services, as PROVIDER/TASK/SERVICE, that get a port though their access is not public; the value is the port, or auto. " +
        "A raw port carries no login: whoever reaches it is in.",
    ),
});
export type TcpConfig = z.output<typeof TcpConfig>;

export const LoginConfig = z.strictObject({
  link: duration("1s", "7d").prefault("15m").describe("How long a printed login link is good. It works once."),
  gateSession: duration("1s", "365d").prefault("30d").describe("How long a browser stays logged in to the gate."),
  keyRotation: duration("0ms", "3650d")
    .prefault("30d")
    .describe(
      "Age at which the keys that sign sessions and assertions are followed by new ones. What the old ones signed stays good. " +
        "0ms: only `taskgate keys rotate` does it.",
    ),
  session: duration("1s", "30d")
    .prefault("12h")
    .describe("How long a browser's session of one service lasts before it is renewed through the gate."),
  code: duration("1s", "60s")
    .prefault("60s")
    .describe("How long the single-use code between the gate's host and a service's host is good."),
  tokens: z
    .strictObject({
      lifetime: duration("1m", "3650d")
        .prefault("90d")
        .describe("How long an issued token is good where nobody says for how long."),
      maxLifetime: duration("1m", "3650d").prefault("365d").describe("The longest that anybody may ask for."),
    })
    .refine((tokens) => tokens.lifetime <= tokens.maxLifetime, {
      path: ["lifetime"],
      error: "must not exceed login.tokens.maxLifetime",
    })
    .prefault({})
    .describe("Tokens for programs, as people make them."),
  methods: z
    .array(LoginMethod)
    .max(20)
    .prefault([])
    .describe("Ways to log in, beside the login link and token of who runs the gate, which always work."),
  admins: z
    .array(whoName)
    .max(1000)
    .meta({ title: "list of [user:|group:][REALM/]NAME" })
    .prefault([])
    .describe("Administrators, beside who runs the gate. Without a realm, that of the first method is meant."),
});
export type LoginConfig = z.output<typeof LoginConfig>;

export const ReconcileConfig = z
  .strictObject({
    settle: duration("0ms", "10s").prefault("10ms").describe("Quiet time before a rebuild that follows another."),
    maxWait: duration("1ms", "60s").prefault("100ms").describe("Longest wait while changes keep arriving."),
  })
  .refine((config) => config.settle <= config.maxWait, {
    path: ["settle"],
    error: "must not exceed reconcile.maxWait",
  });
export type ReconcileConfig = z.output<typeof ReconcileConfig>;

export const LocalConfig = z.strictObject({
  enabled: flag.prefault(true).describe("Run commands and take in ports of this machine."),
  discoverEvery: duration("10ms", "1h")
    .prefault("500ms")
    .describe(
      "How often the ports that tasks open are looked for; a quarter as often once nothing has changed for a minute.",
    ),
  stopGrace: duration("0ms", "1h").prefault("10s").describe("Time between SIGTERM and SIGKILL when a task is stopped."),
  logBytes: size("4KiB", "10GiB").prefault("10MiB").describe("Size at which a replica's log is rotated."),
  logFiles: count(1, 100).prefault(3).describe("Log files kept for each replica, the current one included."),
});
export type LocalConfig = z.output<typeof LocalConfig>;

export const FileConfig = z.strictObject({
  name: providerName.prefault("file").describe("Name of this provider; first part of its tasks' keys."),
  path: filePath.describe("YAML file with tasks; watched."),
  allowLoopback: flag
    .prefault(false)
    .describe(
      "Let its tasks be at loopback addresses. Whoever writes the file then publishes any port of this machine.",
    ),
});
export type FileConfig = z.output<typeof FileConfig>;

/** The whole configuration. Every component gets only its slice. */
export const Config = z.strictObject({
  listen: ListenConfig.prefault({}).describe("The gate's port."),
  domain: hostName.prefault("localhost").describe("Services are at NAME.DOMAIN."),
  gateHost: hostName.optional().describe("Host of the gate's own page and API. Default: taskgate.DOMAIN."),
  pathHost: hostName.optional().describe("Host of services in path mode; never the gate's. Default: paths.DOMAIN."),
  admin: z
    .strictObject({
      address: hostPort
        .prefault("127.0.0.1:7081")
        .describe("Metrics and health checks; without `tokenFile` loopback only."),
      tokenFile: filePath
        .optional()
        .describe(
          "File with the token that metrics then ask for (Authorization: Bearer TOKEN); health checks ask nobody. Read each time.",
        ),
      enabled: flag.prefault(true).describe("Serve it at all."),
    })
    .prefault({})
    .describe("The admin port: /metrics, /healthz, /readyz."),
  metrics: MetricsConfig.prefault({}).describe("What /metrics of the admin port tells."),
  accessLog: AccessLogConfig.prefault({}).describe(
    "One line of JSON for each request and connection, when it is over.",
  ),
  audit: AuditConfig.prefault({}).describe(
    "Who did what, from where, and what became of it: files in the folder audit of the state folder.",
  ),
  tracing: TracingConfig.prefault({}).describe("OpenTelemetry. Trace context (W3C) is passed on in any case."),
  requestId: RequestIdConfig,
  tcp: TcpConfig.prefault({}).describe("Raw TCP ports."),
  access: AccessConfig.prefault({}).describe(
    "Who may be let in: what the administrator gives, and bounds of what owners give.",
  ),
  login: LoginConfig.prefault({}).describe("Ways to log in, and lifetimes of logins and sessions."),
  limits: LimitsConfig.prefault({}).describe("Bounds of the data plane."),
  dataPlane: z
    .enum(["embedded", "envoy"])
    .prefault("embedded")
    .describe(
      "What moves the bytes: the gate itself, or Envoys that it configures. `taskgate up --data-plane` sets it.",
    ),
  envoy: EnvoyConfig.prefault({}).describe("The data plane of Envoys; see docs/envoy.md."),
  workers: z
    .union([z.literal("auto"), count(0, 256)], { error: "expected a number of processes from 0 to 256, or auto" })
    .meta({ title: "a number of processes, or auto" })
    .prefault(0)
    .describe(
      "Processes that move the bytes, all on the same port: one that dies takes only its own connections along. " +
        "0: the gate's own process does it. auto: as many as there are processors. Of a local Envoy: its threads.",
    ),
  drain: duration("0ms", "7d")
    .prefault("10s")
    .describe(
      "How long what is open gets to end by itself when the gate is stopped. Nobody new is taken in meanwhile, and asking again stops it at once.",
    ),
  workerGrace: duration("0ms", "7d")
    .prefault("10m")
    .describe(
      "How long what is open in a worker process goes on once the gate is gone (crashed or killed) or the worker is replaced (SIGUSR2). " +
        "Of a local Envoy: how long what is open in a replaced one goes on.",
    ),
  reconcile: ReconcileConfig.prefault({}).describe("How changes are gathered."),
  cull: CullConfig.prefault({}).describe("Stopping of tasks that nobody uses."),
  local: LocalConfig.prefault({}).describe("The provider of this machine."),
  files: z.array(FileConfig).prefault([]).describe("Providers that read tasks from files."),
  providers: z
    .array(KubernetesProviderConfig)
    .max(100)
    .prefault([])
    .describe("Providers that ask others what runs: clusters of Kubernetes; see docs/kubernetes.md."),
  determined: DeterminedConfig.prefault({}).describe(
    "Determined: its own configuration, by which its clusters of Kubernetes are providers; see docs/determined.md.",
  ),
  front: FrontConfig.optional().describe(
    "Somebody's ingress before the gate, which the gate tells what leads to it; see docs/fronts.md.",
  ),
  store: StoreConfig.prefault({}).describe("What outlives the gate: tokens, grants, keys, names and ports."),
  log: z
    .strictObject({
      level: z.enum(["debug", "info", "warn", "error"]).prefault("info").describe("Least severity that is logged."),
    })
    .prefault({})
    .describe("The gate's own log."),
});
export type Config = z.output<typeof Config>;
