import type { ServerHttp2Stream } from "node:http2";
import { Writable } from "node:stream";
import { DISCARD_MS, eachField, valuesOf, type Exchange, type Fields, type Framing, type Upgrade } from "./exchange.ts";
import { tunnelUpgrade, webSocketUpgrade } from "./http2-upgrade.ts";
import type { Client } from "./client.ts";
import { createHead, parseTarget, type Target } from "./request-head.ts";
import { HTTP2 } from "../../platform/node-http2.ts";

const { NGHTTP2_FLAG_END_STREAM, NGHTTP2_INTERNAL_ERROR, NGHTTP2_NO_ERROR } = HTTP2;

export interface Http2ExchangeInput {
  readonly stream: ServerHttp2Stream;
  readonly flags: number;
  /** With pseudo fields, as they came. */
  readonly raw: Fields;
  readonly client: Client;
}

/** A stream of node:http2 as an exchange. */
export function http2Exchange({ stream, flags, raw, client }: Http2ExchangeInput): Exchange {
  const { pseudo, fields: sent } = splitFields(raw);
  const { fields, upgrade } = readUpgrade(stream, pseudo, sent);
  // What is asked of the job, and what everybody decides about, is what HTTP/1.1 would say.
  const method = upgrade?.protocol === "websocket" ? "GET" : pseudo.method;
  const target = readTarget(method, pseudo, fields);
  let trailers: Fields = [];
  const framing: Framing = upgrade === null ? readFraming(fields, flags) : { kind: "none" };
  // Nothing comes, but only a stream that was read to its end is closed.
  if (framing.kind === "none" && upgrade === null) stream.resume();
  stream.on("trailers", (_headers, _flags, rawTrailers: string[]) => (trailers = rawTrailers));
  const gone = watchGone(stream);
  const base = {
    method,
    host: target.ok ? target.host : "",
    path: target.ok ? target.path : "/",
    peer: client.peer,
    secure: client.secure,
  };
  return {
    version: "2",
    head: createHead(base, fields),
    client,
    fields,
    framing,
    body: stream,
    expectsContinue: valuesOf(fields, "expect").some((value) => value.toLowerCase() === "100-continue"),
    fault: readFault(pseudo, upgrade, target),
    upgrade,
    gone,
    get left() {
      return gone.aborted;
    },
    get begun() {
      return stream.headersSent;
    },
    trailers: () => trailers,
    ...answering(stream, upgrade !== null),
  };
}

/** Pseudo fields (RFC 9113 §8.3.1, RFC 8441 §4); node lets each come once and before all others. */
interface Pseudo {
  method: string;
  authority: string | null;
  path: string | null;
  protocol: string | null;
}

function splitFields(raw: Fields): { readonly pseudo: Pseudo; readonly fields: string[] } {
  const pseudo: Pseudo = { method: "GET", authority: null, path: null, protocol: null };
  const fields: string[] = [];
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const name = raw[at] ?? "";
    const value = raw[at + 1] ?? "";
    if (!name.startsWith(":")) fields.push(name, value);
    else if (name === ":method") pseudo.method = value;
    else if (name === ":authority") pseudo.authority = value;
    else if (name === ":path") pseudo.path = value;
    else if (name === ":protocol") pseudo.protocol = value;
  }
  return { pseudo, fields };
}

function readUpgrade(
  stream: ServerHttp2Stream,
  { method, protocol }: Pseudo,
  fields: string[],
): { readonly fields: string[]; readonly upgrade: Upgrade | null } {
  if (method !== "CONNECT") return { fields, upgrade: null };
  if (protocol === null) return { fields, upgrade: tunnelUpgrade(stream) };
  return protocol.toLowerCase() === "websocket" ? webSocketUpgrade(stream, fields) : { fields, upgrade: null };
}

function readFault(pseudo: Pseudo, upgrade: Upgrade | null, target: Target): Exchange["fault"] {
  if (pseudo.protocol !== null && upgrade === null) {
    return { status: 501, message: "Of extended CONNECT only WebSockets are understood." };
  }
  return target.ok ? null : { status: 400, message: target.message };
}

/** `:authority` takes the place of Host; where both are, they must agree (RFC 9113 §8.3.1). */
function readTarget(method: string, { authority, path, protocol }: Pseudo, fields: Fields): Target {
  const hosts = valuesOf(fields, "host");
  if (authority !== null && hosts.some((host) => host.toLowerCase() !== authority.toLowerCase())) {
    return { ok: false, message: "The authority and Host disagree." };
  }
  const named = authority === null ? fields : ["host", authority];
  if (method === "CONNECT" && protocol === null) return parseTarget(method, "/", named);
  if (path?.startsWith("/") !== true && path !== "*") {
    return { ok: false, message: "The path must start with a slash." };
  }
  return parseTarget(method, path, named);
}

