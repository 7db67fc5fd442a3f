import { createPublicKey } from "node:crypto";
import {
  copyPrincipal,
  type HeaderFields,
  type Identity,
  originOf,
  type Principal,
  type Route,
  sameIdentity,
  type Session,
  type Site,
  whoText,
} from "../model/index.ts";
import type { Clock } from "../platform/clock.ts";
import type { Shown } from "./credentials.ts";
import { signToken } from "./jws.ts";
import type { KeyRing } from "./keys.ts";
import { Lru } from "./lru.ts";

/** The `typ` of an assertion (RFC 8725 section 3.11): a verifier that looks at it takes nothing else of the gate's for one. */
const ASSERTION_TYP = "taskgate-assertion+jwt";

/** The longest that an assertion is good where the service asks for fresh ones. */
const FRESH_MS = 60_000;
/** So old at most is one that a request comes with, which leaves its job time to look at it. */
export const FRESH_RENEW_MS = 40_000;

/** Those who show a credential with every request have no session that an assertion could be as old as. */
const SHOWN_MS = 600_000;
const MAX_KEPT = 10_000;

/** What an assertion says. Of `iss` and with this `aud` alone it means anything: `aud` is the service as `PROVIDER/TASK/SERVICE`. */
export interface AssertionClaims {
  /** The gate's address. */
  readonly iss: string;
  readonly aud: string;
  /** `REALM/NAME`: the name alone says nothing, for another realm may have it too. */
  readonly sub: string;
  readonly realm: string;
  readonly name: string;
  /** `REALM/NAME` each: those that the service's grants speak of. */
  readonly groups: readonly string[];
  /** Seconds since 1970: when the gate found out. */
  readonly iat: number;
  /** Seconds since 1970. */
  readonly exp: number;
}

/** What is said of somebody to a service. */
export interface Asserted {
  readonly route: Route;
  readonly principal: Principal;
  /** Those that are named. */
  readonly groups: readonly Identity[];
  /** Seconds since 1970. */
  readonly iat: number;
  /** Seconds since 1970; of what it stands on. */
  readonly exp: number;
}

/** The assertion for who shows credentials in headers; undefined: not known in this process. */
export interface ShownAssertions {
  of(route: Route, shown: Shown): string | undefined;
}

/** Says to jobs who asks, in a way that they can verify and nobody can use elsewhere. */
export interface Assertions extends ShownAssertions {
  /** Throws RangeError for one that is longer than a token may be. */
  sign(asserted: Asserted): string;
}

/** Keeps at most 10,000 that were signed. There is nothing to close. */
export function createAssertions(deps: {
  readonly keys: Pick<KeyRing, "signer">;
  readonly site: Site;
  readonly clock: Clock;
}): Assertions {
  const { clock, keys, site } = deps;
  const iss = originOf(site, site.gateHost);
  const kept = new Lru<{ readonly assertion: string; readonly until: number }>(MAX_KEPT);

  function sign({ route, principal, groups, iat, exp }: Asserted): string {
    const claims: AssertionClaims = {
      ...{ iss, aud: route.service, sub: whoText(principal) },
      ...{ realm: principal.realm, name: principal.name, groups: groups.map((group) => whoText(group)) },
      ...{ iat, exp: route.policy.assertion === "fresh" ? Math.min(exp, iat + FRESH_MS / 1000) : exp },
    };
    return signToken(keys.signer, ASSERTION_TYP, JSON.stringify(claims));
  }

  return {
    sign,
    of(route, shown) {
      const now = clock.now();
      const { id, principal, expiresAt } = shown;
      const fresh = route.policy.assertion === "fresh";
      const key = JSON.stringify([id, route.service, fresh, copyPrincipal(principal)]);
      const found = kept.get(key);
      if (found !== undefined && now < found.until) return found.assertion;
      const exp = Math.floor(Math.min(now + SHOWN_MS, expiresAt) / 1000);
      const groups = namedGroups(route, principal);
      const assertion = sign({ route, principal, groups, iat: Math.floor(now / 1000), exp });
      kept.set(key, { assertion, until: now + (fresh ? FRESH_RENEW_MS : SHOWN_MS / 2) });
      return assertion;
    },
  };
}

/** Whether this service's jobs get assertions at all. */
export function wantsAssertion(route: Route): boolean {
  return route.policy.assertion !== "none" && (route.protocol === "http" || route.protocol === "grpc");
}

/** Epoch ms: from then on the session is asked about before this route's job hears of it. */
export function renewalOf(session: Session, route: Route): number {
  if (!wantsAssertion(route) || session.issuedAt === undefined) return session.renewAt;
  if (session.assertion === undefined) return 0;
  return route.policy.assertion === "fresh"
    ? Math.min(session.renewAt, session.issuedAt + FRESH_RENEW_MS)
    : session.renewAt;
}

const MAX_GROUPS = 32;
/** Of all names together: a cookie has no room for more. */
const MAX_GROUPS_LENGTH = 600;

/** Only those that this service's grants speak of: the rest is nobody's business. */
export function namedGroups(route: Route, principal: Principal): readonly Identity[] {
  const named = route.access.grants.flatMap(({ to }) => ("group" in to ? [to.group] : []));
  let room = MAX_GROUPS_LENGTH;
  return principal.groups
    .filter((group) => named.some((other) => sameIdentity(other, group)))
    .slice(0, MAX_GROUPS)
    .filter((group) => (room -= group.realm.length + group.name.length) >= 0);
}

const NOBODY: HeaderFields = Object.freeze([]);

/** What the job is told of who asks. */
export function identityFields(route: Route, session: Pick<Session, "principal" | "assertion">): HeaderFields {
  if (route.protocol !== "http" && route.protocol !== "grpc") return NOBODY;
  const { principal, assertion } = session;
  const fields: [string, string][] = [["X-Taskgate-User", userField(principal)]];
  const groups = namedGroups(route, principal);
  if (groups.length > 0) fields.push(["X-Taskgate-Groups", groups.map((group) => fieldText(whoText(group))).join(",")]);
  if (wantsAssertion(route) && assertion !== undefined && assertion !== "") {
    fields.push(["X-Taskgate-Assertion", assertion]);
  }
  return fields;
}

/** Value of `X-Taskgate-User`. */
export function userField(user: Identity): string {
  return fieldText(whoText(user));
}

/** As it can stand in a field, in a list there, and be read back: all but visible ASCII is percent-encoded as UTF-8, and so are `%` and `,`. */
function fieldText(text: string): string {
  return PLAIN.test(text) ? text : text.toWellFormed().replace(/[^!-$&-+\--~]+/g, (part) => encodeURIComponent(part));
}

const PLAIN = /^[!-$&-+\--~]+$/;

/** A set of keys as RFC 7517 section 5 has it: public halves only. */
export interface KeySet {
  readonly keys: readonly Readonly<Record<string, string>>[];
}

/** Published ones first: who keeps a set knows a key before the gate signs with it. */
export function keySetOf(keys: Pick<KeyRing, "published">): KeySet {
  return {
    keys: [...keys.published].map(([kid, { publicKey }]) => {
      const { kty = "", crv = "", x = "", y = "" } = createPublicKey(publicKey).export({ format: "jwk" });
      return { kty, crv, x, y, kid, alg: "ES256", use: "sig" };
    }),
  };
}
