import { createHash } from "node:crypto";
import type { Grant } from "./access.ts";
import type { Identity } from "./identity.ts";
import type { Route } from "./route.ts";

/** Long enough that nobody finds two routes with the same. */
const LENGTH = 16;
const known = new WeakMap<Route, string>();

/**
 * Stands for a route and for who may use it: another host, service, owner or rule of access gives another one. A session that names the
 * fingerprint of its route is one that was let in by the rules of today.
 */
export function fingerprintOf(route: Route): string {
  let found = known.get(route);
  if (found === undefined) {
    found = createHash("sha256").update(JSON.stringify(contentOf(route))).digest().subarray(0, LENGTH).toString("base64url"); // prettier-ignore
    known.set(route, found);
  }
  return found;
}

/**
 * Whether a session by itself says that its visitor may pass: not where an authority's answer depends on the request, nor where a host is
 * shared.
 */
export function isSelfEvident({ access, guard, match, policy, protocol }: Route): boolean {
  return (
    match.by === "host" &&
    guard === "gate" &&
    (protocol === "http" || protocol === "grpc") &&
    (access.authority === undefined || policy.writeAction === undefined)
  );
}

function contentOf({ id, service, protocol, guard, owner, access, policy }: Route): readonly unknown[] {
  const { anyone, authority, grants } = access;
  return [
    [id, service, protocol, guard, owner && identity(owner), policy.assertion ?? null],
    [anyone, authority && [authority.name, authority.resource, authority.action, authority.epoch]],
    grants.map((grant) => JSON.stringify([...goal(grant), grant.until ?? null])).sort(),
  ];
}

function goal({ to }: Grant): readonly unknown[] {
  if ("link" in to) return ["link", to.link];
  return "group" in to ? ["group", ...identity(to.group)] : ["user", ...identity(to)];
}

function identity({ realm, name }: Identity): readonly string[] {
  return [realm, name];
}
