import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { overloaded } from "./admission.ts";
import { carryRaw } from "./carry-raw.ts";
import type { Connections } from "./connections.ts";
import type { PlaneContext } from "./context.ts";
import { Http1Entrance } from "./http1/entrance.ts";
import { sayGoodbye, sendOff } from "./http1/send-off.ts";
import { Http2Entrance } from "./http2/entrance.ts";
import type { BoundListener } from "./listener.ts";
import { NOTICES } from "../notices.ts";
import type { Notice } from "../pages.ts";
import { endsOf, peerOf } from "./peer.ts";
import type { ConnectionEnds } from "./proxy-protocol.ts";
import type { Client } from "./client.ts";
import { serve } from "./serve.ts";
import { sniff, type Opening } from "./sniff.ts";
import { Terminator } from "./tls/terminate.ts";
import { serveTunnel } from "./tunnel.ts";
import { visitorOf } from "../visitor-of.ts";

export interface Entrance extends Disposable {
  /** No new connections or requests beyond those under way. */
  drain(): void;
}

/** A fatal alert, unrecognized_name (RFC 6066 §3): the client says so, instead of taking the gate for gone. */
const UNRECOGNIZED_NAME = Buffer.from([21, 3, 3, 0, 2, 2, 112]);

/** The one port: tells by the first bytes what a connection speaks and hands it to who speaks that. */
export function startEntrance(listener: BoundListener, context: PlaneContext, connections: Connections): Entrance {
  return new OnePort(listener, context, connections);
}

class OnePort implements Entrance {
  readonly #listener: BoundListener;
  readonly #context: PlaneContext;
  readonly #connections: Connections;
  readonly #http1: Http1Entrance;
  readonly #http2: Http2Entrance;
  readonly #terminator: Terminator | null;
  /** By what both the raw socket and the one of TLS on it know: what the PROXY header said. */
  readonly #proxied = new Map<string, ConnectionEnds>();

  constructor(listener: BoundListener, context: PlaneContext, connections: Connections) {
    this.#listener = listener;
    this.#context = context;
    this.#connections = connections;
    const { limits, clock, refusals, traffic, logger } = context;
    const deps = {
      ...{ limits, clock, refusals },
      serve: (exchange: Parameters<typeof serve>[1]) => void serve(context, exchange),
      tunnel: (exchange: Parameters<typeof serve>[1]) => void serveTunnel(context, exchange),
      refused: ({ status, code }: Notice, peer: string) => traffic.rejected("http", { status, code, peer }),
    };
    this.#http1 = new Http1Entrance(deps);
    this.#http2 = new Http2Entrance(deps);
    const secured = (socket: TLSSocket) => this.#secured(socket);
    const { tls: certificates } = listener;
    this.#terminator =
      certificates === null ? null : new Terminator({ certificates, handshakeMs: limits.headerTime, logger, secured });
    listener.accept((socket) => void this.#meet(socket));
  }

  drain(): void {
    this.#listener.close();
    this.#http1.drain();
    this.#http2.drain();
  }

  [Symbol.dispose](): void {
    this.#listener.close();
    this.#http1[Symbol.dispose]();
    this.#http2[Symbol.dispose]();
  }

  async #meet(socket: Socket): Promise<void> {
    const peer = peerOf(socket);
    const proxied = this.#listener.isProxy(peer);
    // A front's connections are nobody's in particular: bounds by client hold for the requests on them.
    const bound = this.#connections.add(socket, proxied || this.#listener.isFront(peer) ? null : peer);
    if (bound !== null) {
      turnAway(socket, this.#terminator === null && !proxied ? overloaded(bound) : null);
      return;
    }
    const { limits, clock } = this.#context;
    const opening = await sniff(socket, { timeoutMs: limits.headerTime, clock, proxied });
    if (opening !== null && !socket.destroyed) this.#enter(socket, opening);
  }

  #enter(socket: Socket, { spoken, serverName, ends }: Opening): void {
    const named = ends === null || this.#listener.isFront(ends.source.ip) ? null : ends.source.ip;
    const bound = named === null ? null : this.#connections.attribute(socket, named);
    if (bound !== null) return turnAway(socket, spoken === "http1" ? overloaded(bound) : null);
    if (spoken === "tls") return this.#enterTls(socket, serverName, ends);
    if (this.#terminator !== null) return turnAway(socket, spoken === "http1" ? NOTICES.tls_needed : null);
    const { secure } = this.#context.site;
    const visitor = this.#visitorBy(ends === null ? peerOf(socket) : ends.source.ip);
    const client = ends === null ? new DirectClient(socket, secure, visitor) : clientOf(ends, secure, visitor);
    this.#speak(socket, spoken === "http2", client);
  }

  /** By what an address says of visitors: undefined where its word does not count. */
  #visitorBy(ip: string): Client["visitor"] {
    const { frontHops } = this.#listener;
    return this.#listener.isFront(ip) ? (chain) => visitorOf(ip, chain, frontHops) : undefined;
  }

