import { randomBytes } from "node:crypto";
import { GatewayError, type Principal, type Route, type Session } from "../model/index.ts";
import { cookieName, setCookie } from "./cookies.ts";
import { signToken } from "./jws.ts";
import type { Keys } from "./keys.ts";
import { clampGroups, type SessionClaims } from "./session-claims.ts";
import {
  audienceOf,
  createSessionReader,
  makeSession,
  SESSION_TYP,
  type SessionReader,
  type SessionReaderDeps,
} from "./session-reader.ts";

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
export interface Sessions extends SessionReader {
  /** A session and the Set-Cookie field that carries it. */
  mint(options: MintOptions): { readonly session: Session; readonly cookie: string };
  /** The Set-Cookie field that takes the session away. */
  clear(route: Route): string;
}

export interface SessionsDeps extends Omit<SessionReaderDeps, "verifiers"> {
  readonly keys: Keys;
}

/** The second half of a session's id. */
export function newSessionId(login: string): string {
  return `${login}.${randomBytes(16).toString("base64url")}`;
}

/** Keeps what its reader keeps. There is nothing to close. */
export function createSessions(deps: SessionsDeps): Sessions {
  const { clock, keys, lifetimeMs, site } = deps;
  return {
    ...createSessionReader({ ...deps, verifiers: keys.verifiers }),
    mint(options) {
      const { principal, route } = options;
      const claims = claimsOf(options, clock.now(), lifetimeMs);
      const value = signToken(keys.signer, SESSION_TYP, JSON.stringify(claims));
      const name = cookieName(site, route, "session");
      return {
        session: makeSession(claims, principal, (claims.exp - claims.iat) * 1000),
        cookie: setCookie(site, route, { name, value, maxAgeS: claims.exp - claims.iat }),
      };
    },
    clear: (route) => setCookie(site, route, { name: cookieName(site, route, "session"), value: "", maxAgeS: 0 }),
  };
}

/** Throws `unauthenticated` where nothing is left of the login. */
function claimsOf(
  { principal, route, host, id, notAfter }: MintOptions,
  now: number,
  lifetimeMs: number,
): SessionClaims {
  const iat = Math.floor(now / 1000);
  const exp = Math.floor(Math.min(now + lifetimeMs, notAfter) / 1000);
  if (exp <= iat) throw new GatewayError("unauthenticated", "this login ends just now; log in again");
  const { realm, name: sub, admin: adm } = principal;
  const groups = groupsFor(route, principal);
  const named = groups.length > 0 ? { groups } : {};
  return { aud: audienceOf(route.service), realm, sub, ...named, adm, sid: id, host, iat, exp };
}

/** Only those that this service's grants speak of: a cookie has no room for hundreds, and the rest is nobody's business. */
function groupsFor(route: Route, principal: Principal): readonly (readonly [string, string])[] {
  const named = route.access.grants.flatMap(({ to }) => ("group" in to ? [to.group] : []));
  const shared = principal.groups.filter((group) =>
    named.some((other) => other.realm === group.realm && other.name === group.name),
  );
  return clampGroups(shared).map((group) => [group.realm, group.name] as const);
}
