import type { ClientHttp2Session } from "node:http2";
import { Socket } from "node:net";
import type { Clock } from "../../platform/clock.ts";
import type { DialFailure } from "./dial.ts";
import { http2 } from "../../platform/node-http2.ts";

export interface SessionPoolDeps {
  dial(signal: AbortSignal): Promise<Socket | DialFailure>;
  readonly headerBytes: number;
  readonly connectMs: number;
  /** Sessions open at once. */
  readonly most: number;
  readonly clock: Clock;
}

interface Pooled {
  readonly session: ClientHttp2Session;
  streams: number;
  /** Streams that were broken off. */
  breaks: number;
}

/** Room for one stream. Whoever takes it calls `release` once, when the stream is over. */
export interface Lease {
  readonly session: ClientHttp2Session;
  release(broken: boolean): void;
}

/**
 * After so many a session is used no more. Servers take many resets on one session for an attack (CVE-2023-44487; Node's own from 1,000 on)
 * and end it with all its streams, so that one impatient visitor could break off everybody's calls.
 */
const BREAKS_MAX = 500;

/** How long a session without streams is kept. */
const IDLE_MS = 60_000;
/** From when on the kernel asks a silent peer whether its machine is still there; node has it give up ten seconds later. */
const KEEP_ALIVE_MS = 30_000;
/**
 * How long a session with streams may be silent before its peer is asked by PING, and how long that may take: a job that hangs answers the
 * kernel all the same. gRPC's servers end sessions that ask more often than every five minutes.
 */
const PING_MS = 310_000;
const PONG_MS = 20_000;
const WINDOW_BYTES = 1024 * 1024;
const SESSION_WINDOW_BYTES = 8 * 1024 * 1024;
const NEVER = new AbortController().signal;

/** HTTP/2 sessions to one endpoint: streams share one until its peer takes no more of them; then there is another. */
export class SessionPool {
  readonly #deps: SessionPoolDeps;
  readonly #open = new Set<Pooled>();
  #opening: Promise<DialFailure | null> | null = null;
  /** Who waits for room, where there may be no more sessions. */
  readonly #waiting: (() => void)[] = [];
  #closed = false;

  constructor(deps: SessionPoolDeps) {
    this.#deps = deps;
  }

  /** A session with room for one more stream, waited for where all are full and there may be no more. */
  async acquire(): Promise<Lease | DialFailure> {
    for (;;) {
      if (this.#closed) return "connect_failed"; // it left while somebody waited for it
      const pooled = this.#withRoom();
      if (pooled !== null) {
        pooled.streams += 1;
        return { session: pooled.session, release: (broken) => this.#release(pooled, broken) };
      }
      const full = this.#open.size >= this.#deps.most && this.#opening === null;
      const failure = await (full ? this.#room() : (this.#opening ??= this.#begin()));
      if (failure !== null) return failure;
    }
  }

  /** No new streams; sessions end with their last one. */
  retire(): void {
    this.#closed = true;
    this.#wake();
    for (const { session } of this.#open) session.close();
  }

  destroy(): void {
    this.#closed = true;
    this.#wake();
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
    if (!this.#closed && pooled.breaks >= BREAKS_MAX) {
      pooled.session.close(); // with its last stream
      this.#forget(pooled);
    } else this.#waiting.shift()?.();
  }

  /** It takes no more streams: another one may take its place. */
  #forget(pooled: Pooled): void {
    if (this.#open.delete(pooled)) this.#waiting.shift()?.();
  }

  #wake(): void {
    for (const call of this.#waiting.splice(0)) call();
  }

  /** null: there may be room now. */
  #room(): Promise<DialFailure | null> {
    return new Promise((resolve) => {
      const ready = () => {
        timer[Symbol.dispose]();
        resolve(null);
      };
      const timer = this.#deps.clock.after(this.#deps.connectMs, () => {
        this.#waiting.splice(this.#waiting.indexOf(ready), 1);
        resolve("connect_timeout");
      });
      this.#waiting.push(ready);
    });
  }

  #begin(): Promise<DialFailure | null> {
    return this.#connect().finally(() => {
      this.#opening = null;
      this.#wake();
    });
  }

  async #connect(): Promise<DialFailure | null> {
    const socket = await this.#deps.dial(NEVER);
    if (typeof socket === "string") return socket;
    if (socket instanceof Socket) socket.setKeepAlive(true, KEEP_ALIVE_MS);
    const session = http2().connect("http://upstream", {
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
    session.once("close", () => this.#forget(pooled));
    session.once("goaway", () => this.#forget(pooled));
    session.setTimeout(IDLE_MS, () => {
      if (pooled.streams === 0) session.close();
    });
    watchPeer(session, this.#deps.clock, () => pooled.streams > 0);
    if (this.#closed) session.close();
  }
}

/** Breaks a session off whose peer says nothing at all while it owes answers. */
function watchPeer(session: ClientHttp2Session, clock: Clock, owes: () => boolean): void {
  let heard = -1;
  let timer: Disposable;
  const look = () => {
    const { bytesRead } = session.socket;
    if (heard === bytesRead && owes()) ask();
    heard = bytesRead;
    timer = clock.after(PING_MS, look);
  };
  const ask = () => {
    const late = clock.after(PONG_MS, () => session.destroy());
    session.ping(() => late[Symbol.dispose]());
  };
  timer = clock.after(PING_MS, look);
  session.once("close", () => timer[Symbol.dispose]());
}
