import type { RequestHead } from "../model/index.ts";

const SAFE_METHODS = new Set(["GET", "HEAD", "OPTIONS", "TRACE"]);

/** A request that can change something, or opens a two-way channel: a WebSocket handshake is a GET, and is one of them. */
export function isConsequential(head: RequestHead): boolean {
  return !SAFE_METHODS.has(head.method) || head.header("upgrade") !== undefined;
}

/** Whether a request says where it comes from, as browsers do of every consequential one; programs mostly say nothing. */
export function saysOrigin(head: RequestHead): boolean {
  return head.header("origin") !== undefined || head.header("sec-fetch-site") !== undefined;
}

/**
 * Whether a request that was sent with a cookie comes from a page of another origin. Cookies are sent by browsers, and browsers say where
 * a consequential request comes from; one that does not say, or says two things, is taken as foreign. Siblings are foreign: SameSite does
 * not stop them, since hosts of one domain are one site.
 *
 * `null` as Origin is what a page with `Referrer-Policy: no-referrer` sends to itself (Fetch, "append a request Origin header"), and what
 * a sandboxed frame sends: Sec-Fetch-Site, which no script can set, tells them apart.
 */
export function isForeign(head: RequestHead, own: string, allowed: readonly string[]): boolean {
  const origin = head.header("origin");
  const site = head.header("sec-fetch-site");
  if (origin === undefined || origin === "null") return site !== "same-origin";
  if (origin === own) return site === "cross-site" || site === "same-site";
  return !allowed.includes(origin);
}
