import type { KeyObject } from "node:crypto";
import type { Principal, RequestHead, Route, Session, Site } from "../model/index.ts";
import type { Clock } from "../platform/clock.ts";
import { type Cookie, cookieName, valuesOf } from "./cookies.ts";
import { createVerifier } from "./jws.ts";
import { Lru } from "./lru.ts";
import { hostOf } from "./place.ts";
import type { RevocationCheck } from "./revocations.ts";
import { parseClaims, principalOf, type SessionClaims } from "./session-claims.ts";

/** The `typ` of a session (RFC 8725 section 3.11); nothing else that the gate signs has it. */
export const SESSION_TYP = "taskgate-session+jwt";

/** How far behind the clock may be of whoever else signed. An end is never moved: a session that ends early is only renewed early. */
export const SKEW_MS = 60_000;

const MAX_VERIFIED = 10_000;
const POSTPONE_MS = 60_000;

interface Verified {
  readonly claims: SessionClaims;
  session: Session;
}

/** Verifies sessions that browsers show: needs public keys only, so every process that lets visitors in has one. */
export interface SessionReader {
  /** The valid session of this route among the request's own cookies, or null. Synchronous; a known one costs a look into a map. */
  find(route: Route, head: RequestHead, cookies: readonly Cookie[]): Session | null;
  /** Whether `find` would still give this session, which it gave, for the same route, host and cookies. */
  stands(session: Session): boolean;
  /** Lets a session that could not be renewed just now go on for a minute, or until it ends. */
  postpone(session: Session): void;
}

export interface SessionReaderDeps {
  /** Public keys, by kid; another map whenever they change. */
  readonly verifiers: () => ReadonlyMap<string, KeyObject>;
  readonly revocations: RevocationCheck;
  readonly clock: Clock;
  readonly site: Site;
  readonly lifetimeMs: number;
  /** How soon sessions of people whom a method let in are renewed at the latest, by its name: then it is heard who they are today. */
  readonly renewMs: ReadonlyMap<string, number>;
  /** Who a principal in a token is today; null: nobody any more. */
  readonly current: (principal: Principal) => Principal | null;
}

/** What a token's audience is for a service; never that of anything a job gets. */
export function audienceOf(service: string): string {
  return `gate:${service}`;
}

/** Keeps at most 10,000 verified tokens. There is nothing to close. */
export function createSessionReader(deps: SessionReaderDeps): SessionReader {
  const { clock, revocations, site } = deps;
  let keys = deps.verifiers();
  let verifier = createVerifier(keys, SESSION_TYP);
  const verified = new Lru<Verified>(MAX_VERIFIED);
  const entryOf = new WeakMap<Session, Verified>();

  function verify(token: string): Verified | null {
    if (keys !== deps.verifiers()) {
      keys = deps.verifiers();
      verifier = createVerifier(keys, SESSION_TYP);
    }
    const claims = parseClaims(verifier.open(token));
    if (claims === null) return null;
    const session = sessionFrom(claims, deps);
    if (session === null) return null;
    const entry = { claims, session };
    verified.set(token, entry);
    entryOf.set(entry.session, entry);
    return entry;
  }

  function isGood(entry: Verified, route: Route, host: string): boolean {
    const { claims, session } = entry;
    return (
      session.service === route.service &&
      claims.aud === audienceOf(route.service) &&
      claims.host === host &&
      isGoodNow(entry)
    );
  }

  function isGoodNow({ claims, session }: Verified): boolean {
    const now = clock.now();
    const since = claims.iat * 1000;
    if (now >= session.expiresAt || now < since - SKEW_MS) return false;
    return !revocations.has(session.id) && !revocations.hasUser(session.principal, since);
  }

  return {
    find(route, head, cookies) {
      if (cookies.length === 0) return null;
      const host = hostOf(route, head);
      for (const token of valuesOf(cookies, cookieName(site, route, "session"))) {
        const entry = verified.get(token) ?? verify(token);
        if (entry !== null && isGood(entry, route, host)) return entry.session;
      }
      return null;
    },
    stands(session) {
      const entry = entryOf.get(session);
      return entry?.session === session && isGoodNow(entry);
    },
    postpone(session) {
      const entry = entryOf.get(session);
      if (entry === undefined) return;
      entry.session = { ...session, renewAt: clock.now() + POSTPONE_MS };
      entryOf.set(entry.session, entry);
    },
  };
}

/** The session that verified claims stand for today; null: they end before they begin, or are nobody's any more. */
export function sessionFrom(
  claims: SessionClaims,
  { current, lifetimeMs, renewMs }: Pick<SessionReaderDeps, "current" | "lifetimeMs" | "renewMs">,
): Session | null {
  if (claims.exp <= claims.iat) return null;
  const principal = current(principalOf(claims));
  // A shorter lifetime in the config holds for what was signed before, too.
  const lifetime = Math.min(claims.exp * 1000 - claims.iat * 1000, lifetimeMs);
  return principal && makeSession(claims, principal, { lifetimeMs: lifetime, renewMs });
}

/** The session that claims stand for. */
export function makeSession(
  claims: SessionClaims,
  principal: Principal,
  { lifetimeMs, renewMs }: Pick<SessionReaderDeps, "lifetimeMs" | "renewMs">,
): Session {
  const issuedAt = claims.iat * 1000;
  const { sid, aud, amr, ast, fp, rnw } = claims;
  const renewAt = issuedAt + Math.min(lifetimeMs / 2, renewMs.get(amr ?? "") ?? Infinity);
  return {
    id: sid,
    principal,
    ...(amr === undefined ? {} : { proof: amr }),
    service: aud.replace(/^gate:/, ""),
    ...(ast === undefined ? {} : { assertion: ast }),
    ...(fp === undefined ? {} : { fingerprint: fp }),
    issuedAt,
    expiresAt: issuedAt + lifetimeMs,
    renewAt: rnw === undefined ? renewAt : Math.min(renewAt, rnw * 1000),
  };
}
