import {
  OWNER_ONLY,
  parseWho,
  type Access,
  type Endpoint,
  type Exposure,
  type Grant,
  type Identity,
  type Service,
  type Task,
} from "../../model/index.ts";
import { canonicalIp } from "../../platform/target-check.ts";
import type { AccessEntry, ServiceEntry, TaskEntry } from "./task-schema.ts";

/** Why an address may not be a target, in words that follow it; null: it may. */
export type TargetCheck = (ip: string, port: number) => string | null;

/** A task, and what of its entry could not be taken. */
export interface BuiltTask {
  readonly task: Task;
  /** Endpoints that are left out; paths are within the entry. */
  readonly refused: readonly { readonly path: readonly PropertyKey[]; readonly message: string }[];
}

/** A task of the model from one entry of the file. Pure. */
export function buildTask(
  entry: TaskEntry,
  context: { readonly owner: Identity; readonly target: TargetCheck },
): BuiltTask {
  const owner = ownerOf(entry, context.owner);
  const refused: { path: readonly PropertyKey[]; message: string }[] = [];
  const endpoints = entry.services.map((service, index) => {
    const built = buildEndpoints(service, context.target);
    refused.push(...built.refused.map(({ at, message }) => ({ path: ["services", index, "endpoints", at], message })));
    return [service.name, built.list] as const;
  });
  const task: Task = {
    id: entry.name,
    name: entry.name,
    kind: entry.kind,
    owner,
    namespace: entry.namespace,
    labels: entry.labels,
    state: "running",
    services: entry.services.map((service) => buildService(service, owner)),
    endpoints: Object.fromEntries(endpoints),
    access: buildAccess(entry.access, owner),
  };
  return { task, refused };
}

function ownerOf(entry: TaskEntry, standard: Identity): Identity {
  if (entry.owner === undefined) return standard;
  return typeof entry.owner === "string" ? { realm: standard.realm, name: entry.owner } : entry.owner;
}

function buildService(entry: ServiceEntry, owner: Identity): Service {
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

function buildEndpoints(
  entry: ServiceEntry,
  target: TargetCheck,
): {
  readonly list: readonly Endpoint[];
  readonly refused: readonly { readonly at: number; readonly message: string }[];
} {
  const list: Endpoint[] = [];
  const refused: { at: number; message: string }[] = [];
  for (const [at, raw] of entry.endpoints.entries()) {
    const { address, weight, replica } =
      typeof raw === "string" ? { address: raw, weight: 1, replica: undefined } : raw;
    const parsed = parseAddress(address);
    const reason =
      parsed === null ? "is no IP:PORT, such as 10.0.0.5:8888 or [2001:db8::1]:80" : target(parsed.ip, parsed.port);
    if (parsed === null || reason !== null) {
      refused.push({ at, message: `the endpoint is left out: ${JSON.stringify(address)} ${String(reason)}` });
      continue;
    }
    const ip = canonicalIp(parsed.ip);
    list.push({ address: { ip, port: parsed.port }, replica: replica ?? String(at), weight, health: "unknown" });
  }
  return { list, refused };
}

/** `10.0.0.5:8888`, `[2001:db8::1]:80`; null: neither. */
function parseAddress(text: string): { readonly ip: string; readonly port: number } | null {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+)):(\d{1,5})$/.exec(text);
  if (match === null) return null;
  const [, v6, v4, port] = match;
  return { ip: v6 ?? v4 ?? "", port: Number(port) };
}

function buildAccess(entry: AccessEntry, owner: Identity): Access {
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
