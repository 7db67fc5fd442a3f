import http2, { type ClientHttp2Session } from "node:http2";
import type { Socket } from "node:net";
import type { Clock } from "../../platform/clock.ts";
import type { DialFailure } from "./dial.ts";

export interface SessionPoolDeps {
  dial(signal: AbortSignal): Promise<Socket | DialFailure>;
  readonly headerBytes: number;
  readonly connectMs: number;
  readonly clock: Clock;
}

interface Pooled {
  readonly session: ClientHttp2Session;
  streams: number;
  /** Streams that were broken off. */
  breaks: number;
}

/**
 * After so many a session is used no more. Servers take many resets on one session for an attack (CVE-2023-44487; Node's own from 1,000 on)
 * and end it with all its streams, so that one impatient visitor could break off everybody's calls.
 */
const BREAKS_MAX = 500;

/** How long a session without streams is kept. */
const IDLE_MS = 60_000;
const WINDOW_BYTES = 1024 * 1024;
const SESSION_WINDOW_BYTES = 8 * 1024 * 1024;
const NEVER = new AbortController().signal;

/** HTTP/2 sessions to one endpoint: streams share one until its peer takes no more of them; then there is another. */
export class SessionPool {
  readonly #deps: SessionPoolDeps;
  readonly #open = new Set<Pooled>();
  #opening: Promise<DialFailure | null> | null = null;
  #closed = false;

  constructor(deps: SessionPoolDeps) {
    this.#deps = deps;
  }

  /** A session with room for one more stream. Whoever takes it calls `release` once, when the stream is over. */
  async acquire(): Promise<{ readonly session: ClientHttp2Session; release(broken: boolean): void } | DialFailure> {
    for (;;) {
      if (this.#closed) return "connect_failed"; // it left while somebody waited for it
      const pooled = this.#withRoom();
      if (pooled !== null) {
        pooled.streams += 1;
        return { session: pooled.session, release: (broken) => this.#release(pooled, broken) };
      }
      const failure = await (this.#opening ??= this.#connect().finally(() => (this.#opening = null)));
      if (failure !== null) return failure;
    }
  }

  /** No new streams; sessions end with their last one. */
  retire(): void {
    this.#closed = true;
    for (const { session } of this.#open) session.close();
  }

  destroy(): void {
    this.#closed = true;
    for (const { session } of this.#open) session.destroy();
  }

  #withRoom(): Pooled | null {
    for (const pooled of this.#open) {
      const { session, streams } = pooled;
      if (session.closed || session.destroyed) continue;
      if (streams < (session.remoteSettings.maxConcurrentStreams ?? Infinity)) return pooled;
    }
    return null;
  }

  #release(pooled: Pooled, broken: boolean): void {
    pooled.streams -= 1;
    if (broken) pooled.breaks += 1;
    if (this.#closed || pooled.breaks < BREAKS_MAX) return;
    this.#open.delete(pooled);
    pooled.session.close(); // with its last stream
  }

  async #connect(): Promise<DialFailure | null> {
    const socket = await this.#deps.dial(NEVER);
    if (typeof socket === "string") return socket;
    const session = http2.connect("http://upstream", {
      createConnection: () => socket,
      maxReservedRemoteStreams: 0,
      settings: { enablePush: false, initialWindowSize: WINDOW_BYTES, maxHeaderListSize: this.#deps.headerBytes },
    });
    const ready = await this.#settled(session);
    if (!ready) {
      session.destroy();
      return "connect_failed";
    }
    this.#keep(session);
    return null;
  }

  /** Only settings from the other side prove that it speaks HTTP/2, and say how many streams it takes. */
  #settled(session: ClientHttp2Session): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = this.#deps.clock.after(this.#deps.connectMs, () => resolve(false));
      const settle = (ready: boolean) => {
        timer[Symbol.dispose]();
        resolve(ready);
      };
      session.on("error", () => settle(false)); // stays: streams hear of it on their own
      session.once("close", () => settle(false));
      session.once("remoteSettings", () => settle(true));
    });
  }

  #keep(session: ClientHttp2Session): void {
    const pooled: Pooled = { session, streams: 0, breaks: 0 };
    this.#open.add(pooled);
    session.setLocalWindowSize(SESSION_WINDOW_BYTES);
    session.once("close", () => this.#open.delete(pooled));
    session.once("goaway", () => this.#open.delete(pooled));
    session.setTimeout(IDLE_MS, () => {
      if (pooled.streams === 0) session.close();
    });
    if (this.#closed) session.close();
  }
}
