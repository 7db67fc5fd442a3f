import http, { ServerResponse, type IncomingMessage } from "node:http";
import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { LimitsConfig } from "../../config/schema.ts";
import { readEarly } from "./early-bytes.ts";
import type { Exchange } from "./exchange.ts";
import { http1Exchange } from "./http1-exchange.ts";
import { renderNotice, type Notice } from "./pages.ts";
import type { Client } from "./request-head.ts";

export interface Http1EntranceDeps {
  readonly limits: LimitsConfig;
  /** Who is at the other end of a connection that was handed in. */
  client(socket: Duplex): Client;
  serve(exchange: Exchange): void;
  /** CONNECT: the exchange answers until the tunnel stands. */
  tunnel(exchange: Exchange): void;
  /** The gate's own answer to what was no request. */
  refused(notice: Notice, peer: string): void;
}

/** Requests that one connection may have sent without waiting for answers. */
const PIPELINED_MAX = 100;

/** HTTP/1.1 by node's own server and its strict parser; it listens to nothing, connections are handed in. */
export class Http1Entrance implements Disposable {
  readonly #deps: Http1EntranceDeps;
  readonly #server: http.Server;
  /** Answers under way on a connection: requests may be pipelined, but none behind others may take the connection over. */
  readonly #busy = new WeakMap<Duplex, Set<ServerResponse>>();
  #draining = false;

