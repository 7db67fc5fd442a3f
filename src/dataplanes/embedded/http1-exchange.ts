import { STATUS_CODES, type IncomingMessage, type ServerResponse } from "node:http";
import { TLSSocket } from "node:tls";
import { DISCARD_MS, eachField, type Exchange, type Fields, type Framing, valuesOf } from "./exchange.ts";
import { createHead, parseTarget, type Client } from "./request-head.ts";

export interface Http1ExchangeInput {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly client: Client;
  readonly expectsContinue: boolean;
  readonly upgrade: Exchange["upgrade"];
  /** CONNECT: who is asked for, in place of Host. */
  readonly authority?: string;
}

/** A request of node:http as an exchange. */
export function http1Exchange(input: Http1ExchangeInput): Exchange {
  const { req, res, client } = input;
  const fields = req.rawHeaders;
  const framing = readFraming(fields);
  const target = readTarget(input);
  const fault = readFault(req, framing, target);
  if (fault !== null) res.shouldKeepAlive = false; // where its next request starts is anybody's guess
  const method = req.method ?? "GET";
  const base = { method, host: target.ok ? target.host : "", path: target.ok ? target.path : "/", ...client };
  return {
    version: req.httpVersionMinor === 0 ? "1.0" : "1.1",
    head: createHead(base, fields),
    fields,
    framing: framing ?? { kind: "none" },
    body: req,
    expectsContinue: input.expectsContinue,
    fault,
    upgrade: input.upgrade,
    gone: watchGone(req, res),
    get begun() {
      return res.headersSent;
    },
    trailers: () => req.rawTrailers,
    ...answering(req, res),
  };
}

function readFault(
  req: IncomingMessage,
  framing: Framing | null,
  target: ReturnType<typeof parseTarget>,
): Exchange["fault"] {
  // node's parser takes 0.9 and 2.0 for versions, with heads as in 1.1.
  if (req.httpVersionMajor !== 1) return { status: 400, message: "This port speaks HTTP/1.1 and HTTP/2." };
  if (framing === null) return { status: 501, message: "Of transfer codings only chunked is understood." };
  // Programs in between may have read such a body differently (RFC 9112 §6.1).
  if (req.httpVersionMinor === 0 && framing.kind === "chunked") {
    return { status: 400, message: "HTTP/1.0 has no transfer codings." };
  }
  return target.ok ? null : { status: 400, message: target.message };
}

function readTarget({ req, authority }: Http1ExchangeInput) {
  const method = req.method ?? "GET";
  if (authority === undefined) return parseTarget(method, req.url ?? "", req.rawHeaders);
  return parseTarget(method, "/", ["host", authority]);
}

/** null: a coding that nobody here can take off. Conflicting and repeated lengths never get past node's parser. */
function readFraming(fields: Fields): Framing | null {
  const codings = valuesOf(fields, "transfer-encoding");
  if (codings.length > 0) {
    return codings.length === 1 && codings[0]?.trim().toLowerCase() === "chunked" ? { kind: "chunked" } : null;
  }
  const length = valuesOf(fields, "content-length")[0];
  return length === undefined || Number(length) === 0 ? { kind: "none" } : { kind: "length", length };
}

function watchGone(req: IncomingMessage, res: ServerResponse): AbortSignal {
  const controller = new AbortController();
  res.once("close", () => {
    if (!res.writableFinished) controller.abort();
  });
  req.once("close", () => {
    if (!req.complete) controller.abort();
  });
  // Both streams end by `close`; an error says nothing more, but unheard it would end the process.
  req.on("error", () => undefined);
  res.on("error", () => undefined);
  return controller.signal;
}

type Answering = Pick<Exchange, "proceed" | "inform" | "begin" | "flush" | "finish" | "discard" | "abort" | "onClose">;

function answering(req: IncomingMessage, res: ServerResponse): Answering {
  const open = () => !res.headersSent && !res.destroyed && req.httpVersionMinor > 0;
  let proceeded = false;
  return {
    proceed() {
      proceeded = true;
      if (open()) res.writeContinue();
    },
    inform(status, fields) {
      if (open()) inform(res, status, fields);
    },
    begin({ status, message, fields }) {
      // A visitor that was never told to go on may send its body or not: nobody can tell where its next request starts.
      if (req.headers.expect !== undefined && !proceeded && !req.complete) res.shouldKeepAlive = false;
      res.writeHead(status, message === "" ? STATUS_CODES[status] : message, [...fields]);
      return res;
    },
    flush: () => res.flushHeaders(),
    finish(trailers) {
      if (trailers.length > 0 && res.chunkedEncoding) addTrailers(res, trailers);
      res.end();
    },
    discard() {
      if (req.complete) return void req.resume();
      const { socket } = req;
      const timer = setTimeout(() => socket.destroy(), DISCARD_MS);
      req.once("close", () => clearTimeout(timer));
      req.resume();
    },
    abort() {
      const socket = res.socket ?? req.socket;
      // Where the end of the connection is the end of the body, only a reset tells a broken answer from a whole one.
      if (!res.chunkedEncoding && !(socket instanceof TLSSocket)) socket.resetAndDestroy();
      else socket.destroy();
    },
    onClose(call) {
      if (res.closed || res.destroyed) call();
      else res.once("close", call);
    },
  };
}

function inform(res: ServerResponse, status: number, fields: Fields): void {
  if (status === 102) res.writeProcessing();
  if (status !== 103) return;
  const links = valuesOf(fields, "link");
  try {
    if (links.length > 0) res.writeEarlyHints({ link: links });
  } catch {
    // Hints that node does not take for links are no loss: the answer itself follows.
  }
}

function addTrailers(res: ServerResponse, trailers: Fields): void {
  try {
    res.addTrailers(pairsOf(trailers));
  } catch {
    res.destroy(); // a job's trailers that cannot be said: without them the answer would seem whole
  }
}

/** As node's calls for trailers take them. */
export function pairsOf(fields: Fields): [string, string][] {
  const pairs: [string, string][] = [];
  eachField(fields, (name, value) => pairs.push([name, value]));
  return pairs;
}
