import type { Framing } from "../exchange.ts";
import { parseHost } from "../../parse-host.ts";
import { METHODS } from "./names.ts";
import { type HeadBounds, type HeadFields, hasControl, lineEnd, readFields, Refusal } from "./head-fields.ts";

/** The head of a request, with all that frames it already judged. */
export interface RequestHeadRead {
  readonly method: string;
  /** Path and query, as sent; of CONNECT, `/`. */
  readonly path: string;
  /** As sent, in lower case, with its port; of CONNECT, who is asked for. */
  readonly host: string;
  readonly version: "1.0" | "1.1";
  readonly fields: HeadFields;
  readonly framing: Framing;
  /** The visitor means to send more on this connection. */
  readonly keepAlive: boolean;
  readonly expectsContinue: boolean;
  /** What the connection shall speak from now on, as sent; null: it stays HTTP/1.1. */
  readonly upgrade: string | null;
}

/** The head of a response. What frames its body depends on the request, too: see `responseFraming`. */
export interface ResponseHeadRead {
  /** 100 to 999. */
  readonly status: number;
  readonly message: string;
  readonly version: "1.0" | "1.1";
  readonly fields: HeadFields;
  /** As its own fields say; null: they say nothing. */
  readonly framing: Exclude<Framing, { kind: "none" }> | null;
  /** The connection may be used again. */
  readonly keepAlive: boolean;
  /** What the connection speaks from now on, where the status says that it changes; null: the fields do not say so. */
  readonly upgrade: string | null;
}

/** RFC 9112 §4; the space before an empty reason is often left out. */
const STATUS_LINE = /^HTTP\/1\.([01]) ([1-9]\d\d)(?: (.*))?$/;
/** What a request line is made of; node's reader takes no other byte either. */
const LINE = /^[\x20-\x7e]*$/;
const LENGTH = /^\d{1,15}$/;
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/**
 * Reads the head of a request from `text`, a latin1 string that ends with the head's empty line. Strict: what another program might read
 * in another way is refused, with its reason, and never forwarded (RFC 9112 §11). `last`: of its connection, whose bounds are always the same.
 */
export function readRequestHead(
  text: string,
  bounds: HeadBounds,
  last: LastSection | null = null,
): RequestHeadRead | Refusal {
  const start = text.startsWith("\r\n") ? 2 : 0; // one empty line is forgiven (RFC 9112 §2.2)
  const end = lineEnd(text, start);
  if (end < 0) return BARE_LINE_END;
  if (end - start > bounds.lineBytes) return LINE_TOO_LONG;
  const section = readLines(text, end + 2, bounds, last);
  return section === null ? CONTROL : readRequest(text.slice(start, end), section);
}

/**
 * The same for a head that is all of the first `length` bytes, and has the fields that came last: only its line is read. null: it has others, or
 * there is more than one head, or less; it is to be read as any.
 */
export function readRepeatedHead(
  bytes: Buffer,
  length: number,
  { bounds, last }: { readonly bounds: HeadBounds & { readonly headBytes: number }; readonly last: LastSection },
): RequestHeadRead | Refusal | null {
  const section = length > bounds.headBytes ? null : last.findAtEnd(bytes, length);
  if (section === null) return null;
  const text = bytes.toString("latin1", 0, length - section.fields.text.length);
  const end = lineEnd(text, 0);
  // Fields begin behind the first line: what stands before them is one line, or they are something else's end.
  if (end <= 0 || end !== text.length - 2 || end > bounds.lineBytes) return null;
  return readRequest(text.slice(0, end), section);
}

function readRequest(request: string, section: Section | Refusal): RequestHeadRead | Refusal {
  if (hasControl(request)) return CONTROL;
  const line = readRequestLine(request);
  if (line instanceof Refusal) return line;
  if (section instanceof Refusal) return section;
  const { fields, meta } = section;
  const target = forbiddenBody(line, meta) ?? readTarget(line.method, line.target, meta.host);
  return target instanceof Refusal ? target : createRequest(line, target, { fields, meta });
}

interface Section {
  readonly fields: HeadFields;
  readonly meta: Meta;
}

