import type { Socket } from "node:net";
import type { LimitsConfig } from "../../../config/schema.ts";
import type { Clock } from "../../../platform/clock.ts";
import type { Client } from "../client.ts";
import type { Exchange } from "../exchange.ts";
import type { Refusals } from "../http1/refusals.ts";
import { refusal } from "../../notices.ts";
import type { Notice } from "../../pages.ts";
import { VisitorSession, type VisitorSessionDeps } from "./visitor-session.ts";

export interface Http2EntranceDeps {
  readonly limits: LimitsConfig;
  readonly clock: Clock;
  readonly refusals: Refusals;
  serve(exchange: Exchange): void;
  /** CONNECT: the exchange answers until the tunnel stands. */
  tunnel(exchange: Exchange): void;
  /** The gate's own answer to what was no request. */
  refused(notice: Notice, peer: string): void;
}

/** How late a session may be given up, at most. */
const CHECK_MS = 1000;

/** HTTP/2 from visitors, behind TLS or by prior knowledge, on connections that are handed in. */
export class Http2Entrance implements Disposable {
  readonly #deps: Http2EntranceDeps;
  readonly #shared: Omit<VisitorSessionDeps, "socket" | "client">;
  readonly #sessions = new Set<VisitorSession>();
  readonly #checkMs: number;
  /** null: there is nothing to look after. */
  #timer: Disposable | null = null;
  #draining = false;

  constructor(deps: Http2EntranceDeps) {
    this.#deps = deps;
    const { limits, clock, serve, tunnel, refusals, refused } = deps;
    this.#checkMs = Math.max(10, Math.min(CHECK_MS, limits.keepAlive / 4));
    this.#shared = {
      ...{ limits, clock, serve, tunnel },
      refuse: (status, message, { peer }) => {
        const notice = refusal(status, message);
        refusals.request(peer, notice);
        refused(notice, peer);
        return notice;
      },
      closed: (session) => this.#sessions.delete(session),
    };
  }

  /** Takes a connection whose first bytes are unread. `client`: who is at its other end. */
  take(socket: Socket, client: Client): void {
    if (socket.destroyed) return;
    const session = new VisitorSession({ ...this.#shared, socket, client });
    this.#sessions.add(session);
    if (this.#draining) session.drain();
    this.#watch();
  }

  /** Says goodbye on every session; streams under way go on. */
  drain(): void {
    this.#draining = true;
    for (const session of this.#sessions) session.drain();
  }

  [Symbol.dispose](): void {
    this.#timer?.[Symbol.dispose]();
    for (const session of this.#sessions) session.destroy();
  }

  #watch(): void {
    this.#timer ??= this.#deps.clock.after(this.#checkMs, () => {
      this.#timer = null;
      const now = this.#deps.clock.now();
      for (const session of this.#sessions) session.check(now);
      if (this.#sessions.size > 0) this.#watch();
    });
  }
}
