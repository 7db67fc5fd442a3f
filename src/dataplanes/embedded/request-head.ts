import { parseHost } from "../parse-host.ts";
import { valuesOf, type Fields } from "./exchange.ts";

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
