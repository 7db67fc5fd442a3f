import { z } from "zod";
import { whoName } from "../config/login-methods.ts";

const LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
export const label = (what: string) =>
  z.string().regex(LABEL, { error: `expected ${what} of lower-case letters, digits and dashes, such as nb-1` });
const port = z.int({ error: "expected a port from 1 to 65535" }).min(1).max(65_535);
const milliseconds = z.int().min(1).max(31_536_000_000);

const Anyone = z.enum(["nobody", "authenticated", "public"]);

export const Name = z.string().min(1).max(256);
export const Identity = z.strictObject({ realm: Name, name: Name });

/** Somebody who may come in: a name of the owner's realm, or with a realm, or with an end. */
const Grantee = Name.or(
  z.strictObject({
    realm: Name.optional(),
    name: Name,
    until: z.iso.datetime({ offset: true, error: "expected a time such as 2027-01-31T18:00:00Z" }).optional(),
  }),
);

/** Who may use a task or a service. */
export const AccessEntry = Anyone.or(
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

/** What is said of a service in the same words wherever people write tasks down. */
export const serviceFields = {
  name: label("a name"),
  protocol: z.enum(["http", "grpc", "tcp", "tls"]).prefault("http"),
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
  access: AccessEntry.optional(),
  policy: Policy.prefault({}),
};

/** Whatever else is said of it. */
export type ServiceEntry = z.output<z.ZodObject<typeof serviceFields>>;
export type AccessEntry = z.output<typeof AccessEntry>;

/** What must agree between the fields of a service. */
export function checkService(service: ServiceEntry, context: z.RefinementCtx): void {
  const refuse = (field: string, message: string): void => context.addIssue({ code: "custom", path: [field], message });
  const { guard, protocol } = service;
  if (guard === "self" && protocol !== "tcp" && protocol !== "tls") {
    refuse("guard", "self is for tcp and tls services; the gate asks for a login wherever http and grpc can carry one");
  }
  if (service.path !== undefined && protocol !== "http") refuse("path", "only http services have a path");
  if (service.stripPath !== undefined && service.path === undefined) refuse("stripPath", "there is no path to strip");
  if (service.port !== undefined && protocol !== "tcp") refuse("port", "only tcp services have a port of their own");
  if (service.serverName !== undefined && protocol !== "tls")
    refuse("serverName", "only tls services have a server name");
}

/** For `superRefine` of what holds a list of services. */
export function checkServiceNames(
  services: readonly { readonly name: string }[],
  context: z.RefinementCtx,
  path: readonly PropertyKey[],
): void {
  const names = services.map((service) => service.name);
  for (const [index, name] of names.entries()) {
    if (names.indexOf(name) === index) continue;
    context.addIssue({ code: "custom", path: [...path, index, "name"], message: `two services are named ${name}` });
  }
}
