import type { Socket } from "node:net";
import type { LimitsConfig } from "../../../config/schema.ts";
import type { Clock } from "../../../platform/clock.ts";
import type { Exchange } from "../exchange.ts";
import { refusal } from "../../notices.ts";
import type { Notice } from "../../pages.ts";
import type { Client } from "../client.ts";
import { messageBounds } from "./bounds.ts";
import type { Refusal } from "./head-fields.ts";
import type { Refusals } from "./refusals.ts";
import { sayGoodbye } from "./send-off.ts";
import { ServerConnection, type ServerConnectionDeps } from "./server-connection.ts";

export interface Http1EntranceDeps {
  readonly limits: LimitsConfig;
  readonly clock: Clock;
  readonly refusals: Refusals;
  serve(exchange: Exchange): void;
  /** CONNECT: the exchange answers until the tunnel stands. */
  tunnel(exchange: Exchange): void;
  /** The gate's own answer to what was no request. */
  refused(notice: Notice, peer: string): void;
}

/** How late a connection may be given up, at most. */
const CHECK_MS = 1000;

/** HTTP/1.1 from visitors, on connections that are handed in. */
export class Http1Entrance implements Disposable {
  readonly #deps: Http1EntranceDeps;
  readonly #shared: ServerConnectionDeps;
  readonly #connections = new Set<ServerConnection>();
  readonly #checkMs: number;
  /** null: there is nothing to look after. */
  #timer: Disposable | null = null;
  #draining = false;

  constructor(deps: Http1EntranceDeps) {
    this.#deps = deps;
    const { limits, clock, serve, tunnel } = deps;
    this.#checkMs = Math.max(10, Math.min(CHECK_MS, limits.headerTime / 4, limits.keepAlive / 4));
    this.#shared = {
      ...{ clock, serve, tunnel },
      bounds: messageBounds(limits),
      bodyBytes: limits.bodyBytes === 0 ? Infinity : limits.bodyBytes,
      headMs: limits.headerTime,
      keepAliveMs: limits.keepAlive,
      refuse: (connection, refusal) => this.#refuse(connection, refusal),
      closed: (connection) => this.#connections.delete(connection),
    };
  }

  /** Takes a connection whose first bytes are unread. `client`: who is at its other end. */
  take(socket: Socket, client: Client): void {
    if (socket.destroyed) return;
    const connection = new ServerConnection(socket, client, this.#shared);
    this.#connections.add(connection);
    if (this.#draining) connection.drain();
    this.#watch();
  }

  /** Ends idle connections, and every other one after its present request. */
  drain(): void {
    this.#draining = true;
    for (const connection of this.#connections) connection.drain();
  }

  [Symbol.dispose](): void {
    this.#timer?.[Symbol.dispose]();
    for (const { socket } of this.#connections) socket.destroy();
  }

  #watch(): void {
    this.#timer ??= this.#deps.clock.after(this.#checkMs, () => {
      this.#timer = null;
      const now = this.#deps.clock.now();
      for (const connection of this.#connections) connection.check(now);
      if (this.#connections.size > 0) this.#watch();
    });
  }

  #refuse({ socket, client }: ServerConnection, { status, reason }: Refusal): void {
    const notice = refusal(status, reason);
    this.#deps.refusals.request(client.peer, notice);
    this.#deps.refused(notice, client.peer);
    sayGoodbye(socket, notice);
  }
}
