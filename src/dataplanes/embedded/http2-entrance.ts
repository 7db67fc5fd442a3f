import http2, { type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";
import type { Duplex } from "node:stream";
import type { LimitsConfig } from "../../config/schema.ts";
import type { Exchange } from "./exchange.ts";
import { http2Exchange } from "./http2-exchange.ts";
import type { Client } from "./request-head.ts";

export interface Http2EntranceDeps {
  readonly limits: LimitsConfig;
  client(socket: Duplex): Client;
  serve(exchange: Exchange): void;
  /** CONNECT: the exchange answers until the tunnel stands. */
  tunnel(exchange: Exchange): void;
}

export interface Http2Entrance extends Disposable {
  /** Takes a connection that speaks HTTP/2 and whose first bytes are unread. */
  take(socket: Duplex): void;
  /** Says goodbye on every session; streams under way go on. */
  drain(): void;
}

/** Streams of one visitor at once; more wait with it. */
const STREAMS = 256;
const WINDOW_BYTES = 1024 * 1024;
const SESSION_WINDOW_BYTES = 8 * 1024 * 1024;

/** HTTP/2, behind TLS or by prior knowledge. */
export function createHttp2Entrance(deps: Http2EntranceDeps): Http2Entrance {
  const { limits } = deps;
  const sessions = new Set<ServerHttp2Session>();
  const take = (socket: Duplex) => {
    const client = deps.client(socket);
    socket.allowHalfOpen = false; // HTTP/2 knows no half-closed connection: one that ends is gone, with all its streams
    const session = http2.performServerHandshake(socket, {
      settings: {
        maxConcurrentStreams: STREAMS,
        initialWindowSize: WINDOW_BYTES,
        maxHeaderListSize: limits.headerBytes,
        enableConnectProtocol: true,
      },
      maxHeaderListPairs: 2000,
      strictSingleValueFields: false, // jobs that repeat a field where they should not are passed on as they are
    });
    let streams = 0;
    sessions.add(session);
    session.on("error", () => undefined); // `close` follows
    session.once("close", () => sessions.delete(session));
    session.setTimeout(limits.keepAlive, () => {
      if (streams === 0) session.close();
    });
    session.on("stream", (stream: ServerHttp2Stream, _headers, flags, raw: string[]) => {
      streams += 1;
      stream.once("close", () => (streams -= 1));
      const exchange = http2Exchange({ stream, flags, raw, client });
      if (exchange.head.method === "CONNECT" && exchange.fault === null) deps.tunnel(exchange);
      else deps.serve(exchange);
    });
    session.once("connect", () => session.setLocalWindowSize(SESSION_WINDOW_BYTES));
  };
  return {
    take,
    drain() {
      for (const session of sessions) session.close();
    },
    [Symbol.dispose]() {
      for (const session of sessions) session.destroy();
    },
  };
}
