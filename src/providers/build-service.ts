import {
  OWNER_ONLY,
  parseWho,
  type Access,
  type Exposure,
  type Grant,
  type Identity,
  type Service,
} from "../model/index.ts";
import type { AccessEntry, ServiceEntry } from "./service-entry.ts";

/** A service of the model; `owner`: whose realm is meant where none is named, and who gives what its access says. */
export function buildService(entry: ServiceEntry, owner: Identity): Service {
  return {
    name: entry.name,
    protocol: entry.protocol,
    guard: entry.guard,
    ...(entry.landingPath !== undefined && { landingPath: entry.landingPath }),
    exposures: buildExposures(entry),
    ...(entry.access !== undefined && { access: buildAccess(entry.access, owner) }),
    policy: withoutUndefined(entry.policy),
  };
}

function buildExposures(entry: ServiceEntry): readonly Exposure[] {
  const exposures: Exposure[] = [];
  if (entry.hostLabel !== undefined) exposures.push({ by: "host", label: entry.hostLabel });
  if (entry.path !== undefined) exposures.push({ by: "path", prefix: entry.path, strip: entry.stripPath ?? false });
  if (entry.serverName !== undefined) exposures.push({ by: "serverName", name: entry.serverName });
  if (entry.port !== undefined)
    exposures.push(entry.port === "auto" ? { by: "port" } : { by: "port", port: entry.port });
  return exposures;
}

/** The same of access. */
export function buildAccess(entry: AccessEntry, owner: Identity): Access {
  if (entry === "nobody") return OWNER_ONLY;
  if (typeof entry === "string") return { grants: [], anyone: entry };
  const whom = entry.with.map((text): Grant => ({ to: parseWho(text, owner.realm), by: owner }));
  const users = entry.users.map((user): Grant => grant(user, owner, (identity) => identity));
  const groups = entry.groups.map((group): Grant => grant(group, owner, (identity) => ({ group: identity })));
  return { grants: [...whom, ...users, ...groups], anyone: entry.anyone };
}

type Grantee = Exclude<AccessEntry, string>["users"][number];

function grant(grantee: Grantee, owner: Identity, to: (identity: Identity) => Grant["to"]): Grant {
  if (typeof grantee === "string") return { to: to({ realm: owner.realm, name: grantee }), by: owner };
  const identity = { realm: grantee.realm ?? owner.realm, name: grantee.name };
  return { to: to(identity), ...(grantee.until !== undefined && { until: Date.parse(grantee.until) }), by: owner };
}

/** zod writes optional keys that were given as undefined; the model has none. */
function withoutUndefined(value: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, field]) => field !== undefined)
      .map(([name, field]) => [name, isPlain(field) ? withoutUndefined(field) : field]),
  );
}

function isPlain(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
