import {
  addressText,
  fieldKey,
  isIdentityField,
  type Address,
  type Decision,
  type Route,
  type Site,
} from "../../model/index.ts";
import { withoutCookies } from "./cookies.ts";
import { eachField, valuesOf, type Exchange, type Fields } from "./exchange.ts";
import { ID_HEADER } from "./route-index.ts";

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
}

/** Of one connection, never of the whole way (RFC 9110 §7.6.1), and framing, which is ours to say. */
const HOP_BY_HOP = [
  "connection",
  "keep-alive",
  "proxy-connection",
  "proxy-authenticate",
  "proxy-authorization",
  "te",
  "transfer-encoding",
  "upgrade",
  "http2-settings",
];
/** Nobody stands before the gate whose word counts: what the visitor says about itself is dropped. */
const FORWARDING = ["forwarded", "x-real-ip"];
const FORWARDING_PREFIX = "x-forwarded-";

const ALWAYS_DROPPED: readonly string[] = [
  ...HOP_BY_HOP,
  ...FORWARDING,
  ID_HEADER,
  "host",
  "content-length",
  "expect",
  "trailer",
];

/** Field names that this message's own Connection fields take out. */
export function connectionNames(fields: Fields): string[] {
  return valuesOf(fields, "connection").flatMap((value) => value.split(",").map((name) => fieldKey(name.trim())));
}

/** What the job gets, without the fields of its own protocol's framing. Throws nothing: values are as the visitor's parser let them in. */
export function requestFields(input: RequestFieldsInput): string[] {
  const { exchange, allowed } = input;
  const dropped = droppedNames(exchange.fields, allowed);
  const fields: string[] = [];
  eachField(exchange.fields, (name, value) => {
    const key = fieldKey(name);
    if (dropped.has(key) || key.startsWith(FORWARDING_PREFIX) || name.startsWith(":")) return;
    const kept = keptValue(key, value, input);
    if (kept !== null) fields.push(name, kept);
  });
  joinCookies(fields);
  if (acceptsTrailers(exchange.fields)) fields.push("TE", "trailers");
  fields.push(...forwardingFields(input));
  for (const [name, value] of allowed.set) fields.push(name, value);
  return fields;
}

/** Trailers of the request: nothing that counts in a head, for programs that put the two together (RFC 9110 §6.5.1 forbids it). */
export function requestTrailers(exchange: Exchange, allowed: Allowed): string[] {
  const dropped = droppedNames(exchange.fields, allowed);
  const kept: string[] = [];
  eachField(exchange.trailers(), (name, value) => {
    const key = fieldKey(name);
    const counts = key === "cookie" || key === "authorization" || isIdentityField(name);
    if (!counts && !dropped.has(key) && !key.startsWith(FORWARDING_PREFIX)) kept.push(name, value);
  });
  return kept;
}

function droppedNames(fields: Fields, { strip, set }: Allowed): Set<string> {
  const named = [...connectionNames(fields), ...strip.map(fieldKey), ...set.map(([name]) => fieldKey(name))];
  return new Set([...ALWAYS_DROPPED, ...named]);
}

function keptValue(key: string, value: string, input: RequestFieldsInput): string | null {
  if (key === "cookie") return withoutCookies(value, input.allowed.stripCookies);
  if (input.route.policy.rewriteHost !== true) return value;
  if (key === "origin" || key === "referer") return rewriteOrigin(value, input);
  return value;
}

/** HTTP/2 sends cookies apart (RFC 9113 §8.2.3); HTTP/1.1 takes only one field. */
function joinCookies(fields: string[]): void {
  const cookies = valuesOf(fields, "cookie");
  if (cookies.length < 2) return;
  for (let at = fields.length - 2; at >= 0; at -= 2) if (fields[at]?.toLowerCase() === "cookie") fields.splice(at, 2);
  fields.push("Cookie", cookies.join("; "));
}

function acceptsTrailers(fields: Fields): boolean {
  return valuesOf(fields, "te").some((value) =>
    value.split(",").some((one) => one.trim().toLowerCase() === "trailers"),
  );
}

/** Where its host is the one that was asked for, the job sees its own address; a foreign origin stays what it is. */
function rewriteOrigin(value: string, { exchange, address, prefix }: RequestFieldsInput): string {
  const match = /^https?:\/\/([^/?#]*)(.*)$/is.exec(value);
  if (match === null || match[1]?.toLowerCase() !== exchange.head.host) return value;
  const rest = match[2] ?? "";
  const path = prefix !== null && rest.startsWith(prefix) ? rest.slice(prefix.length - 1) : rest;
  return `http://${hostOf(address)}${path}`;
}

/** Host that a job at this address answers to. On loopback its name: what Bokeh's servers take, and everything else too. */
export function hostOf(address: Address): string {
  if ("unix" in address) return "localhost";
  return address.ip === "127.0.0.1" || address.ip === "::1"
    ? `localhost:${String(address.port)}`
    : addressText(address);
}

/** Host as the job gets it. */
export function upstreamHost({ exchange, route, address }: RequestFieldsInput): string {
  return route.policy.rewriteHost === true ? hostOf(address) : exchange.head.host;
}

function forwardingFields({ exchange, site, prefix, via }: RequestFieldsInput): string[] {
  const { host, peer, secure } = exchange.head;
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
  if (prefix !== null) fields.push("X-Forwarded-Prefix", prefix.slice(0, -1));
  return fields;
}
