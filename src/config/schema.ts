import { z } from "zod";
import { duration, hostName, hostPort, portRange, size } from "./units.ts";

const Anyone = z.enum(["nobody", "authenticated", "public"]);

export const ListenConfig = z.strictObject({
  address: hostPort.prefault("127.0.0.1:7080").describe("Where the gate listens: one port for everything."),
  tls: z
    .strictObject({
      certificate: z.string().min(1).describe("File with the certificate chain, PEM."),
      key: z.string().min(1).describe("File with the private key, PEM."),
    })
    .optional()
    .describe("Serve TLS on the address. Without it the gate speaks plain HTTP."),
  plainOnPublicAddress: z
    .boolean()
    .prefault(false)
    .describe(
      "Allow plain HTTP on an address that is not loopback. Logins and sessions then cross the network unencrypted.",
    ),
});
export type ListenConfig = z.output<typeof ListenConfig>;

export const LimitsConfig = z.strictObject({
  headerBytes: size.prefault("64KiB").describe("Largest request or response head."),
  headerTime: duration.prefault("20s").describe("Longest time from the first byte of a request head to its last."),
  keepAlive: duration.prefault("75s").describe("How long an idle client connection is kept."),
  connectTime: duration.prefault("5s").describe("Longest time to connect to an endpoint."),
  idleTime: duration
    .prefault("1h")
    .describe(
      "Longest silence, both ways, on a request, stream, WebSocket or TCP connection. There is no overall deadline.",
    ),
  connections: z.int().min(1).prefault(20_000).describe("Client connections open at once; more are refused."),
  upstreamIdle: z.int().min(0).prefault(32).describe("Idle connections kept to each endpoint."),
});
export type LimitsConfig = z.output<typeof LimitsConfig>;

export const TcpConfig = z.strictObject({
  ports: portRange.prefault("20000-20999").describe("Range that raw TCP services get their port from."),
  services: z
    .record(
      z.string().regex(/^[^/]+\/[^/]+\/[^/]+$/, { error: "expected PROVIDER/TASK/SERVICE" }),
      z.literal("auto").or(z.int().min(1).max(65_535)),
    )
    .prefault({})
    .describe(
      "TCP services, as PROVIDER/TASK/SERVICE, that get a port though their access is not public; the value is the port, or auto. " +
        "A raw port carries no login: whoever reaches it is in.",
    ),
});
export type TcpConfig = z.output<typeof TcpConfig>;

export const AccessConfig = z.strictObject({
  ceiling: Anyone.prefault("public").describe(
    "The most open that anyone may make a service: nobody, authenticated or public.",
  ),
});
export type AccessConfig = z.output<typeof AccessConfig>;

export const LoginConfig = z.strictObject({
  link: duration.prefault("15m").describe("How long a printed login link is good. It works once."),
  gateSession: duration.prefault("30d").describe("How long a browser stays logged in to the gate."),
  session: duration
    .prefault("12h")
    .describe("How long a browser's session of one service lasts before it is renewed through the gate."),
  code: duration
    .prefault("60s")
    .refine((ms) => ms <= 60_000, { error: "must not exceed 60s" })
    .describe("How long the single-use code between the gate's host and a service's host is good."),
});
export type LoginConfig = z.output<typeof LoginConfig>;

export const ReconcileConfig = z
  .strictObject({
    settle: duration.prefault("10ms").describe("Quiet time before a rebuild that follows another."),
    maxWait: duration.prefault("100ms").describe("Longest wait while changes keep arriving."),
  })
  .refine((config) => config.settle <= config.maxWait, { path: ["settle"], error: "must not exceed maxWait" });
export type ReconcileConfig = z.output<typeof ReconcileConfig>;

export const LocalConfig = z.strictObject({
  enabled: z.boolean().prefault(true).describe("Run commands and take in ports of this machine."),
  discoverEvery: duration.prefault("500ms").describe("How often the ports that tasks open are looked for."),
  stopGrace: duration.prefault("10s").describe("Time between SIGTERM and SIGKILL when a task is stopped."),
  logBytes: size.prefault("10MiB").describe("Size at which a replica's log is rotated."),
  logFiles: z.int().min(1).max(100).prefault(3).describe("Log files kept for each replica, the current one included."),
});
export type LocalConfig = z.output<typeof LocalConfig>;

export const FileConfig = z.strictObject({
  name: z
    .string()
    .regex(/^[a-z][a-z0-9-]{0,30}$/, { error: "expected a name of lower-case letters, digits and dashes" })
    .prefault("file")
    .describe("Name of this provider; first part of its tasks' keys."),
  path: z.string().min(1).describe("YAML file with tasks; watched."),
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
      address: hostPort.prefault("127.0.0.1:7081").describe("Metrics and health checks; loopback only."),
      enabled: z.boolean().prefault(true).describe("Serve it at all."),
    })
    .prefault({})
    .describe("The admin port: /metrics, /healthz, /readyz."),
  tcp: TcpConfig.prefault({}).describe("Raw TCP ports."),
  access: AccessConfig.prefault({}).describe("Bounds on who may be let in."),
  login: LoginConfig.prefault({}).describe("Lifetimes of logins and sessions."),
  limits: LimitsConfig.prefault({}).describe("Bounds of the data plane."),
  reconcile: ReconcileConfig.prefault({}).describe("How changes are gathered."),
  local: LocalConfig.prefault({}).describe("The provider of this machine."),
  files: z.array(FileConfig).prefault([]).describe("Providers that read tasks from files."),
  log: z
    .strictObject({
      level: z.enum(["debug", "info", "warn", "error"]).prefault("info").describe("Least severity that is logged."),
    })
    .prefault({})
    .describe("The gate's own log."),
});
export type Config = z.output<typeof Config>;
