import type { ServerHttp2Session, ServerHttp2Stream, ServerOptions } from "node:http2";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { LimitsConfig } from "../../config/schema.ts";
import type { Clock } from "../../platform/clock.ts";
import type { Exchange } from "./exchange.ts";
import { ControlFrames } from "./http2-control-frames.ts";
import { http2Exchange } from "./http2-exchange.ts";
import type { Client } from "./client.ts";
import { http2, HTTP2 } from "../../platform/node-http2.ts";

export interface Http2EntranceDeps {
  readonly limits: LimitsConfig;
  readonly clock: Clock;
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

/** Of one stream, and of all streams of a connection: what a visitor may send that no job has read yet. */
const WINDOW_BYTES = 1024 * 1024;
const SESSION_WINDOW_BYTES = 8 * 1024 * 1024;
/** Seconds in which as many resets are forgiven as may come at once. */
const RESETS_FORGIVEN_IN = 30;

/** HTTP/2, behind TLS or by prior knowledge. */
export function createHttp2Entrance(deps: Http2EntranceDeps): Http2Entrance {
  const sessions = new Set<ServerHttp2Session>();
  const options = sessionOptions(deps.limits);
  return {
    take(socket) {
      socket.allowHalfOpen = false; // HTTP/2 knows no half-closed connection: one that ends is gone, with all its streams
      const session = http2().performServerHandshake(socket, options);
      sessions.add(session);
      session.once("close", () => sessions.delete(session));
      serveSession(deps, session, socket);
    },
    drain() {
      for (const session of sessions) session.close();
    },
    [Symbol.dispose]() {
      for (const session of sessions) session.destroy();
    },
  };
}

/** What node and nghttp2 bound by themselves when told how. Beyond its bound, each ends the connection. */
function sessionOptions(limits: LimitsConfig): ServerOptions & { strictSingleValueFields: boolean } {
  return {
    settings: {
      maxConcurrentStreams: limits.http2Streams,
      initialWindowSize: WINDOW_BYTES,
      maxHeaderListSize: limits.headerBytes,
      enableConnectProtocol: true,
    },
    maxHeaderListPairs: limits.headerFields,
    maxSettings: 32,
    // DATA and HEADERS frames that are empty or break rules of their stream (CVE-2019-9518, CVE-2025-8671).
    maxSessionInvalidFrames: 100,
    // Streams beyond maxConcurrentStreams, of a visitor that was told how many there may be.
    maxSessionRejectedStreams: 100,
    // MiB of one session in node, with what waits to be written.
    maxSessionMemory: 16,
    streamResetBurst: limits.http2Resets,
    streamResetRate: Math.max(1, Math.ceil(limits.http2Resets / RESETS_FORGIVEN_IN)),
    strictSingleValueFields: false, // jobs that repeat a field where they should not are passed on as they are
  };
}

function serveSession(deps: Http2EntranceDeps, session: ServerHttp2Session, socket: Duplex): void {
  const { limits, clock } = deps;
  const client = deps.client(socket);
  const idle = watchIdle(session, limits.keepAlive);
  session.on("error", () => undefined); // `close` follows
  session.once("connect", () => session.setLocalWindowSize(SESSION_WINDOW_BYTES));
  session.on("stream", (stream: ServerHttp2Stream, _headers, flags, raw: string[]) => {
    idle.opened();
    stream.once("close", idle.closed);
    const exchange = http2Exchange({ stream, flags, raw, client });
    if (exchange.head.method === "CONNECT" && exchange.fault === null) deps.tunnel(exchange);
    else deps.serve(exchange);
  });
  const control = new ControlFrames(limits.http2ControlFrames, clock.now());
  const count = () => {
    const { bytesRead = 0, bytesWritten = 0 } = socket as Partial<Socket>;
    if (!control.spend(clock.now(), bytesRead + bytesWritten)) {
      session.destroy(new Error("too many control frames"), HTTP2.NGHTTP2_ENHANCE_YOUR_CALM);
    }
  };
  session.on("ping", count);
  session.on("remoteSettings", count);
}

/**
 * Ends a session that has had no stream for so long, whatever else comes on it: pings keep no connection, and a request head that comes
 * byte by byte does not either.
 */
function watchIdle(session: ServerHttp2Session, idleMs: number): { opened(): void; closed(): void } {
  let streams = 0;
  let leaving = false;
  const timer = setTimeout(() => {
    if (streams > 0) return;
    // One that is told to close waits for a stream whose head has begun, and that may never end.
    if (leaving) return session.destroy();
    leaving = true;
    session.close();
    timer.refresh();
  }, idleMs);
  timer.unref();
  session.once("close", () => clearTimeout(timer));
  return {
    opened: () => void (streams += 1),
    closed() {
      streams -= 1;
      if (streams === 0 && !session.destroyed) timer.refresh();
    },
  };
}
