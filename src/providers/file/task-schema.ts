import { z } from "zod";
import { whoName } from "../../config/login-methods.ts";

const LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
const label = (what: string) =>
  z.string().regex(LABEL, { error: `expected ${what} of lower-case letters, digits and dashes, such as nb-1` });
const port = z.int({ error: "expected a port from 1 to 65535" }).min(1).max(65_535);
const milliseconds = z.int().min(1).max(31_536_000_000);

const Anyone = z.enum(["nobody", "authenticated", "public"]);

const Name = z.string().min(1).max(256);
const Identity = z.strictObject({ realm: Name, name: Name });

/** Somebody who may come in: a name of the owner's realm, or with a realm, or with an end. */
const Grantee = Name.or(
  z.strictObject({
    realm: Name.optional(),
    name: Name,
    until: z.iso.datetime({ offset: true, error: "expected a time such as 2027-01-31T18:00:00Z" }).optional(),
  }),
);

const Access = Anyone.or(
  z.strictObject({
    anyone: Anyone.prefault("nobody"),
    /** As on the command line; without a realm, the owner's is meant. */
    with: z.array(whoName).max(500).prefault([]),
    users: z.array(Grantee).max(500).prefault([]),
    groups: z.array(Grantee).max(500).prefault([]),
  }),
);

const Policy = z.strictObject({
  connectTimeoutMs: milliseconds.optional(),
  idleTimeoutMs: milliseconds.optional(),
  activeHealth: z
    .strictObject({ path: z.string().startsWith("/").max(2048).optional(), everyMs: z.int().min(100).max(86_400_000) })
    .optional(),
  sticky: z.boolean().optional(),
  maxRequests: z.int().min(1).max(1_000_000).optional(),
  slowStartMs: z.int().min(0).max(86_400_000).optional(),
  rewriteHost: z.boolean().optional(),
  upstreamTls: z
    .strictObject({
      serverName: z.string().min(1).max(253).optional(),
      verify: z.enum(["full", "authority", "none"]).prefault("full"),
      authority: z.string().max(65_536).optional(),
      identity: z.string().max(65_536).optional(),
    })
    .transform(({ verify, serverName, authority, identity }) => ({
      verify,
      ...(serverName !== undefined && { serverName }),
      ...(authority !== undefined && { authority }),
      ...(identity !== undefined && { identity }),
    }))
    .optional(),
  proxyProtocol: z.enum(["v1", "v2"]).optional(),
  authorization: z.enum(["gate", "app"]).optional(),
  allowedOrigins: z
    .array(z.string().regex(/^https?:\/\/[^/\s]+$/))
    .max(64)
    .optional(),
  frame: z.string().min(1).max(4096).optional(),
  writeAction: z.string().min(1).max(512).optional(),
  assertion: z.enum(["none", "session", "fresh"]).optional(),
  unheld: z.enum(["keep", "close"]).optional(),
});

/** `IP:PORT`, checked where it is read. */
const Address = z.string().max(64);
const Endpoint = Address.or(
  z.strictObject({
    address: Address,
    weight: z.int().min(1).max(1000).prefault(1),
    replica: z
      .string()
      .regex(/^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/, { error: "expected a name such as 0 or worker-1" })
      .optional(),
  }),
);

const Service = z
  .strictObject({
    name: label("a name"),
    protocol: z.enum(["http", "grpc", "tcp", "tls"]).prefault("http"),
    endpoints: z.array(Endpoint).max(10_000),
    guard: z.enum(["gate", "self"]).prefault("gate"),
    landingPath: z
      .string()
      .regex(/^\/(?!\/)[!-[\]-~]{0,2047}$/, { error: "expected a path such as /lab" })
      .optional(),
    hostLabel: label("a host label").optional(),
    path: z
      .string()
      .regex(/^\/([\w.~-]+\/)+$/, { error: "expected a path that starts and ends with a slash, such as /nb/" })
      .max(512)
      .optional(),
    stripPath: z.boolean().optional(),
    port: port.or(z.literal("auto")).optional(),
    serverName: z.string().min(1).max(253).optional(),
    access: Access.optional(),
    policy: Policy.prefault({}),
  })
  .refine((service) => service.guard === "gate" || service.protocol === "tcp" || service.protocol === "tls", {
    path: ["guard"],
    error: "self is for tcp and tls services; the gate asks for a login wherever http and grpc can carry one",
  })
  .refine((service) => service.path === undefined || service.protocol === "http", {
    path: ["path"],
    error: "only http services have a path",
  })
  .refine((service) => service.stripPath === undefined || service.path !== undefined, {
    path: ["stripPath"],
    error: "there is no path to strip",
  })
  .refine((service) => service.port === undefined || service.protocol === "tcp", {
    path: ["port"],
    error: "only tcp services have a port of their own",
  })
  .refine((service) => service.serverName === undefined || service.protocol === "tls", {
    path: ["serverName"],
    error: "only tls services have a server name",
  });
export type ServiceEntry = z.output<typeof Service>;

/** One task as the file has it; examples/tasks.yaml shows all of it. */
export const TaskEntry = z
  .strictObject({
    name: label("a name"),
    kind: z.string().min(1).max(128).prefault("service"),
    owner: Name.or(Identity).optional(),
    namespace: z.string().max(253).prefault(""),
    labels: z.record(z.string().max(317), z.string().max(4096)).prefault({}),
    access: Access.prefault("nobody"),
    services: z.array(Service).min(1).max(256),
  })
  .superRefine((task, context) => {
    const names = task.services.map((service) => service.name);
    for (const [index, name] of names.entries()) {
      if (names.indexOf(name) === index) continue;
      context.addIssue({
        code: "custom",
        path: ["services", index, "name"],
        message: `two services are named ${name}`,
      });
    }
  });
export type TaskEntry = z.output<typeof TaskEntry>;
export type AccessEntry = z.output<typeof Access>;
