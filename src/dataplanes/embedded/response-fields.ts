import { addressText, isGateService, type Address, type Route } from "../../model/index.ts";
import { translateSetCookie, underPrefix } from "./cookies.ts";
import { eachField, joined, type Exchange, type Fields } from "./exchange.ts";
import { framing, FRAMING, withoutFraming } from "./frame-fields.ts";
import { fieldName, type FieldName } from "./http1/field-name.ts";
import type { HeadFields } from "./http1/head-fields.ts";
import { ERROR_HEADER } from "../pages.ts";
import { speaksForGate } from "../proxy-status.ts";
import { parseHost } from "../parse-host.ts";
import { hostOf } from "../host-of.ts";
import { connectionKeys, type Allowed } from "./request-fields.ts";

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

/** A job's answer as its visitor gets it, and what the gatekeeper adds. */
export function responseFields(fields: Fields, input: ResponseFieldsInput): string[] {
  const named = connectionKeys(joined(fields, "connection"));
  const kept: string[] = [];
  eachField(fields, (spelled, value) => {
    const name = fieldName(spelled);
    if (name === null || name.notForVisitor || named?.has(name.key) === true) return;
    const translated = name.special ? translate(name, value, input) : value;
    if (translated !== null) kept.push(spelled, translated);
  });
  const frame = framing((name) => joined(fields, name), input.allowed);
  if (frame !== null) kept.push(FRAMING, frame);
  for (const [name, value] of input.allowed.respond) kept.push(name, value);
  return kept;
}

/** What a job's fields became, and all that this follows from besides them. */
interface Made {
  readonly route: Route;
  readonly address: Address;
  readonly prefix: string | null;
  readonly status: number;
  readonly trailers: boolean;
  readonly host: string;
  readonly secure: boolean;
  readonly respond: Allowed["respond"];
  readonly text: string;
}

/** Of fields that come again and again on a connection. */
const made = new WeakMap<HeadFields, Made>();

/** The same as text, for fields that are still as they came: what stays as it was is not taken apart. */
export function responseFieldsText(wire: HeadFields, input: ResponseFieldsInput): string {
  let text = wire.repeated ? steadyText(wire, input) : translatedText(wire, input);
  for (const [name, value] of input.allowed.respond) text += `${name}: ${value}\r\n`;
  return text;
}

function steadyText(wire: HeadFields, input: ResponseFieldsInput): string {
  const { route, address, prefix, status, trailers } = input;
  const { host, secure } = input.exchange.head;
  const { respond } = input.allowed;
  const before = made.get(wire);
  if (before?.route === route && before.address === address && before.prefix === prefix && before.status === status) {
    const same = before.trailers === trailers && before.host === host && before.secure === secure;
    if (same && before.respond === respond) return before.text;
  }
  const text = translatedText(wire, input);
  made.set(wire, { route, address, prefix, status, trailers, host, secure, respond, text });
  return text;
}

function translatedText(wire: HeadFields, input: ResponseFieldsInput): string {
  const named = connectionKeys(wire.joined("connection"));
  const text = wire.rewrite((name, index) => {
    if (name.notForVisitor || named?.has(name.key) === true) return null;
    return name.special ? translate(name, wire.value(index), input) : undefined;
  });
  const frame = framing((name) => wire.joined(name), input.allowed);
  return frame === null ? text : `${text}${FRAMING}: ${frame}\r\n`;
}

/** Trailers of the answer: a job's own, none that speak for the gate or set cookies. */
export function responseTrailers(fields: Fields): string[] {
  const kept: string[] = [];
  eachField(fields, (spelled, value) => {
    const name = fieldName(spelled);
    if (name === null || name.notForVisitor || name.kind === "set-cookie" || name.key === ERROR_HEADER) return;
    if (name.key === "proxy-status") return;
    kept.push(spelled, value);
  });
  return kept;
}

function translate(name: FieldName, value: string, input: ResponseFieldsInput): string | null {
  switch (name.key) {
    case "set-cookie":
      return translateSetCookie(value, parseHost(input.exchange.head.host) ?? "", input.prefix);
    case "location":
      return translateLocation(value, input);
    case ERROR_HEADER:
      return isGateService(input.route.service) ? value : null;
    case "proxy-status":
      return speaksForGate(value) ? null : value;
    case "trailer":
      return input.trailers ? value : null;
    case "content-length":
      return input.status === 204 ? null : value; // RFC 9110 §8.6: there is none on 204
    default:
      return withoutOurs(name.key, value, input.allowed);
  }
}

/** What the gate itself says of other origins, it alone says. */
function withoutOurs(key: string, value: string, allowed: Allowed): string | null {
  if (!key.startsWith("access-control-")) return withoutFraming(key, value, allowed);
  return allowed.respond.some(([name]) => name === key) ? null : value;
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
