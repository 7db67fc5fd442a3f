import { fingerprintOf, isSelfEvident, type Principal, type Route, type Session } from "../model/index.ts";
import { permittedUntil } from "./access.ts";
import { FRESH_RENEW_MS, identityFields, renewalOf } from "./assertions.ts";
import { KEEP_MS } from "./permissions.ts";
import type { SessionClaims } from "./session-claims.ts";

/** What a data plane that verifies sessions by itself finds in them. */
export type Stamp = Pick<SessionClaims, "fp" | "rnw" | "per" | "xu" | "xg">;

/** Puts into sessions what lets a data plane pass them without a question, and says which of them lack it by now. */
export interface Stamps {
  /** `claims` without a stamp; `renewAt`: epoch ms. null: every request of this session is asked about. */
  of(session: { readonly claims: SessionClaims; readonly principal: Principal; readonly renewAt: number }, route: Route): Stamp | null; // prettier-ignore
  /** Epoch ms: from then on the session is asked about before this route's job hears of it. */
  renewalOf(session: Session, route: Route): number;
}

/** Where each request's session is looked at by the gatekeeper: sessions have no stamps, and none is missing. */
export const NO_STAMPS: Stamps = Object.freeze({ of: () => null, renewalOf });

/** `askedBefore`: epoch ms; planes ask about whatever was issued until then, so it is renewed when it is. */
export function createStamps(askedBefore: () => number): Stamps {
  return {
    of({ claims, principal, renewAt }, route) {
      if (!isStamped(route, principal)) return null;
      const now = claims.iat * 1000;
      const permitted = permittedUntil(route, principal, now) ?? now + KEEP_MS;
      const fresh = route.policy.assertion === "fresh" ? now + FRESH_RENEW_MS : Infinity;
      const told = new Map(identityFields(route, { principal }));
      const groups = told.get("X-Taskgate-Groups");
      return {
        fp: fingerprintOf(route),
        rnw: Math.floor(Math.min(renewAt, permitted, fresh) / 1000),
        per: Math.floor(Math.min(claims.exp, permitted / 1000)),
        xu: told.get("X-Taskgate-User") ?? "",
        ...(groups === undefined ? {} : { xg: groups }),
      };
    },
    renewalOf(session, route) {
      const { assertion, fingerprint, issuedAt = Infinity, principal } = session;
      if (issuedAt === Infinity) return renewalOf(session, route); // of a token: nobody has signed a session
      const stale = isStamped(route, principal) && assertion !== "" && fingerprint !== fingerprintOf(route);
      return stale || issuedAt <= askedBefore() ? 0 : renewalOf(session, route);
    },
  };
}

/** Who came with a limited credential may do less than their name says, so that is looked at every time. */
function isStamped(route: Route, principal: Principal): boolean {
  return isSelfEvident(route) && principal.scope === undefined;
}
