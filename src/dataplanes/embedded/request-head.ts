import { isIPv6 } from "node:net";
import { valuesOf, type Fields } from "./exchange.ts";

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

export type Target =
  | { readonly ok: true; readonly host: string; readonly path: string }
  | { readonly ok: false; readonly message: string };

const bad = (message: string): Target => ({ ok: false, message });

/**
 * Who is asked for what: from the request target and the Host fields (RFC 9112 §3.2). An absolute target must agree with Host. `host` is
 * as sent, in lower case, with its port.
 */
export function parseTarget(method: string, target: string, fields: Fields): Target {
  const host = singleHost(fields);
  if (host === null) return bad("Exactly one valid Host is needed.");
  if (target.includes("#")) return bad("A request target has no fragment.");
  if (target.startsWith("/")) return { ok: true, host, path: target };
  if (target === "*") return method === "OPTIONS" ? { ok: true, host, path: "*" } : bad("Only OPTIONS may ask for *.");
  const absolute = /^https?:\/\/([^/?]*)(.*)$/is.exec(target);
  if (absolute === null) return bad("The request target is neither a path nor an http URL.");
  const [, authority = "", rest = ""] = absolute;
  if (authority.toLowerCase() !== host) return bad("The request target and Host disagree.");
  return { ok: true, host, path: rest.startsWith("/") ? rest : `/${rest}` };
}

function singleHost(fields: Fields): string | null {
  const hosts = valuesOf(fields, "host");
  const host = hosts[0]?.trim().toLowerCase() ?? "";
  return hosts.length === 1 && parseHost(host) !== null ? host : null;
}