/** The field lines from `at` up to the empty one; null: they hold control bytes. */
function readLines(text: string, at: number, bounds: HeadBounds, last: LastSection | null): Section | Refusal | null {
  const lines = text.slice(at);
  const known = last?.find(lines) ?? null;
  if (known !== null) return known;
  if (hasControl(lines)) return null;
  const fields = readFields(lines, 0, bounds);
  if (fields instanceof Refusal) return fields;
  const meta = readMeta(fields);
  if (meta instanceof Refusal) return meta;
  const section = { fields, meta };
  last?.keep(section);
  return section;
}

/**
 * The fields that came last on one connection. Programs ask for one thing after another with the same fields to the byte, and the same bytes
 * mean the same: what was read once, under the same bounds, and taken is not read again.
 */
export class LastSection {
  #section: Section | null = null;
  /** Its text; null: it did not come again yet. */
  #bytes: Buffer | null = null;

  /** Keeps as much memory as it read. */
  keep(section: Section): void {
    this.#section = section;
    this.#bytes = null;
  }

  find(lines: string): Section | null {
    const section = this.#section;
    if (section?.fields.text !== lines) return null;
    section.fields.repeated = true;
    return section;
  }

  /** The same where the first `length` of `bytes` end with it, once `find` found it: nothing is made of them to find that out. */
  findAtEnd(bytes: Buffer, length: number): Section | null {
    const section = this.#section;
    if (section?.fields.repeated !== true) return null;
    this.#bytes ??= Buffer.from(section.fields.text, "latin1");
    const from = length - this.#bytes.length;
    return from > 0 && this.#bytes.compare(bytes, from, length) === 0 ? section : null;
  }

  /** Nothing came for a while. */
  forget(): void {
    this.#section = null;
    this.#bytes = null;
  }
}

function forbiddenBody({ method, version }: RequestLine, { coded, length }: Meta): Refusal | null {
  if (version === "1.0" && coded) return CODED_1_0;
  return method === "CONNECT" && (coded || length !== null) ? CONNECT_BODY : null;
}

interface RequestLine {
  readonly method: string;
  readonly target: string;
  readonly version: "1.0" | "1.1";
}

/** Method, space, target, space, version, each exactly once (RFC 9112 §3). A line is ASCII without tabs. */
function readRequestLine(line: string): RequestLine | Refusal {
  const first = line.indexOf(" ");
  const second = line.indexOf(" ", first + 1);
  const version = line.slice(second + 1);
  if (first <= 0 || second <= first + 1 || !LINE.test(line)) return BAD_REQUEST_LINE;
  if (version !== "HTTP/1.1" && version !== "HTTP/1.0") return badVersion(version);
  const method = line.slice(0, first);
  if (!METHODS.has(method)) return TOKEN.test(method) ? BAD_METHOD : BAD_REQUEST_LINE;
  return { method, target: line.slice(first + 1, second), version: version === "HTTP/1.1" ? "1.1" : "1.0" };
}

function badVersion(version: string): Refusal {
  if (/^HTTP\/\d\.\d$/.test(version)) return BAD_VERSION;
  return /^http/i.test(version) ? BAD_REQUEST_LINE : NOT_HTTP;
}

/** What the fields say about the message itself. */
interface Meta {
  /** In lower case. */
  host: string | null;
  length: string | null;
  coded: boolean;
  connection: string;
  upgrade: string | null;
  expect: string | null;
}

function readMeta(fields: HeadFields): Meta | Refusal {
  const meta: Meta = { host: null, length: null, coded: false, connection: "", upgrade: null, expect: null };
  const { names } = fields;
  for (let index = 0; index < names.length; index += 1) {
    const kind = names[index]?.kind ?? "other";
    if (kind === "other") continue;
    const refusal = takeMeta(meta, kind, fields, index);
    if (refusal !== null) return refusal;
  }
  return meta.coded && meta.length !== null ? LENGTH_AND_CODING : meta;
}

