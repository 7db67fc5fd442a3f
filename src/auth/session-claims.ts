import { type Identity, type Principal, SCOPE_ACTIONS, type ScopeAction } from "../model/index.ts";

const MAX_GROUPS = 32;
const MAX_NAME = 1024;
const PROOF = /^[a-z0-9-]{1,64}$/;
const SESSION_ID = /^[A-Za-z0-9-]{1,64}\.[A-Za-z0-9_-]{16,64}$/;

/** What a session's token says. `groups`: realm and name, at most 32. */
export interface SessionClaims {
  /** `gate:` and the service. */
  readonly aud: string;
  readonly realm: string;
  readonly sub: string;
  readonly groups?: readonly (readonly [realm: string, name: string])[];
  readonly adm: boolean;
  /** How they proved who they are: name of the login method. */
  readonly amr?: string;
  /** The assertion for the service's job, which whoever serves the session only copies; empty where none fits. */
  readonly ast?: string;
  /** Actions of the scope of the token that it came from, on the one service that it is for; absent: it came from none. */
  readonly act?: readonly ScopeAction[];
  /** `fingerprintOf` the route: this and the next four are there where a data plane verifies sessions by itself. */
  readonly fp?: string;
  /** Seconds since 1970: from then on the gate is to be asked. */
  readonly rnw?: number;
  /** Seconds since 1970: until then they may, whatever becomes of the gate. */
  readonly per?: number;
  /** What the job is told of who asks: `X-Taskgate-User`. */
  readonly xu?: string;
  /** `X-Taskgate-Groups`. */
  readonly xg?: string;
  /** `LOGIN.SESSION`. */
  readonly sid: string;
  readonly host: string;
  /** Seconds since 1970. */
  readonly iat: number;
  /** Seconds since 1970. */
  readonly exp: number;
}

const REQUIRED: Readonly<Record<string, (value: unknown) => boolean>> = {
  aud: isString,
  realm: isName,
  sub: isName,
  adm: (value) => typeof value === "boolean",
  sid: (value) => isString(value) && SESSION_ID.test(value),
  host: isString,
  iat: Number.isSafeInteger,
  exp: Number.isSafeInteger,
};

const OPTIONAL: Readonly<Record<string, (value: unknown) => boolean>> = {
  groups: isGroups,
  act: (value) => Array.isArray(value) && value.every((action) => SCOPE_ACTIONS.includes(action as ScopeAction)),
  amr: (value) => isString(value) && PROOF.test(value),
  fp: (value) => isString(value) && /^[\w-]{22}$/.test(value),
  rnw: Number.isSafeInteger,
  per: Number.isSafeInteger,
  xu: isFieldText,
  xg: isFieldText,
  ast: (value) => isString(value) && /^(|[\w-]+\.[\w-]+\.[\w-]+)$/.test(value),
};

/**
 * null: not the claims of a session, though signed: a claim is missing, of another type, or one too many. Read by hand: a schema library
 * would be a third of the memory of a worker process, whose only use for one this would be.
 */
export function parseClaims(text: string | null): SessionClaims | null {
  return text === null ? null : readClaims(parseJson(text));
}

export function principalOf({ realm, sub, groups = [], adm, act }: SessionClaims): Principal {
  const named = groups.map(([of, name]): Identity => ({ realm: of, name }));
  return { realm, name: sub, groups: named, admin: adm, ...(act === undefined ? {} : { scope: { actions: act } }) };
}

/** Claims that a data plane reads. */
const READ_BY_PLANES: ReadonlySet<string> = new Set(["iat", "exp", "sid", "fp", "rnw", "per", "xu", "xg", "ast"]);

/**
 * As they are signed. Where a data plane verifies them, what it does not read stands in one text (`own`): it takes apart whatever is apart, for
 * every request.
 */
export function writeClaims(claims: SessionClaims): string {
  if (claims.fp === undefined) return JSON.stringify(claims);
  const entries = Object.entries(claims);
  const own = Object.fromEntries(entries.filter(([name]) => !READ_BY_PLANES.has(name)));
  const read = Object.fromEntries(entries.filter(([name]) => READ_BY_PLANES.has(name)));
  return JSON.stringify({ ...read, own: JSON.stringify(own) });
}

/** Claims as `writeClaims` has them, taken apart; null: they are none. */
export function readClaims(value: unknown): SessionClaims | null {
  if (typeof value !== "object" || value === null || !("own" in value)) return isClaims(value) ? value : null;
  const { own, ...read } = value;
  const inner = typeof own === "string" ? parseJson(own) : null;
  if (typeof inner !== "object" || inner === null) return null;
  if (Object.keys(inner).some((name) => READ_BY_PLANES.has(name))) return null;
  const claims = { ...inner, ...read };
  return isClaims(claims) ? claims : null;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** Whether that is what a session says: every claim of its type, none missing and none too many. */
function isClaims(value: unknown): value is SessionClaims {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  const claims = value as Record<string, unknown>;
  return (
    Object.entries(claims).every(
      ([name, value]) =>
        Object.hasOwn(REQUIRED, name) || (Object.hasOwn(OPTIONAL, name) && OPTIONAL[name]?.(value) === true),
    ) && Object.entries(REQUIRED).every(([name, holds]) => Object.hasOwn(claims, name) && holds(claims[name]))
  );
}

function isGroups(value: unknown): boolean {
  return (
    Array.isArray(value) &&
    value.length <= MAX_GROUPS &&
    value.every((group: unknown) => Array.isArray(group) && group.length === 2 && group.every(isName))
  );
}

function isString(value: unknown): value is string {
  return typeof value === "string";
}

function isFieldText(value: unknown): boolean {
  return isString(value) && /^[!-~]+$/.test(value);
}

function isName(value: unknown): boolean {
  return isString(value) && value.length > 0 && value.length <= MAX_NAME;
}
