import { randomBytes } from "node:crypto";
import { GatewayError, type Principal, type Route, type Session } from "../model/index.ts";
import { cookieName, setCookie } from "./cookies.ts";
import { signToken } from "./jws.ts";
import { type Assertions, namedGroups, wantsAssertion } from "./assertions.ts";
import type { KeyRing } from "./keys.ts";
import { type SessionClaims, writeClaims } from "./session-claims.ts";
import type { Stamp, Stamps } from "./stamps.ts";
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
  /** How they proved who they are: name of the login method, where that is known. */
  readonly proof?: string | undefined;
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
  readonly keys: Pick<KeyRing, "signer" | "verifiers">;
  readonly assertions: Pick<Assertions, "sign">;
  readonly stamps: Pick<Stamps, "of">;
}

/** The second half of a session's id. */
export function newSessionId(login: string): string {
  return `${login}.${randomBytes(16).toString("base64url")}`;
}

/** Keeps what its reader keeps. There is nothing to close. */
export function createSessions(deps: SessionsDeps): Sessions {
  const { clock, keys, lifetimeMs, renewMs, site, stamps } = deps;
  const sessionOf = (claims: SessionClaims, principal: Principal): Session =>
    makeSession(claims, principal, { lifetimeMs: (claims.exp - claims.iat) * 1000, renewMs });
  return {
    ...createSessionReader({ ...deps, verifiers: () => keys.verifiers }),
    mint(options) {
      const { principal, route } = options;
      const bare = claimsOf(options, clock.now(), lifetimeMs);
      const stamp = stamps.of({ claims: bare, principal, renewAt: sessionOf(bare, principal).renewAt }, route);
      const { claims, value } = sign(deps, options, { bare, stamp });
      const name = cookieName(site, route, "session");
      return {
        session: sessionOf(claims, principal),
        cookie: setCookie(site, route, { name, value, maxAgeS: claims.exp - claims.iat }),
      };
    },
    clear: (route) => setCookie(site, route, { name: cookieName(site, route, "session"), value: "", maxAgeS: 0 }),
  };
}

/** With the assertion and the stamp inside, so that whoever verifies the session has them and needs no key that signs. */
function sign(
  { keys, assertions }: SessionsDeps,
  { principal, route }: MintOptions,
  { bare, stamp }: { readonly bare: SessionClaims; readonly stamp: Stamp | null },
): { readonly claims: SessionClaims; readonly value: string } {
  const tokenOf = (of: SessionClaims): string => signToken(keys.signer, SESSION_TYP, writeClaims(of));
  const { iat, exp } = bare;
  try {
    const ast = wantsAssertion(route)
      ? assertions.sign({ route, principal, groups: namedGroups(route, principal), iat, exp })
      : undefined;
    const claims = { ...bare, ...stamp, ...(ast !== undefined && { ast }) };
    return { claims, value: tokenOf(claims) };
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    const claims = { ...bare, ast: "" }; // a name of a thousand letters leaves a cookie no room for it all
    return { claims, value: tokenOf(claims) };
  }
}

/** Throws `unauthenticated` where nothing is left of the login. */
function claimsOf(
  { principal, route, host, id, notAfter, proof }: MintOptions,
  now: number,
  lifetimeMs: number,
): SessionClaims {
  const iat = Math.floor(now / 1000);
  const exp = Math.floor(Math.min(now + lifetimeMs, notAfter) / 1000);
  if (exp <= iat) throw new GatewayError("unauthenticated", "this login ends just now; log in again");
  const { realm, name: sub, admin: adm, scope } = principal;
  const groups = namedGroups(route, principal).map((group) => [group.realm, group.name] as const);
  return {
    ...{ aud: audienceOf(route.service), realm, sub, adm, sid: id, host, iat, exp },
    ...(groups.length > 0 && { groups }),
    ...(proof !== undefined && { amr: proof }),
    ...(scope !== undefined && { act: scope.actions }),
  };
}
