import { fieldKey, type Address, type Decision, type Route, type Site } from "../../model/index.ts";
import { hostOf } from "../host-of.ts";
import { FRONT_HEADER } from "../visitor-of.ts";
import { withoutCookies } from "../without-cookies.ts";
import { eachField, joined, valuesOf, type Exchange, type Fields } from "./exchange.ts";
import { fieldName, type FieldName } from "./http1/field-name.ts";
import type { HeadFields } from "./http1/head-fields.ts";
import type { Flow } from "./traffic.ts";

export type Allowed = Extract<Decision, { kind: "allow" }>;

export interface RequestFieldsInput {
  readonly exchange: Exchange;
  readonly route: Route;
  readonly allowed: Allowed;
  readonly address: Address;
  readonly site: Site;
  /** Path mode: what was taken off the path. */
  readonly prefix: string | null;
  /** This gate in Via: `1.1 taskgate-x`. */
  readonly via: string;
  /** Its `upstreamFields` take the place of the visitor's. */
  readonly flow: Pick<Flow, "upstreamFields">;
}

type SteadyInput = Omit<RequestFieldsInput, "flow">;

/** Keys of the fields that this message's own Connection takes out; null: none beyond those that never pass. */
export function connectionKeys(connection: string | undefined): ReadonlySet<string> | null {
  if (connection === undefined || PLAIN_CONNECTION.has(connection.toLowerCase())) return null;
  const keys = new Set(connection.split(",").map((name) => fieldKey(name.trim())));
  keys.delete("content-length"); // frames the message: no word of its sender makes that the affair of one connection
  return keys;
}

const PLAIN_CONNECTION: ReadonlySet<string> = new Set(["", "close", "keep-alive", "upgrade", "keep-alive, upgrade"]);

/** Keys of the fields that are taken out for this request alone; null: none. */
function outKeys(connection: string | undefined, { strip, set }: Allowed): ReadonlySet<string> | null {
  const named = connectionKeys(connection);
  if (strip.length === 0 && set.length === 0) return named;
  return new Set([...(named ?? []), ...strip.map(fieldKey), ...set.map(([name]) => fieldKey(name))]);
}

/** What the job gets, without the fields of its own protocol's framing. Throws nothing: values are as the visitor's parser let them in. */
export function requestFields(input: RequestFieldsInput): string[] {
  return [...steadyFields(input), ...input.flow.upstreamFields];
}

/** The same without what the flow adds. Follows from what `steadyFieldsText` follows from. */
export function steadyFields(input: SteadyInput): string[] {
  const { exchange, allowed } = input;
  const out = outKeys(joined(exchange.fields, "connection"), allowed);
  const fields: string[] = [];
  eachField(exchange.fields, (spelled, value) => {
    const name = fieldName(spelled);
    if (name === null || name.notForJob || out?.has(name.key) === true) return;
    const kept = keptValue(name, value, input);
    if (kept !== null) fields.push(spelled, kept);
  });
  joinCookies(fields);
  if (acceptsTrailers(joined(exchange.fields, "te"))) fields.push("TE", "trailers");
  fields.push(...forwardingFields(input));
  for (const [name, value] of allowed.set) fields.push(name, value);
  return fields;
}

/**
 * The same as text, for fields that are still as they came, but for what the flow adds: what stays as it was is not taken apart. Follows from
 * the fields, the exchange's version, its client, and of the call route, decision, prefix and address alone.
 */
export function steadyFieldsText(input: SteadyInput, wire: HeadFields): string {
  const out = outKeys(wire.joined("connection"), input.allowed);
  let text = wire.rewrite((name, index) => {
    if (name.notForJob || out?.has(name.key) === true) return null;
    return name.special ? keptValue(name, wire.value(index), input) : undefined;
  });
  if (acceptsTrailers(wire.first("te"))) text += "TE: trailers\r\n";
  const added = forwardingFields(input);
  for (let at = 0; at + 1 < added.length; at += 2) text += `${added[at] ?? ""}: ${added[at + 1] ?? ""}\r\n`;
  for (const [name, value] of input.allowed.set) text += `${name}: ${value}\r\n`;
  return text;
}

/** Trailers of the request: nothing that counts in a head, for programs that put the two together (RFC 9110 §6.5.1 forbids it). */
export function requestTrailers(fields: Fields, exchange: Exchange, allowed: Allowed): string[] {
  const out = outKeys(joined(exchange.fields, "connection"), allowed);
  const kept: string[] = [];
  eachField(fields, (spelled, value) => {
    const name = fieldName(spelled);
    if (name === null || name.notForJob || name.identity || out?.has(name.key) === true) return;
    if (name.key !== "cookie" && name.key !== "authorization") kept.push(spelled, value);
  });
  return kept;
}

function keptValue(name: FieldName, value: string, input: SteadyInput): string | null {
  if (name.key === "cookie") return withoutCookies(value, input.allowed.stripCookies);
  if (input.route.policy.rewriteHost !== true) return value;
  if (name.kind === "origin" || name.kind === "referer") return rewriteOrigin(value, input);
  return value;
}

/** HTTP/2 sends cookies apart (RFC 9113 §8.2.3); HTTP/1.1 takes only one field. */
function joinCookies(fields: string[]): void {
  const cookies = valuesOf(fields, "cookie");
  if (cookies.length < 2) return;
  for (let at = fields.length - 2; at >= 0; at -= 2) if (fields[at]?.toLowerCase() === "cookie") fields.splice(at, 2);
  fields.push("Cookie", cookies.join("; "));
}

function acceptsTrailers(te: string | undefined): boolean {
  return te?.split(",").some((one) => one.trim().toLowerCase() === "trailers") === true;
}

/** Where its host is the one that was asked for, the job sees its own address; a foreign origin stays what it is. */
function rewriteOrigin(value: string, { exchange, address, prefix }: SteadyInput): string {
  const match = /^https?:\/\/([^/?#]*)(.*)$/is.exec(value);
  if (match === null || match[1]?.toLowerCase() !== exchange.head.host) return value;
  const rest = match[2] ?? "";
  const path = prefix !== null && rest.startsWith(prefix) ? rest.slice(prefix.length - 1) : rest;
  return `http://${hostOf(address)}${path}`;
}

/** Host as the job gets it. */
export function upstreamHost({
  exchange,
  route,
  address,
}: Pick<RequestFieldsInput, "exchange" | "route" | "address">): string {
  return route.policy.rewriteHost === true ? hostOf(address) : exchange.head.host;
}

function forwardingFields({ exchange, site, prefix, via }: SteadyInput): string[] {
  const { host, peer, front, secure } = exchange.head;
  const proto = secure ? "https" : "http";
  const node = peer.includes(":") ? `"[${peer}]"` : peer; // RFC 7239 §6
  const fields = [
    "X-Forwarded-For",
    peer,
    "X-Forwarded-Proto",
    proto,
    "X-Forwarded-Host",
    host,
    "X-Forwarded-Port",
    String(site.port),
    "Forwarded",
    `for=${node};host="${host}";proto=${proto}`,
    "Via",
    `${exchange.version} ${via}`,
  ];
  if (front !== undefined) fields.push(FRONT_HEADER, front);
  if (prefix !== null) fields.push("X-Forwarded-Prefix", prefix.slice(0, -1));
  return fields;
}
