import { type Exchange, type Framing, valuesOf } from "../exchange.ts";
import { upstreamPath, type Call } from "../forward.ts";
import { requestFields, requestFieldsText, upstreamHost, type RequestFieldsInput } from "../request-fields.ts";
import type { Target } from "../target.ts";
import type { HeadFields } from "./head-fields.ts";
import { Http1Exchange } from "./http1-exchange.ts";
import { fieldsText, isSayable } from "./say.ts";

/** Methods that need no word about a body that is not there; for all others its absence is said (RFC 9110 §8.6). */
const BODILESS: ReadonlySet<string> = new Set(["GET", "HEAD", "DELETE", "OPTIONS", "TRACE"]);

/** The head of a request as its job gets it, as latin1; null: HTTP/1.1 cannot say it. */
export function jobHead(call: Call, target: Target): string | null {
  const { exchange, route, allowed, prefix, context, flow } = call;
  const { address } = target;
  const input = { exchange, route, allowed, prefix, flow, address, site: context.site, via: context.via };
  const path = upstreamPath(call);
  const wire = exchange instanceof Http1Exchange ? exchange.wire : null;
  const fields = wire !== null && isSimple(wire) ? fromWire(input, wire) : fromList(input);
  if (fields === null || (wire === null && !TARGET.test(path))) return null;
  return `${exchange.head.method} ${path} HTTP/1.1\r\nHost: ${upstreamHost(input)}\r\n${fields}${framingText(exchange)}\r\n`;
}

/** Cookies that came in one field: of several, one is made. */
function isSimple(wire: HeadFields): boolean {
  let cookies = 0;
  for (const { kind } of wire.names) if (kind === "cookie") cookies += 1;
  return cookies < 2;
}

function fromWire(input: RequestFieldsInput, wire: HeadFields): string | null {
  // What the reader took is sayable; what the gatekeeper puts in may hold anything.
  for (const [name, value] of input.allowed.set) if (!isSayable(name, value)) return null;
  return requestFieldsText(input, wire);
}

function fromList(input: RequestFieldsInput): string | null {
  const fields = requestFields(input);
  for (let at = 0; at + 1 < fields.length; at += 2) if (!isSayable(fields[at] ?? "", fields[at + 1] ?? "")) return null;
  return fieldsText(fields);
}

const TARGET = /^[\x21-\x7e\x80-\xff]+$/;
function framingText({ framing, upgrade, head, expectsContinue, fields }: Exchange): string {
  if (upgrade !== null) return `Connection: Upgrade\r\nUpgrade: ${upgrade.protocol}\r\n`;
  const expect = expectsContinue ? "Expect: 100-continue\r\n" : "";
  return expect + lengthText(framing, head.method) + (framing.kind === "chunked" ? trailerText(fields) : "");
}

function lengthText(framing: Framing, method: string): string {
  switch (framing.kind) {
    case "length":
      return `Content-Length: ${framing.length}\r\n`;
    case "chunked":
      return "Transfer-Encoding: chunked\r\n";
    case "none":
      return BODILESS.has(method) ? "" : "Content-Length: 0\r\n";
  }
}

function trailerText(fields: Exchange["fields"]): string {
  return valuesOf(fields, "trailer")
    .map((value) => `Trailer: ${value}\r\n`)
    .join("");
}
