import { GATE_PATH, originOf, type RequestHead, type Route, type Site } from "../model/index.ts";

/** The host that a visitor has in the address bar, without port: the route's own where it has one, else what was sent. */
export function hostOf(route: Route, head: RequestHead): string {
  return matchHost(route) ?? hostnameOf(head.host);
}

/** null: the route is not found by host. */
export function matchHost(route: Route): string | null {
  return route.match.by === "host" || route.match.by === "path" ? route.match.host : null;
}

/** `host` without its port. */
export function hostnameOf(host: string): string {
  return host.replace(/:\d*$/, "");
}

/** What comes before a service's own paths, without the last slash: `/nb` in path mode, else nothing. */
export function pathPrefix(route: Route): string {
  return route.match.by === "path" ? route.match.prefix.replace(/\/$/, "") : "";
}

/** The part of a request's path from `/.taskgate` on, where it is the gate's own on this route; else null. */
export function gatePath(route: Route, path: string): string | null {
  if (!path.includes("/.taskgate")) return null;
  const prefix = pathPrefix(route);
  const rest = path.startsWith(prefix) ? path.slice(prefix.length) : "";
  return rest.startsWith(GATE_PATH) || /^\/\.taskgate(\?|$)/.test(rest) ? rest : null;
}

/** `nb.localhost:7080`: what a browser sends as Host. */
export function authorityOf(site: Site, host: string): string {
  return originOf(site, host).replace(/^https?:\/\//, "");
}

/** Longest deep link that survives a login. */
const MAX_DEEP_LINK = 8192;

/** A path and query that can stand in a header and in an address, and that is nothing else: no other host, no control characters. */
export function isPlainPath(path: string): boolean {
  return path.length <= MAX_DEEP_LINK && /^\/[\x21-\x7e]*$/.test(path);
}

/** The deep link of a request: as sent, with raw bytes spelled out; the service's root where it cannot be kept. */
export function deepLink(route: Route, head: RequestHead): string {
  // Node reads header bytes as Latin-1: each character above 7e is one byte of the path.
  const spelled = head.path.replace(/[^\x21-\x7e]/g, (character) =>
    character.charCodeAt(0) <= 0xff
      ? `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`
      : encodeURIComponent(character),
  );
  return isPlainPath(spelled) ? spelled : `${pathPrefix(route)}/`;
}
