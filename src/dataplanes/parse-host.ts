import { isIPv6 } from "node:net";

const NAME_OR_IPV4 = /^[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_][a-z0-9_-]{0,62})*\.?$/;
const AUTHORITY = /^(\[[0-9a-f:.]+\]|[^:@/?#[\]]+)(?::(\d{0,5}))?$/;

/**
 * The host of `HOST[:PORT]` (RFC 3986 §3.2): lower case, without port and trailing dot; null: no such thing. Any port is taken: whoever
 * stands before the gate may listen on another.
 */
export function parseHost(authority: string): string | null {
  return parsed.get(authority) ?? readAndRemember(authority);
}

/** The few hosts that are asked for again and again. */
const parsed = new Map<string, string>();
const REMEMBERED_MAX = 1000;
const REMEMBERED_LENGTH = 100;

function readAndRemember(authority: string): string | null {
  const host = readHost(authority);
  if (host === null || authority.length > REMEMBERED_LENGTH) return host;
  const copy = Buffer.from(authority, "latin1").toString("latin1"); // a slice would keep its whole message in memory
  if (parsed.size >= REMEMBERED_MAX) parsed.clear();
  parsed.set(copy, readHost(copy) ?? host);
  return host;
}

function readHost(authority: string): string | null {
  const match = AUTHORITY.exec(authority.toLowerCase());
  const host = match?.[1];
  if (host === undefined || host.length > 254 || Number(match?.[2] ?? 0) > 65_535) return null;
  if (host.startsWith("[")) return isIPv6(host.slice(1, -1)) ? host : null;
  if (!NAME_OR_IPV4.test(host)) return null;
  return host.endsWith(".") ? host.slice(0, -1) : host;
}
