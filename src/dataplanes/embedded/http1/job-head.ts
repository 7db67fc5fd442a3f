import type { Route } from "../../../model/index.ts";
import { type Exchange, type Framing, valuesOf } from "../exchange.ts";
import { fieldsInput, upstreamPath, type Call } from "../forward.ts";
import { requestFields, steadyFieldsText, upstreamHost, type Allowed } from "../request-fields.ts";
import type { Target } from "../target.ts";
import type { HeadFields } from "./head-fields.ts";
import { Http1Exchange } from "./http1-exchange.ts";
import { areSayable, fieldsText, isSayable } from "./say.ts";

/** Methods that need no word about a body that is not there; for all others its absence is said (RFC 9110 §8.6). */
const BODILESS: ReadonlySet<string> = new Set(["GET", "HEAD", "DELETE", "OPTIONS", "TRACE"]);

/** The head of a request as its job gets it, as latin1; null: HTTP/1.1 cannot say it. */
export function jobHead(call: Call, target: Target): string | null {
  const { exchange, route } = call;
  const wire = exchange instanceof Http1Exchange ? exchange.wire : null;
  const path = upstreamPath(call);
  const fields = wire !== null && isSimple(wire) ? fromWire(call, target, wire) : fromList(call, target);
  if (fields === null || (wire === null && !TARGET.test(path))) return null;
  const { head } = exchange;
  const host = upstreamHost({ exchange, route, address: target.address });
  return `${head.method} ${path} HTTP/1.1\r\nHost: ${host}\r\n${fields}${framingText(exchange)}\r\n`;
}

/** Cookies that came in one field: of several, one is made. */
function isSimple(wire: HeadFields): boolean {
  let cookies = 0;
  for (const { kind } of wire.names) if (kind === "cookie") cookies += 1;
  return cookies < 2;
}

/** What one visitor's fields became for one endpoint, and all that this follows from besides them and their connection. */
interface Made {
  readonly allowed: Allowed;
  readonly route: Route;
  readonly target: Target;
  readonly prefix: string | null;
  readonly version: Exchange["version"];
  readonly text: string;
}

/** Of fields that come again and again on a connection. */
const made = new WeakMap<HeadFields, Made>();

function fromWire(call: Call, target: Target, wire: HeadFields): string | null {
  const steady = steadyText(call, target, wire);
  return steady === null ? null : steady + fieldsText(call.flow.upstreamFields);
}

function steadyText(call: Call, target: Target, wire: HeadFields): string | null {
  const { allowed, route, prefix, exchange } = call;
  const { version } = exchange;
  const before = wire.repeated ? made.get(wire) : undefined;
  if (before?.allowed === allowed && before.route === route && before.target === target) {
    if (before.prefix === prefix && before.version === version) return before.text;
  }
  if (!areSayable(allowed.set)) return null; // what the reader took is sayable
  const text = steadyFieldsText(fieldsInput(call, target), wire);
  if (wire.repeated) made.set(wire, { allowed, route, target, prefix, version, text: inOnePiece(text) });
  return text;
}

/** A string that was put together is kept as its parts, which would be gathered anew whenever it is written. */
function inOnePiece(text: string): string {
  return Buffer.from(text, "latin1").toString("latin1");
}

function fromList(call: Call, target: Target): string | null {
  const fields = requestFields(fieldsInput(call, target));
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
