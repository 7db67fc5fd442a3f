import { hash } from "node:crypto";
import { pathPrefix } from "./place.ts";
import type { RequestHead, Route, Site } from "../model/index.ts";

/** Every cookie name that belongs to the gate, whatever its prefix, port and service: none ever reaches a job. */
const OWN_NAME = /^(?:__(?:host|secure)-)?taskgate-/i;

/** Cookies of one name that are looked at: a sibling that tosses copies must not make the gate verify hundreds of signatures. */
const MAX_CANDIDATES = 4;

/** A cookie as a request has it. */
export interface Cookie {
  readonly name: string;
  readonly value: string;
}

/** The gate's own cookies in a request, as sent, duplicates included. */
export function ownCookies(head: RequestHead): readonly Cookie[] {
  const header = head.header("cookie");
  if (header === undefined || !/taskgate-/i.test(header)) return NONE;
  if (header !== lastHeader) {
    lastOwn = header
      .split(";")
      .map(readPair)
      .filter((cookie) => OWN_NAME.test(cookie.name));
    lastHeader = header;
  }
  return lastOwn;
}

/** The last field that was read, and what is in it: it is asked about more than once for each request. */
let lastHeader = "";
let lastOwn: readonly Cookie[] = [];

/** A pair without "=" is a cookie without a name (RFC 6265bis section 5.6); most servers read it as a name without a value. */
function readPair(pair: string): Cookie {
  const at = pair.indexOf("=");
  return at < 0
    ? { name: pair.trim(), value: "" }
    : { name: pair.slice(0, at).trim(), value: pair.slice(at + 1).trim() };
}

const NONE: readonly Cookie[] = Object.freeze([]);

/** Values of the cookies with exactly that name, the first few: a browser sends those of the longest path first. */
export function valuesOf(cookies: readonly Cookie[], name: string): readonly string[] {
  return cookies
    .filter((cookie) => cookie.name === name)
    .map((cookie) => cookie.value)
    .slice(0, MAX_CANDIDATES);
}

export type CookiePurpose = "session" | "state";

/**
 * The name of a cookie on a route's host. Over TLS `__Host-`, which no sibling can set and no other host gets (RFC 6265bis section
 * 4.1.3.2). Plain loopback has no such thing, and its cookies do not know ports: the port is in the name, so that two gates do not
 * overwrite each other. Path mode shares a host: the service's hash is in the name, and `__Host-` would forbid the path.
 */
export function cookieName(site: Site, route: Route, purpose: CookiePurpose): string {
  if (pathPrefix(route) === "") return hostCookieName(site, purpose);
  const ofService = serviceHash(route.service);
  return site.secure
    ? `__Secure-taskgate-${purpose}-${ofService}`
    : `taskgate-${purpose}-${String(site.port)}-${ofService}`;
}

/** The same for services that have a host of their own. */
export function hostCookieName(site: Site, purpose: CookiePurpose): string {
  return site.secure ? `__Host-taskgate-${purpose}` : `taskgate-${purpose}-${String(site.port)}`;
}

/** A Set-Cookie field for the route's host alone; `maxAgeS` 0 removes the cookie. */
export function setCookie(site: Site, route: Route, cookie: Cookie & { readonly maxAgeS: number }): string {
  const secure = site.secure ? "; Secure" : "";
  const age = String(Math.max(0, Math.floor(cookie.maxAgeS)));
  return `${cookie.name}=${cookie.value}; Path=${pathPrefix(route)}/; Max-Age=${age}; HttpOnly; SameSite=Lax${secure}`;
}

function serviceHash(service: string): string {
  return hash("sha256", service, "hex").slice(0, 20);
}