function readFraming(fields: Fields, flags: number): Framing {
  if ((flags & NGHTTP2_FLAG_END_STREAM) !== 0) return { kind: "none" };
  const length = valuesOf(fields, "content-length")[0];
  return length === undefined ? { kind: "chunked" } : { kind: "length", length };
}

function watchGone(stream: ServerHttp2Stream): AbortSignal {
  const controller = new AbortController();
  stream.once("close", () => {
    // To HEAD there is nothing to write: there only the head tells whether it was answered.
    const whole = stream.headersSent && stream.writableFinished;
    if (!whole || stream.rstCode !== NGHTTP2_NO_ERROR) controller.abort();
  });
  // A visitor may reset a stream with NO_ERROR; node then waits for somebody to read it to its end before it closes it.
  stream.once("aborted", () => {
    if (stream.rstCode !== NGHTTP2_NO_ERROR) return;
    controller.abort();
    stream.destroy();
  });
  // What ends a stream is told by `close`; an unheard error would end the process.
  stream.on("error", () => undefined);
  return controller.signal;
}

type Answering = Pick<Exchange, "proceed" | "inform" | "begin" | "flush" | "finish" | "discard" | "abort" | "onClose">;

/** `upgrade`: what still comes of it belongs to a protocol that was refused. */
function answering(stream: ServerHttp2Stream, upgrade: boolean): Answering {
  let trailers: Fields = [];
  const discard = () => {
    if (stream.destroyed || stream.readableEnded) return;
    const timer = setTimeout(() => stream.close(NGHTTP2_NO_ERROR), DISCARD_MS);
    stream.once("close", () => clearTimeout(timer));
    stream.once("end", () => clearTimeout(timer));
    stream.resume();
  };
  const open = () => !stream.destroyed && !stream.closed && !stream.headersSent;
  return {
    proceed() {
      if (open()) stream.additionalHeaders({ ":status": 100 });
    },
    inform(status, fields) {
      if (open()) inform(stream, status, fields);
    },
    begin({ status, fields, only }) {
      if (stream.destroyed || stream.closed) return sink();
      stream.on("wantTrailers", () => sendTrailers(stream, trailers));
      const head = [":status", String(status), ...lowerNames(fields)];
      stream.respond(head, only ? { endStream: true } : { waitForTrailers: true });
      return stream.writableEnded ? sink() : stream; // answers to HEAD, and 204 and 304, end with their head
    },
    flush: () => undefined, // a head is a frame of its own
    finish(last) {
      trailers = last;
      if (!stream.writableEnded && !stream.destroyed) stream.end();
      if (upgrade) discard();
    },
    discard,
    abort(code = NGHTTP2_INTERNAL_ERROR) {
      if (!stream.destroyed) stream.close(code);
    },
    onClose(call) {
      if (stream.destroyed) call();
      else stream.once("close", call);
    },
  };
}

function inform(stream: ServerHttp2Stream, status: number, fields: Fields): void {
  try {
    const links = valuesOf(fields, "link");
    stream.additionalHeaders(links.length > 0 ? { ":status": status, link: links } : { ":status": status });
  } catch {
    // An early word that cannot be sent is no loss: the answer itself follows.
  }
}

function sendTrailers(stream: ServerHttp2Stream, trailers: Fields): void {
  try {
    stream.sendTrailers(toObject(trailers));
  } catch {
    // A job's trailers that HTTP/2 forbids: without them the answer would seem whole.
    stream.close(NGHTTP2_INTERNAL_ERROR);
  }
}

/** HTTP/2 has field names in lower case only (RFC 9113 §8.2.1). */
export function lowerNames(fields: Fields): string[] {
  return fields.map((text, at) => (at % 2 === 0 ? text.toLowerCase() : text));
}

/** Trailers, for node's calls that take no lists. */
export function toObject(fields: Fields): Record<string, string | string[]> {
  const object: Record<string, string | string[]> = Object.create(null) as Record<string, string | string[]>;
  eachField(fields, (name, value) => {
    const key = name.toLowerCase();
    const before = object[key];
    object[key] = before === undefined ? value : [before, value].flat();
  });
  return object;
}

function sink(): Writable {
  return new Writable({ write: (_chunk, _encoding, done) => done() });
}
