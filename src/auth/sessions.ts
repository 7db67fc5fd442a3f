import { randomBytes } from "node:crypto";
import { z } from "zod";
import {
  GatewayError,
  type Identity,
  type Principal,
  type RequestHead,
  type Route,
  type Session,
  type Site,
} from "../model/index.ts";
import type { Clock } from "../platform/clock.ts";
import { type Cookie, cookieName, setCookie, valuesOf } from "./cookies.ts";
import { createVerifier, signToken } from "./jws.ts";
import type { Keys } from "./keys.ts";
import { Lru } from "./lru.ts";
import { hostOf } from "./place.ts";
import type { Revocations } from "./revocations.ts";

/** The `typ` of a session (RFC 8725 section 3.11); nothing else that the gate signs has it. */
const TYP = "taskgate-session+jwt";

/** How far behind the clock may be of whoever else signed. An end is never moved: a session that ends early is only renewed early. */
export const SKEW_MS = 60_000;

const MAX_VERIFIED = 10_000;
const MAX_GROUPS = 32;
const POSTPONE_MS = 60_000;

const Name = z.string().min(1).max(1024);
const Claims = z.strictObject({
  aud: z.string(),
  realm: Name,
  sub: Name,
  groups: z
    .array(z.tuple([Name, Name]))
    .max(MAX_GROUPS)
    .optional(),
  adm: z.boolean(),
  sid: z.string().regex(/^[A-Za-z0-9-]{1,64}\.[A-Za-z0-9_-]{16,64}$/),
  host: z.string(),
  iat: z.int(),
  exp: z.int(),
});
type Claims = z.output<typeof Claims>;

interface Verified {
  readonly claims: Claims;
  session: Session;
}

export interface MintOptions {
  readonly principal: Principal;
  readonly route: Route;
  readonly host: string;
  /** `LOGIN.SESSION`: given when an open session is renewed, so that it stays the same one. */
  readonly id: string;
  /** Epoch ms; the session does not outlive it. */
  readonly notAfter: number;
}

/** Sessions of browsers: signed, each for one service on one host, held by the browser alone. */
export interface Sessions {
  /** A session and the Set-Cookie field that carries it. */
  mint(options: MintOptions): { readonly session: Session; readonly cookie: string };
  /** The valid session of this route among the request's own cookies, or null. Synchronous; a known one costs a look into a map. */
  find(route: Route, head: RequestHead, cookies: readonly Cookie[]): Session | null;
  /** Lets a session that could not be renewed just now go on for a minute, or until it ends. */
  postpone(session: Session): void;
  /** The Set-Cookie field that takes the session away. */
  clear(route: Route): string;
}

export interface SessionsDeps {
  readonly keys: Keys;
  readonly revocations: Revocations;
  readonly clock: Clock;
  readonly site: Site;
  readonly lifetimeMs: number;
  /** Who a principal in a token is today; null: nobody any more. */
  readonly current: (principal: Principal) => Principal | null;
}

/** The second half of a session's id. */
export function newSessionId(login: string): string {
  return `${login}.${randomBytes(16).toString("base64url")}`;
}

/** What a token's audience is for a service; never that of anything a job gets. */
function audienceOf(service: string): string {
  return `gate:${service}`;
}

/** Keeps at most 10,000 verified tokens. There is nothing to close. */
export function createSessions(deps: SessionsDeps): Sessions {
  const { clock, lifetimeMs, revocations, site } = deps;
  const verifier = createVerifier(deps.keys.verifiers, TYP);
  const verified = new Lru<Verified>(MAX_VERIFIED);
  const entryOf = new WeakMap<Session, Verified>();

  function verify(token: string): Verified | null {
    const claims = parseClaims(verifier.open(token));
    if (claims === null || claims.exp <= claims.iat) return null;
    const principal = deps.current(principalOf(claims));
    if (principal === null) return null;
    // A shorter lifetime in the config holds for what was signed before, too.
    const lifetime = Math.min(claims.exp * 1000 - claims.iat * 1000, lifetimeMs);
    const entry = { claims, session: makeSession(claims, principal, lifetime) };
    verified.set(token, entry);
    entryOf.set(entry.session, entry);
    return entry;
  }

  function isGood({ claims, session }: Verified, route: Route, host: string): boolean {
    const now = clock.now();
    return (
      session.service === route.service &&
      claims.aud === audienceOf(route.service) &&
      claims.host === host &&
      now < session.expiresAt &&
      now >= claims.iat * 1000 - SKEW_MS &&
      !revocations.has(session.id)
    );
  }

  return {
    mint(options) {
      const { principal, route } = options;
      const claims = claimsOf(options, clock.now(), lifetimeMs);
      const value = signToken(deps.keys.signer, TYP, JSON.stringify(claims));
      const name = cookieName(site, route, "session");
      return {
        session: makeSession(claims, principal, (claims.exp - claims.iat) * 1000),
        cookie: setCookie(site, route, { name, value, maxAgeS: claims.exp - claims.iat }),
      };
    },
    find(route, head, cookies) {
      if (cookies.length === 0) return null;
      const host = hostOf(route, head);
      for (const token of valuesOf(cookies, cookieName(site, route, "session"))) {
        const entry = verified.get(token) ?? verify(token);
        if (entry !== null && isGood(entry, route, host)) return entry.session;
      }
      return null;
    },
    postpone(session) {
      const entry = entryOf.get(session);
      if (entry === undefined) return;
      entry.session = { ...session, renewAt: clock.now() + POSTPONE_MS };
      entryOf.set(entry.session, entry);
    },
    clear: (route) => setCookie(site, route, { name: cookieName(site, route, "session"), value: "", maxAgeS: 0 }),
  };
}

/** Throws `unauthenticated` where nothing is left of the login. */
function claimsOf({ principal, route, host, id, notAfter }: MintOptions, now: number, lifetimeMs: number): Claims {
  const iat = Math.floor(now / 1000);
  const exp = Math.floor(Math.min(now + lifetimeMs, notAfter) / 1000);
  if (exp <= iat) throw new GatewayError("unauthenticated", "this login ends just now; log in again");
  const { realm, name: sub, admin: adm } = principal;
  const groups = groupsFor(route, principal);
  const named = groups.length > 0 ? { groups } : {};
  return { aud: audienceOf(route.service), realm, sub, ...named, adm, sid: id, host, iat, exp };
}

function parseClaims(text: string | null): Claims | null {
  if (text === null) return null;
  try {
    const parsed = Claims.safeParse(JSON.parse(text));
    return parsed.success ? parsed.data : null;
  } catch {
    // Signed, and no JSON: not a session.
    return null;
  }
}

function principalOf({ realm, sub, groups = [], adm }: Claims): Principal {
  return { realm, name: sub, groups: groups.map(([of, name]): Identity => ({ realm: of, name })), admin: adm };
}

function makeSession(claims: Claims, principal: Principal, lifetimeMs: number): Session {
  const issuedAt = claims.iat * 1000;
  return {
    id: claims.sid,
    principal,
    service: claims.aud.replace(/^gate:/, ""),
    expiresAt: issuedAt + lifetimeMs,
    renewAt: issuedAt + lifetimeMs / 2,
  };
}

/** Only those that this service's grants speak of: a cookie has no room for hundreds, and the rest is nobody's business. */
function groupsFor(route: Route, principal: Principal): [string, string][] {
  const named = route.access.grants.flatMap(({ to }) => ("group" in to ? [to.group] : []));
  return principal.groups
    .filter((group) => named.some((other) => other.realm === group.realm && other.name === group.name))
    .slice(0, MAX_GROUPS)
    .map((group) => [group.realm, group.name]);
}