function takeMeta(meta: Meta, kind: string, fields: HeadFields, index: number): Refusal | null {
  switch (kind) {
    case "host":
      if (meta.host !== null) return REPEATED_HOST;
      meta.host = fields.value(index).toLowerCase();
      return null;
    case "content-length":
      return takeLength(meta, fields.value(index));
    case "transfer-encoding":
      // A tab behind it is allowed space, but node's reader does not see `chunked` then, and waits for the end of the connection.
      if (fields.text[fields.lineStart(index + 1) - 3] === "\t") return UNKNOWN_CODING;
      return takeCoding(meta, fields.value(index));
    case "connection":
      meta.connection = meta.connection === "" ? fields.value(index) : `${meta.connection},${fields.value(index)}`;
      return null;
    case "upgrade":
      meta.upgrade = meta.upgrade === null ? fields.value(index) : `${meta.upgrade}, ${fields.value(index)}`;
      return null;
    case "expect":
      meta.expect = fields.value(index);
      return null;
    default:
      return null;
  }
}

/** A repeated one is refused even where both agree: programs differ in which of them they believe. */
function takeLength(meta: Meta, value: string): Refusal | null {
  if (meta.length !== null) return REPEATED_LENGTH;
  if (!LENGTH.test(value)) return BAD_LENGTH;
  meta.length = String(Number(value));
  return null;
}

function takeCoding(meta: Meta, value: string): Refusal | null {
  if (meta.coded || value.toLowerCase() !== "chunked") return value === "" ? EMPTY_CODING : UNKNOWN_CODING;
  meta.coded = true;
  return null;
}

function createRequest(
  { method, version }: RequestLine,
  { host, path }: { readonly host: string; readonly path: string },
  { fields, meta }: { readonly fields: HeadFields; readonly meta: Meta },
): RequestHeadRead {
  const framing = framingOf(meta) ?? NO_BODY;
  return {
    ...{ method, path, host, version, fields, framing },
    keepAlive: keepsAlive(meta.connection, version),
    expectsContinue: version === "1.1" && meta.expect?.toLowerCase() === "100-continue",
    upgrade: upgradeOf(meta, version, isEmpty(framing)),
  };
}

const NO_BODY: Framing = Object.freeze({ kind: "none" });
const CHUNKED = Object.freeze({ kind: "chunked" } as const);
const EMPTY = Object.freeze({ kind: "length", length: "0" } as const);

function framingOf({ coded, length }: Meta): ResponseHeadRead["framing"] {
  if (coded) return CHUNKED;
  if (length === null) return null;
  return length === "0" ? EMPTY : { kind: "length", length };
}

function isEmpty(framing: Framing): boolean {
  return framing.kind === "none" || (framing.kind === "length" && framing.length === "0");
}

function keepsAlive(connection: string, version: "1.0" | "1.1"): boolean {
  if (connection === "" || connection === "keep-alive") return version === "1.1" || connection !== "";
  const options = listed(connection);
  return !options.includes("close") && (version === "1.1" || options.includes("keep-alive"));
}

/**
 * Upgrades are what they say. `h2c` never is: it would smuggle a second protocol past everything that was checked (RFC 9113 §3.1). One
 * with a body is an ordinary request: where its body ends and the new protocol starts is not for us to guess.
 */
function upgradeOf({ upgrade, connection }: Meta, version: "1.0" | "1.1", bodiless: boolean): string | null {
  if (upgrade === null || upgrade === "" || version === "1.0" || !bodiless) return null;
  return listed(connection).includes("upgrade") && !listed(upgrade).includes("h2c") ? upgrade : null;
}

function listed(value: string): string[] {
  return value.split(",").map((one) => one.trim().toLowerCase());
}

/** Who is asked for what (RFC 9112 §3.2). An absolute target, and that of CONNECT, must agree with Host. */
function readTarget(
  method: string,
  target: string,
  hostField: string | null,
): { host: string; path: string } | Refusal {
  const host = hostField ?? "";
  if (parseHost(host) === null) return BAD_HOST;
  if (target.includes("#")) return FRAGMENT;
  if (method === "CONNECT") return target.toLowerCase() === host ? { host, path: "/" } : DISAGREE;
  if (target.startsWith("/")) return { host, path: target };
  if (target === "*") return method === "OPTIONS" ? { host, path: "*" } : BAD_ASTERISK;
  return readAbsolute(target, host);
}

function readAbsolute(target: string, host: string): { host: string; path: string } | Refusal {
  const absolute = /^https?:\/\/([^/?]*)(.*)$/is.exec(target);
  if (absolute === null) return BAD_TARGET;
  const [, authority = "", rest = ""] = absolute;
  if (authority.toLowerCase() !== host) return DISAGREE;
  return { host, path: rest.startsWith("/") ? rest : `/${rest}` };
}

