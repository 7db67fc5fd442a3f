import type { Socket } from "node:net";
import type { Clock } from "../../../platform/clock.ts";
import type { DialFailure } from "../dial.ts";
import type { ConnectionEnds } from "../proxy-protocol.ts";
import { type MessageBounds, UpstreamConnection } from "./upstream-connection.ts";

export interface UpstreamPoolDeps {
  readonly dial: (signal: AbortSignal, ends: ConnectionEnds | null) => Promise<Socket | DialFailure>;
  readonly bounds: MessageBounds;
  /** Idle connections kept at once. */
  readonly idleMax: number;
  /** Every connection is for one visitor alone. */
  readonly ownConnections: boolean;
  readonly clock: Clock;
}

/** Shorter than what common servers keep idle connections for (5 s), so that requests seldom meet one that is just being closed. */
const IDLE_MS = 4000;

interface Idle {
  readonly connection: UpstreamConnection;
  readonly since: number;
}

/** The HTTP/1.1 connections to one endpoint: the one used last is used next, so that those too many grow old. */
export class UpstreamPool {
  readonly #deps: UpstreamPoolDeps;
  readonly #open = new Set<UpstreamConnection>();
  readonly #idle: Idle[] = [];
  #timer: Disposable | null = null;
  #retired = false;

  constructor(deps: UpstreamPoolDeps) {
    this.#deps = deps;
  }

  /** An idle connection; null: there is none. */
  takeIdle(): UpstreamConnection | null {
    for (;;) {
      const idle = this.#idle.pop();
      if (idle === undefined) return null;
      if (idle.connection.usable) return idle.connection;
    }
  }

  /** A new connection, or why there is none. `ends`: of the visitor that it is for. */
  async dial(signal: AbortSignal, ends: ConnectionEnds | null): Promise<UpstreamConnection | DialFailure> {
    const socket = await this.#deps.dial(signal, ends);
    if (typeof socket === "string") return socket;
    const connection = new UpstreamConnection({
      socket,
      bounds: this.#deps.bounds,
      idle: (one) => this.#keep(one),
      closed: (one) => this.#forget(one),
    });
    this.#open.add(connection);
    return connection;
  }

  /** What runs ends by itself, nothing idle is kept. */
  retire(): void {
    this.#retired = true;
    this.#timer?.[Symbol.dispose]();
    for (const { connection } of this.#idle.splice(0)) connection.destroy();
  }

  /** Cuts them all. */
  destroy(): void {
    this.retire();
    for (const connection of this.#open) connection.destroy();
  }

  #keep(connection: UpstreamConnection): boolean {
    const { ownConnections, idleMax, clock } = this.#deps;
    if (this.#retired || ownConnections || this.#idle.length >= idleMax) return false;
    this.#idle.push({ connection, since: clock.now() });
    this.#timer ??= clock.after(IDLE_MS, () => this.#prune());
    return true;
  }

  #prune(): void {
    this.#timer = null;
    const now = this.#deps.clock.now();
    // Those that were put back first are at the front.
    while (this.#idle.length > 0 && now - (this.#idle[0]?.since ?? now) >= IDLE_MS)
      this.#idle.shift()?.connection.destroy();
    const oldest = this.#idle[0];
    if (oldest !== undefined) this.#timer = this.#deps.clock.after(oldest.since + IDLE_MS - now, () => this.#prune());
  }

  #forget(connection: UpstreamConnection): void {
    this.#open.delete(connection);
    const at = this.#idle.findIndex((idle) => idle.connection === connection);
    if (at >= 0) this.#idle.splice(at, 1);
  }
}
