import { createHmac, hash } from "node:crypto";
import type { Route, Site } from "../model/index.ts";

/** Bytes of the id: what no two replicas share by chance. */
const ID_BYTES = 12;

/** Whether the visitors of this route stay with a replica. gRPC clients keep no cookies, and a route to one replica needs none. */
export function isSticky({ policy, protocol, replica }: Pick<Route, "policy" | "protocol" | "replica">): boolean {
  return policy.sticky === true && protocol === "http" && replica === undefined;
}

/** What cookies name a replica by: the same in every process and life of a gate; who does not have the secret learns nothing from it. */
export function stickyId(secret: string, upstream: string, replica: string): string {
  const mac = createHmac("sha256", secret).update(JSON.stringify(["replica", upstream, replica]));
  return mac.digest().subarray(0, ID_BYTES).toString("base64url");
}

/**
 * The cookie's name. Over TLS `__Host-`, which no sibling can set; in plain HTTP cookies do not know ports, so the port is in the name;
 * path mode shares a host, so the service's hash is, and `__Host-` would forbid the path (RFC 6265bis §4.1.3.2). All begin as the gate's
 * other cookies do, which no job may set.
 */
export function stickyCookie(site: Site, route: Route): string {
  const ofService = route.match.by === "path" ? `-${hash("sha256", route.service, "hex").slice(0, 20)}` : "";
  if (!site.secure) return `taskgate-replica-${String(site.port)}${ofService}`;
  return `${ofService === "" ? "__Host-" : "__Secure-"}taskgate-replica${ofService}`;
}

/** The whole Set-Cookie field, for the session of the browser. */
export function setStickyCookie(site: Site, route: Route, id: string): string {
  const path = route.match.by === "path" ? route.match.prefix : "/";
  return `${stickyCookie(site, route)}=${id}; Path=${path}; HttpOnly; SameSite=Lax${site.secure ? "; Secure" : ""}`;
}
