import type { RequestHead } from "../../../model/index.ts";
import { parseHost } from "../../parse-host.ts";
import { FRONT_HEADER, visitorOf } from "../../visitor-of.ts";
import { FRONT_PROTO_HEADER } from "./names.ts";
import type { HeaderValue } from "../proto/tables/core.ts";
import type { AttributeContextPeer, CheckRequest } from "../proto/tables/ext-authz.ts";

/** What an Envoy asks about. */
export interface Asked {
  readonly head: RequestHead;
  readonly version: "1.0" | "1.1" | "2" | "3";
  /** Of the connection that the head came on, so that what is decided about it is looked up by the same words. */
  readonly requestId: string | undefined;
  /** What is wrong with the head itself; null: nothing. */
  readonly fault: { readonly status: 400 | 501; readonly message: string } | null;
}

const VERSIONS: Readonly<Record<string, Asked["version"]>> = { "HTTP/1.0": "1.0", "HTTP/2": "2", "HTTP/3": "3" };

export interface CheckSite {
  readonly secure: boolean;
  /** How many fronts stand one behind the other. */
  readonly frontHops: number;
}

/** Reads the head as the Envoy has it: after its own mutations, which take out what no visitor may say. */
export function readCheck({ attributes }: CheckRequest, { secure, frontHops }: CheckSite): Asked {
  const http = attributes?.request?.http;
  const fields = joinFields(http?.headerMap?.headers ?? []);
  const said = (name: string): string => fields.get(name) ?? "";
  const own = (name: string): string | undefined => {
    if (name === "x-forwarded-proto") return fields.get(FRONT_PROTO_HEADER); // of the field itself Envoy makes what it sees
    return isField(name) ? fields.get(name) : undefined;
  };
  const method = said(":method");
  const host = said(":authority").toLowerCase();
  const path = method === "CONNECT" ? "/" : said(":path");
  return {
    head: {
      method,
      host,
      path,
      ...askerOf(fields, attributes?.source, frontHops),
      secure,
      header: own,
      names: () => [...fields.keys()].filter(isField),
    },
    version: VERSIONS[http?.protocol ?? ""] ?? "1.1",
    requestId: own("x-request-id"),
    // Envoy makes of WebSockets by HTTP/2 what they are by HTTP/1.1.
    fault: fields.has(":protocol") ? UNKNOWN_PROTOCOL : faultOf(method, host, path),
  };
}

function joinFields(list: readonly HeaderValue[]): ReadonlyMap<string, string> {
  const fields = new Map<string, string>();
  for (const { key = "", value = "", rawValue } of list) {
    const text = rawValue === undefined ? value : Buffer.from(rawValue).toString("latin1");
    const before = fields.get(key);
    fields.set(key, before === undefined ? text : `${before}${key === "cookie" ? "; " : ", "}${text}`);
  }
  return fields;
}

function isField(name: string): boolean {
  return !name.startsWith(":") && name !== FRONT_HEADER && name !== FRONT_PROTO_HEADER;
}

const UNKNOWN_PROTOCOL: Asked["fault"] = Object.freeze({
  status: 501,
  message: "Of extended CONNECT only WebSockets are understood.",
});
const bad = (message: string): Asked["fault"] => ({ status: 400, message });

function faultOf(method: string, host: string, path: string): Asked["fault"] {
  if (parseHost(host) === null) return bad("Exactly one valid Host is needed.");
  if (path.includes("#")) return bad("A request target has no fragment.");
  if (path.startsWith("/") || (path === "*" && method === "OPTIONS")) return null;
  return bad("The request target is neither a path nor an http URL.");
}

/** Who asks, and by which front: of that the listener has written down the address. */
function askerOf(
  fields: ReadonlyMap<string, string>,
  source: AttributeContextPeer | undefined,
  frontHops: number,
): Pick<RequestHead, "peer" | "front"> {
  const front = fields.get(FRONT_HEADER);
  return {
    front,
    peer: front === undefined ? peerOf(source) : visitorOf(front, fields.get("x-forwarded-for"), frontHops),
  };
}

/** IPv4 as such, also where the listener is an IPv6 one. */
function peerOf(source: AttributeContextPeer | undefined): string {
  return (source?.address?.socketAddress?.address ?? "unknown").replace(/^::ffff:(?=\d+\.)/, "");
}