/** Reads the head of a response as strictly as that of a request. The status of a refusal means nothing here. */
export function readResponseHead(
  text: string,
  bounds: HeadBounds,
  last: LastSection | null = null,
): ResponseHeadRead | Refusal {
  const end = lineEnd(text, 0);
  if (end < 0) return BARE_LINE_END;
  const line = text.slice(0, end);
  const section = readLines(text, end + 2, bounds, last);
  if (section === null || hasControl(line)) return CONTROL;
  const match = STATUS_LINE.exec(line);
  if (match === null) return BAD_STATUS_LINE;
  if (section instanceof Refusal) return section;
  return createResponse({ minor: match[1] ?? "", status: Number(match[2]), message: match[3] ?? "" }, section);
}

interface StatusLine {
  readonly minor: string;
  readonly status: number;
  readonly message: string;
}

function createResponse({ minor, status, message }: StatusLine, { fields, meta }: Section): ResponseHeadRead | Refusal {
  const version = minor === "0" ? "1.0" : "1.1";
  const misframed = misframedResponse(version, status, meta);
  if (misframed !== null) return misframed;
  return {
    ...{ version, fields, status, message },
    framing: framingOf(meta),
    keepAlive: keepsAlive(meta.connection, version),
    upgrade: upgradeOf(meta, version, true),
  };
}

function misframedResponse(version: "1.0" | "1.1", status: number, { coded, length }: Meta): Refusal | null {
  if (version === "1.0" && coded) return CODED_1_0;
  // An interim answer has no body (RFC 9110 §15.2), but node's reader, among others, takes one off where it is announced.
  return status < 200 && (coded || (length ?? "0") !== "0") ? INTERIM_BODY : null;
}

export type ResponseFraming = Framing | { readonly kind: "close" };

const UNTIL_CLOSE = Object.freeze({ kind: "close" } as const);

/** How a final response's body ends (RFC 9112 §6.3). */
export function responseFraming(method: string, { status, framing }: ResponseHeadRead): ResponseFraming {
  if (method === "HEAD" || status === 204 || status === 304) return NO_BODY;
  return framing ?? UNTIL_CLOSE;
}

const BARE_LINE_END = new Refusal(400, "A line ends with a bare CR or LF.");
const LINE_TOO_LONG = new Refusal(414, "The request line is longer than the gate takes.");
const CONTROL = new Refusal(400, "The head holds control bytes.");
const BAD_REQUEST_LINE = new Refusal(400, "The request line is not: method, space, target, space, HTTP/1.1.");
const BAD_STATUS_LINE = new Refusal(400, "The status line is none of HTTP/1.1.");
const BAD_VERSION = new Refusal(505, "This port speaks HTTP/1.1 and HTTP/2.");
const BAD_METHOD = new Refusal(501, "No such method is known here.");
const REPEATED_HOST = new Refusal(400, "Exactly one valid Host is needed.");
const BAD_HOST = REPEATED_HOST;
const REPEATED_LENGTH = new Refusal(400, "Content-Length is there more than once.");
/** Nothing of HTTP at all: who sent it would not understand an answer. */
export const NOT_HTTP = new Refusal(400, "This is no HTTP.");
const BAD_LENGTH = new Refusal(400, "Content-Length is no number of bytes.");
const LENGTH_AND_CODING = new Refusal(400, "Content-Length and Transfer-Encoding exclude each other.");
const EMPTY_CODING = new Refusal(400, "Transfer-Encoding names no coding.");
const UNKNOWN_CODING = new Refusal(501, "Of transfer codings only chunked is understood.");
const INTERIM_BODY = new Refusal(400, "An interim answer announces a body.");
const CODED_1_0 = new Refusal(400, "HTTP/1.0 has no transfer codings.");
const CONNECT_BODY = new Refusal(400, "CONNECT has no body.");
const FRAGMENT = new Refusal(400, "A request target has no fragment.");
const DISAGREE = new Refusal(400, "The request target and Host disagree.");
const BAD_ASTERISK = new Refusal(400, "Only OPTIONS may ask for *.");
const BAD_TARGET = new Refusal(400, "The request target is neither a path nor an http URL.");
