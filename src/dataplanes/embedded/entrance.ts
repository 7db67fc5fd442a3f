import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import tls, { type TLSSocket } from "node:tls";
import type { Connections } from "./connections.ts";
import type { PlaneContext } from "./context.ts";
import { Http1Entrance, sayGoodbye } from "./http1-entrance.ts";
import { createHttp2Entrance } from "./http2-entrance.ts";
import type { BoundListener } from "./listener.ts";
import type { Notice } from "./pages.ts";
import type { Client } from "./request-head.ts";
import { serve } from "./serve.ts";
import { sniff } from "./sniff.ts";
import { serveTunnel } from "./tunnel.ts";

export interface Entrance extends Disposable {
  /** No new connections or requests beyond those under way. */
  drain(): void;
}

const OVERLOADED: Notice = {
  status: 503,
  code: "overloaded",
  title: "Too busy",
  message: "The gate has as many connections open as it may.",
  retryAfterSeconds: 1,
};
const TLS_NEEDED: Notice = {
  status: 400,
  code: "tls_needed",
  title: "TLS needed",
  message: "This port speaks https only.",
};

/** The one port: tells by the first bytes what a connection speaks and hands it to who speaks that. */
export function startEntrance(listener: BoundListener, context: PlaneContext, connections: Connections): Entrance {
  const { limits, clock, metrics, logger } = context;
  const clients = new WeakMap<Duplex, Client>();
  const deps = {
    limits,
    client: (socket: Duplex) => clients.get(socket) ?? UNKNOWN_CLIENT,
    serve: (exchange: Parameters<typeof serve>[1]) => void serve(context, exchange),
    tunnel: (exchange: Parameters<typeof serve>[1]) => void serveTunnel(context, exchange),
    refused: (status: number) => metrics.answered("http", status, "gate"),
  };
  const http1 = new Http1Entrance(deps);
  const http2 = createHttp2Entrance(deps);
  const secure = listener.tls === null ? null : startTls(listener.tls, limits.headerTime);
  const enter = (socket: Duplex, isHttp2: boolean) => (isHttp2 ? http2 : http1).take(socket);

  secure?.on("secureConnection", (socket: TLSSocket) => {
    socket.on("error", () => undefined); // `close` follows
    clients.set(socket, { peer: peerOf(socket), secure: true });
    enter(socket, socket.alpnProtocol === "h2");
  });
  secure?.on("tlsClientError", (error, socket: TLSSocket) => {
    logger.debug({ err: error }, "TLS handshake failed");
    socket.destroy();
  });

  listener.accept((socket) => {
    if (!connections.add(socket)) return turnAway(socket, secure === null ? OVERLOADED : null);
    void sniff(socket, limits.headerTime, clock).then((spoken) => {
      if (spoken === null) return;
      if (spoken === "tls" && secure !== null) return void secure.emit("connection", socket);
      if (spoken === "tls") return void socket.destroy();
      if (secure !== null) return turnAway(socket, spoken === "http1" ? TLS_NEEDED : null);
      clients.set(socket, { peer: peerOf(socket), secure: context.site.secure });
      enter(socket, spoken === "http2");
    });
  });
  return {
    drain() {
      listener.close();
      http1.drain();
      http2.drain();
    },
    [Symbol.dispose]() {
      listener.close();
      http1[Symbol.dispose]();
      http2[Symbol.dispose]();
    },
  };
}

const UNKNOWN_CLIENT: Client = Object.freeze({ peer: "unknown", secure: false });

/** IPv4 as such, also where the listener is an IPv6 one. */
function peerOf(socket: Socket): string {
  return (socket.remoteAddress ?? "unknown").replace(/^::ffff:(?=\d+\.)/, "");
}

function turnAway(socket: Socket, notice: Notice | null): void {
  if (notice === null) socket.destroy();
  else sayGoodbye(socket, notice);
}

/** Listens to nothing: connections are handed in. */
function startTls({ cert, key }: NonNullable<BoundListener["tls"]>, handshakeTimeout: number): tls.Server {
  return tls.createServer({ cert, key, handshakeTimeout, ALPNProtocols: ["h2", "http/1.1"], minVersion: "TLSv1.2" });
}