  #enterTls(socket: Socket, serverName: string | null, proxied: ConnectionEnds | null): void {
    const route = serverName === null ? null : this.#context.index.findServerName(serverName);
    if (route !== null) {
      return void carryRaw(this.#context, { near: socket, route, ends: proxied ?? endsOf(socket) });
    }
    if (this.#terminator === null) return sayLast(socket, UNRECOGNIZED_NAME);
    if (proxied !== null) {
      const key = pairKey(socket);
      this.#proxied.set(key, proxied);
      socket.once("close", () => this.#proxied.delete(key));
    }
    this.#terminator.take(socket);
  }

  #secured(socket: TLSSocket): void {
    const ends = this.#proxied.get(pairKey(socket)) ?? endsOf(socket);
    const { servername, alpnProtocol } = socket as TLSSocket & { readonly servername?: string | false };
    const { tls } = this.#listener;
    const named = typeof servername === "string" ? servername.toLowerCase() : null;
    const visitor = this.#visitorBy(ends.source.ip);
    // By one connection a front asks for whatever host its visitors do.
    const any = named === null || tls === null || visitor !== undefined;
    const mayAsk = any ? {} : { mayAsk: (host: string) => tls.sameFor(named, host) };
    this.#speak(socket, alpnProtocol === "h2", { ...clientOf(ends, true, visitor), ...mayAsk });
  }

  #speak(socket: Socket, isHttp2: boolean, client: Client): void {
    (isHttp2 ? this.#http2 : this.#http1).take(socket, client);
  }
}

/** Who connected here itself. Its ends are asked of the system when somebody asks for them: few do, and a connection at rest holds less. */
class DirectClient implements Client {
  readonly peer: string;
  readonly secure: boolean;
  readonly visitor: Client["visitor"];
  readonly #socket: Socket;

  constructor(socket: Socket, secure: boolean, visitor: Client["visitor"]) {
    this.peer = peerOf(socket);
    this.secure = secure;
    this.visitor = visitor;
    this.#socket = socket;
  }

  get ends(): ConnectionEnds {
    return endsOf(this.#socket);
  }
}

function clientOf(ends: ConnectionEnds, secure: boolean, visitor: Client["visitor"]): Client {
  return { peer: ends.source.ip, secure, visitor, ends };
}

/** Names a connection for as long as it is open. */
function pairKey({ remoteAddress, remotePort, localAddress, localPort }: Socket): string {
  return [remoteAddress, remotePort, localAddress, localPort].join(" ");
}

function sayLast(socket: Socket, bytes: Buffer): void {
  socket.write(bytes);
  sendOff(socket);
}

function turnAway(socket: Socket, notice: Notice | null): void {
  if (notice === null) socket.destroy();
  else sayGoodbye(socket, notice);
}
