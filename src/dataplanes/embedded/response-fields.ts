import { addressText, fieldKey, type Address, type Route } from "../../model/index.ts";
import { translateSetCookie, underPrefix } from "./cookies.ts";
import { eachField, type Exchange, type Fields } from "./exchange.ts";
import { parseHost } from "./request-head.ts";
import { connectionNames, hostOf, type Allowed } from "./request-fields.ts";

/** Marks answers that are the gate's own. */
export const ERROR_HEADER = "x-taskgate-error";

export interface ResponseFieldsInput {
  readonly exchange: Exchange;
  readonly route: Route;
  readonly allowed: Allowed;
  readonly address: Address;
  readonly prefix: string | null;
  readonly status: number;
  /** The body's length is not said up front, so trailers may follow. */
  readonly trailers: boolean;
}

const DROPPED: readonly string[] = [
  "connection",
  "keep-alive",
  "proxy-connection",
  "proxy-authenticate",
  "te",
  "transfer-encoding",
  "upgrade",
  "http2-settings",
];

/** A job's answer as its visitor gets it, and what the gatekeeper adds. */
export function responseFields(fields: Fields, input: ResponseFieldsInput): string[] {
  const dropped = new Set([...DROPPED, ...connectionNames(fields)]);
  if (!input.route.service.startsWith("gate/")) dropped.add(ERROR_HEADER);
  if (!input.trailers) dropped.add("trailer");
  if (input.status === 204) dropped.add("content-length"); // RFC 9110 §8.6: there is none on 204
  const kept: string[] = [];
  eachField(fields, (name, value) => {
    const key = fieldKey(name);
    if (dropped.has(key) || name.startsWith(":")) return;
    const translated = translate(key, value, input);
    if (translated !== null) kept.push(name, translated);
  });
  for (const [name, value] of input.allowed.respond) kept.push(name, value);
  return kept;
}

/** Trailers of the answer: a job's own, none that speak for the gate or set cookies. */
export function responseTrailers(fields: Fields): string[] {
  const kept: string[] = [];
  eachField(fields, (name, value) => {
    const key = fieldKey(name);
    if (key !== "set-cookie" && key !== ERROR_HEADER && !DROPPED.includes(key)) kept.push(name, value);
  });
  return kept;
}

function translate(key: string, value: string, input: ResponseFieldsInput): string | null {
  if (key === "set-cookie") return translateSetCookie(value, parseHost(input.exchange.head.host) ?? "", input.prefix);
  if (key === "location") return translateLocation(value, input);
  return value;
}

/** Absolute to the job's own address, or to the host that was asked for: a URL of the visitor's; in path mode below the prefix. */
function translateLocation(value: string, { exchange, route, address, prefix }: ResponseFieldsInput): string {
  const map = (path: string) => (prefix === null ? path : underPrefix(path, prefix));
  const match = /^https?:\/\/([^/?#]*)(.*)$/is.exec(value);
  if (match === null) return map(value);
  const [, authority = "", rest = ""] = match;
  const own =
    route.policy.rewriteHost === true && [hostOf(address), addressText(address)].includes(authority.toLowerCase());
  const asked = authority.toLowerCase() === exchange.head.host;
  if (!own && !asked) return value;
  const path = map(rest.startsWith("/") ? rest : `/${rest}`);
  return own
    ? `${exchange.head.secure ? "https" : "http"}://${exchange.head.host}${path}`
    : withPath(value, rest, path);
}

function withPath(value: string, rest: string, path: string): string {
  return value.slice(0, value.length - rest.length) + path;
}
