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

/** Origins as CSP spells them (CSP 3, host-source), one space between them. */
const FRAME = {
  is: /^(app|self|none|any|https?:\/\/(\*\.)?[A-Za-z0-9._-]{1,253}(:\d{1,5})?( https?:\/\/(\*\.)?[A-Za-z0-9._-]{1,253}(:\d{1,5})?){0,15})$/,
  example: "app, self, none, any, or origins such as https://hub.example.com",
};

/** How long nobody may use it. */
const CULL = { is: /^(never|\d{1,9}(ms|s|m|h|d))$/, example: "a duration such as 2h, or never" };

/** What a certificate may hold and a ClientHello may say: a host name or an IP address. */
const SERVER_NAME = { is: /^[A-Za-z0-9_.:-]{1,253}$/, example: "a name such as db.example.com" };
const PEM = /^(\s*-----BEGIN [A-Z0-9 ]{1,40}-----[A-Za-z0-9+/=\s]+-----END [A-Z0-9 ]{1,40}-----)+\s*$/;
const LONGEST_PEM = 64 * 1024;

type Readers = { readonly [K in keyof Policy]-?: (value: unknown, what: string) => Policy[K] };

const timeout = (value: unknown, what: string) => readInteger(value, what, 1, 365 * DAY_MS);
const line = (value: unknown, what: string) => readText(value, what, 512);

const READERS: Readers = {
  connectTimeoutMs: timeout,
  idleTimeoutMs: timeout,
  activeHealth: readActiveHealth,
  sticky: readBoolean,
  maxRequests: (value, what) => readInteger(value, what, 1, 1_000_000),
  slowStartMs: (value, what) => readInteger(value, what, 0, DAY_MS),
  rewriteHost: readBoolean,
  upstreamTls: readUpstreamTls,
  proxyProtocol: (value, what) => readChoice(value, what, ["v1", "v2"] as const),
  authorization: (value, what) => readChoice(value, what, ["gate", "app"] as const),
  allowedOrigins: (value, what) =>
    readList(value, what, LIMITS.originsPerPolicy).map((origin) => readWord(origin, what, ORIGIN)),
  frame: (value, what) => readWord(value, what, FRAME),
  writeAction: line,
  assertion: (value, what) => readChoice(value, what, ["none", "session", "fresh"] as const),
  unheld: (value, what) => readChoice(value, what, ["keep", "close"] as const),
  cull: (value, what) => readWord(value, what, CULL),
};
const NAMES = Object.keys(READERS);

/** A copy; fields that are undefined are left out. Throws Unusable. */
export function readPolicy(value: unknown): Policy {
  const fields = readFields(value, "policy");
  const given = Object.keys(fields);
  if (given.length === 0) return NO_POLICY;
  const policy: Record<string, unknown> = {};
  for (const name of given) {
    if (!isPolicyName(name)) throw new Unusable(`policy has ${shown(name)}; expected ${NAMES.join(", ")}.`);
    if (fields[name] !== undefined) policy[name] = READERS[name](fields[name], `policy.${name}`);
  }
  return policy;
}

function isPolicyName(name: string): name is keyof Policy {
  return Object.hasOwn(READERS, name);
}

function readActiveHealth(value: unknown, what: string): ActiveHealth {
  const fields = readFields(value, what);
  const path = fields.path;
  return {
    ...(path !== undefined && { path: readWord(path, `${what}.path`, PATH) }),
    everyMs: readInteger(fields.everyMs, `${what}.everyMs`, 100, DAY_MS),
  };
}

function readUpstreamTls(value: unknown, what: string): NonNullable<Policy["upstreamTls"]> {
  const fields = readFields(value, what);
  const serverName = own(fields, "serverName");
  return {
    verify: readChoice(fields.verify, `${what}.verify`, ["full", "authority", "none"]),
    ...(serverName !== undefined && { serverName: readWord(serverName, `${what}.serverName`, SERVER_NAME) }),
    ...readPems(fields, what),
  };
}

function readPems(fields: Readonly<Record<string, unknown>>, what: string): { authority?: string; identity?: string } {
  const given = (["authority", "identity"] as const).flatMap((name) => {
    const text = own(fields, name);
    if (text === undefined) return [];
    // What was given is not shown: it may be a key.
    if (typeof text === "string" && text.length <= LONGEST_PEM && PEM.test(text)) return [[name, text] as const];
    throw new Unusable(`${what}.${name} is no PEM of at most ${LONGEST_PEM} characters.`);
  });
  return Object.fromEntries(given);
}
