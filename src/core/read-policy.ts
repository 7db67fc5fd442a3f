import type { ActiveHealth, Policy } from "../model/index.ts";
import { LIMITS } from "./limits.ts";
import {
  own,
  readBoolean,
  readChoice,
  readFields,
  readInteger,
  readList,
  readText,
  readWord,
  shown,
  Unusable,
} from "./read-value.ts";

const DAY_MS = 86_400_000;
const NO_POLICY: Policy = Object.freeze({});

/** Path and query as a request line may hold them (RFC 9112, section 3.2.1); two slashes at the front would name another host. */
export const PATH = { is: /^\/(?!\/)[\u0021-\u005b\u005d-\u007e]{0,2047}$/, example: "a path such as /lab" };
const ORIGIN = { is: /^https?:\/\/[^\s/?#@\\"<>]{1,255}$/, example: "an origin such as https://example.com" };

type Readers = { readonly [K in keyof Policy]-?: (value: unknown, what: string) => Policy[K] };

const timeout = (value: unknown, what: string) => readInteger(value, what, 1, 365 * DAY_MS);
const line = (value: unknown, what: string) => readText(value, what, 512);

const READERS: Readers = {
  connectTimeoutMs: timeout,
  idleTimeoutMs: timeout,
  activeHealth: readActiveHealth,
  sticky: readBoolean,
  slowStartMs: (value, what) => readInteger(value, what, 0, DAY_MS),
  rewriteHost: readBoolean,
  upstreamTls: readUpstreamTls,
  authorization: (value, what) => readChoice(value, what, ["gate", "app"] as const),
  allowedOrigins: (value, what) =>
    Object.freeze(readList(value, what, LIMITS.originsPerPolicy).map((origin) => readWord(origin, what, ORIGIN))),
  frame: line,
  writeAction: line,
  assertion: (value, what) => readChoice(value, what, ["session", "fresh"] as const),
  cull: line,
};
const NAMES = Object.keys(READERS);

/** A frozen copy; fields that are undefined are left out. Throws Unusable. */
export function readPolicy(value: unknown): Policy {
  const fields = readFields(value, "policy");
  const given = Object.keys(fields);
  if (given.length === 0) return NO_POLICY;
  const policy: Record<string, unknown> = {};
  for (const name of given) {
    if (!isPolicyName(name)) throw new Unusable(`policy has ${shown(name)}; expected ${NAMES.join(", ")}.`);
    if (fields[name] !== undefined) policy[name] = READERS[name](fields[name], `policy.${name}`);
  }
  return Object.freeze(policy);
}

function isPolicyName(name: string): name is keyof Policy {
  return Object.hasOwn(READERS, name);
}

function readActiveHealth(value: unknown, what: string): ActiveHealth {
  const fields = readFields(value, what);
  const path = fields.path;
  return Object.freeze({
    ...(path !== undefined && { path: readWord(path, `${what}.path`, PATH) }),
    everyMs: readInteger(fields.everyMs, `${what}.everyMs`, 100, DAY_MS),
  });
}

function readUpstreamTls(value: unknown, what: string): NonNullable<Policy["upstreamTls"]> {
  const fields = readFields(value, what);
  const verify = readChoice(fields.verify, `${what}.verify`, ["full", "authority", "none"]);
  const rest = (["serverName", "authority", "identity"] as const)
    .map((name) => [name, own(fields, name)] as const)
    .filter(([, field]) => field !== undefined)
    .map(([name, field]) => [name, readText(field, `${what}.${name}`, 16_384)]);
  return Object.freeze({ verify, ...(Object.fromEntries(rest) as { serverName?: string }) });
}