  constructor(deps: Http1EntranceDeps) {
    this.#deps = deps;
    this.#server = createParsingServer(deps.limits);
    this.#server
      .on("request", (req, res) => this.#serve(req, res, false))
      .on("checkContinue", (req, res) => this.#serve(req, res, true))
      .on("checkExpectation", (req, res) => this.#serve(req, res, false))
      .on("upgrade", (req, socket, head) => this.#takeOver(req, socket, head))
      .on("connect", (req, socket, head) => this.#takeOver(req, socket, head))
      .on("clientError", (error: NodeJS.ErrnoException, socket) => this.#refuse(error, socket));
    this.#server.emit("listening"); // starts node's watch over headersTimeout, which otherwise only a listening server has
  }

  /** Takes a connection whose first bytes are unread. */
  take(socket: Duplex): void {
    const busy = new Set<ServerResponse>();
    this.#busy.set(socket, busy);
    socket.once("close", () => {
      // Node closes the answer whose turn it was; those that waited behind it would never hear that nobody is left.
      for (const res of busy) if (res.socket === null) res.emit("close");
    });
    this.#server.emit("connection", socket);
  }

  /** Ends idle connections, and every other one after its present request. */
  drain(): void {
    this.#draining = true;
    this.#server.closeIdleConnections();
  }

  [Symbol.dispose](): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  #serve(req: IncomingMessage, res: ServerResponse, expectsContinue: boolean): void {
    const { socket } = req;
    const busy = this.#busy.get(socket);
    if (busy === undefined || busy.size >= PIPELINED_MAX) return void socket.destroy();
    busy.add(res);
    res.once("close", () => {
      busy.delete(res);
      if (this.#draining) setImmediate(() => this.#server.closeIdleConnections());
    });
    if (this.#draining) res.shouldKeepAlive = false;
    const { client, serve } = this.#deps;
    serve(http1Exchange({ req, res, client: client(socket), expectsContinue, upgrade: null }));
  }

  /** A request that wants the connection for another protocol. Behind another one that is still answered, there is no room for it. */
  #takeOver(req: IncomingMessage, socket: Duplex, head: Buffer): void {
    if (!(socket instanceof Socket) || this.#isBusy(socket)) return void socket.destroy();
    const { client, serve, tunnel } = this.#deps;
    const upgrade = { protocol: req.headers.upgrade ?? "", socket, take: readEarly(socket, head) };
    const base = { req, res: responseOn(req, socket), client: client(socket), expectsContinue: false, upgrade };
    if (req.method === "CONNECT") tunnel(http1Exchange({ ...base, authority: req.url ?? "" }));
    else serve(http1Exchange(base));
  }

  #isBusy(socket: Duplex): boolean {
    return (this.#busy.get(socket)?.size ?? 0) > 0;
  }

  #refuse(error: NodeJS.ErrnoException, socket: Duplex): void {
    const notice = FAULTS[error.code ?? ""] ?? MALFORMED;
    // In the middle of an answer there is no place for another one.
    const silent = !socket.writable || this.#isBusy(socket) || error.code === "ECONNRESET";
    if (silent) return void socket.destroy();
    this.#deps.refused(notice, this.#deps.client(socket).peer);
    sayGoodbye(socket, notice);
  }
}

function createParsingServer(limits: LimitsConfig): http.Server {
  const server = http.createServer({
    maxHeaderSize: limits.headerBytes,
    headersTimeout: limits.headerTime,
    requestTimeout: 0, // no overall deadline
    keepAliveTimeout: limits.keepAlive,
    connectionsCheckingInterval: Math.min(1000, limits.headerTime),
    requireHostHeader: false, // the answer to that is ours
    insecureHTTPParser: false,
    shouldUpgradeCallback,
  });
  server.maxHeadersCount = 0; // bounded by bytes; a count would drop the rest in silence
  return server;
}

/**
 * Upgrades are what they say. `h2c` never is: it would smuggle a second protocol past everything that was checked (RFC 9113 §3.1). One
 * with a body is an ordinary request: where its body ends and the new protocol starts is not for us to guess.
 */
function shouldUpgradeCallback(req: IncomingMessage): boolean {
  const { upgrade = "", "content-length": length = "0", "transfer-encoding": coding } = req.headers;
  const protocols = upgrade.split(",").map((name) => name.trim().toLowerCase());
  return !protocols.includes("h2c") && upgrade !== "" && Number(length) === 0 && coding === undefined;
}

/** Answers on a connection that node gave up, as long as its new protocol has not begun. Such a connection ends with its answer. */
function responseOn(req: IncomingMessage, socket: Socket): ServerResponse {
  const res = new ServerResponse(req);
  res.shouldKeepAlive = false;
  res.assignSocket(socket);
  res.once("finish", () => {
    res.detachSocket(socket);
    res.emit("close");
    sendOff(socket);
  });
  return res;
}

const FAULTS: Readonly<Record<string, Notice>> = {
  HPE_HEADER_OVERFLOW: {
    status: 431,
    code: "header_too_large",
    title: "Header too large",
    message: "The head of this request is larger than the gate takes.",
  },
  ERR_HTTP_REQUEST_TIMEOUT: {
    status: 408,
    code: "request_timeout",
    title: "Too slow",
    message: "The head of this request did not come in time.",
  },
};
const MALFORMED: Notice = {
  status: 400,
  code: "bad_request",
  title: "Bad request",
  message: "This is no valid HTTP/1.1.",
};

/** Writes one last answer by hand. */
export function sayGoodbye(socket: Duplex, notice: Notice): void {
  const { status, fields, body } = renderNotice(notice, "text");
  let head = `HTTP/1.1 ${String(status)} ${http.STATUS_CODES[status] ?? ""}\r\nConnection: close\r\n`;
  for (let at = 0; at + 1 < fields.length; at += 2) head += `${fields[at] ?? ""}: ${fields[at + 1] ?? ""}\r\n`;
  socket.write(`${head}\r\n${body}`);
  sendOff(socket);
}

const LINGER_MS = 1000;

/** Ends a connection so that what was written arrives: reads on for a moment, because unread bytes would turn the end into a reset. */
function sendOff(socket: Duplex): void {
  socket.end();
  socket.resume();
  const timer = setTimeout(() => socket.destroy(), LINGER_MS);
  socket.once("end", () => socket.destroy());
  socket.once("close", () => clearTimeout(timer));
}
