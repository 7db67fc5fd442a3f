import {
  type Grant,
  type Identity,
  inScope,
  LINK_REALM,
  type Principal,
  type Route,
  sameIdentity,
} from "../model/index.ts";

/** "authority": nothing here lets them in, and somebody else is still to be asked. */
export type MayUse = "allowed" | "refused" | "authority";

/**
 * Whether the route's access lets `principal` in at `now` (epoch ms). The owner and administrators always may; grants, `anyone` and the
 * authority each add to that, and none takes away; what the scope of their credential leaves out is refused, whoever they are. Who
 * came by a link has proved nothing but that they have it: what is for everybody who logged in is not for them, and no authority knows them.
 */
export function mayUse(route: Route, principal: Principal, now: number): MayUse {
  if (!inScope(principal.scope, "connect", route.service)) return "refused";
  if (isAbove(route.owner, principal)) return "allowed";
  const { anyone, grants, authority } = route.access;
  if (anyone === "public" || (anyone === "authenticated" && principal.realm !== LINK_REALM)) return "allowed";
  if (grants.some((grant) => isGood(grant, now) && isFor(grant, principal))) return "allowed";
  return authority === undefined || principal.realm === LINK_REALM ? "refused" : "authority";
}

/**
 * Epoch ms: until when what the route says lets in somebody whom it lets in at `now`; Infinity: as long as it says so; null: it is an
 * authority that does.
 */
export function permittedUntil(route: Route, principal: Principal, now: number): number | null {
  const { anyone, grants } = route.access;
  if (isAbove(route.owner, principal)) return Infinity;
  if (anyone === "public" || (anyone === "authenticated" && principal.realm !== LINK_REALM)) return Infinity;
  const ends = grants.filter((grant) => isGood(grant, now) && isFor(grant, principal)).map(({ until }) => until);
  return ends.length === 0 ? null : Math.max(...ends.map((until) => until ?? Infinity));
}

/** Its owner and administrators, whatever the grants, unless the scope of what they showed leaves that out. */
export function isManager(route: Route, principal: Principal): boolean {
  return isAbove(route.owner, principal) && inScope(principal.scope, "manage", route.service);
}

/** Whether something of this owner is theirs to look after: one's own, an administrator's is everybody's. */
export function isAbove(owner: Identity | null, principal: Principal): boolean {
  return principal.admin || (owner !== null && sameIdentity(owner, principal));
}

function isGood(grant: Grant, now: number): boolean {
  return grant.until === undefined || now < grant.until;
}

function isFor({ to }: Grant, principal: Principal): boolean {
  if ("link" in to) return principal.realm === LINK_REALM && principal.name === to.link;
  if ("group" in to) return principal.groups.some((group) => sameIdentity(group, to.group));
  return sameIdentity(to, principal);
}

/**
 * What is kept of a principal (in a token, a link, a session) is who it is. What the owner may is the owner's of today, and a state folder
 * that came from somebody else lets nobody in. The scope of a credential stays with it.
 */
export function currentOf(owner: Principal, principal: Principal): Principal | null {
  if (principal.realm !== owner.realm) return principal;
  if (!sameIdentity(principal, owner)) return null;
  return principal.scope === undefined ? owner : { ...owner, scope: principal.scope };
}
