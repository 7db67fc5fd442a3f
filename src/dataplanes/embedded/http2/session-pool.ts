import { Socket } from "node:net";
import type { Clock } from "../../../platform/clock.ts";
import type { DialFailure } from "../dial.ts";
import type { ClientSession } from "./client-session.ts";
import { JobSession } from "./job-session.ts";

export interface SessionPoolDeps {
  dial(signal: AbortSignal): Promise<Socket | DialFailure>;
  readonly headerBytes: number;
  readonly headerFields: number;
  readonly connectMs: number;
  /** Sessions open at once. */
  readonly most: number;
  readonly clock: Clock;
}

/** From when on the kernel asks a silent peer whether its machine is still there; node has it give up ten seconds later. */
const KEEP_ALIVE_MS = 30_000;
const NEVER = new AbortController().signal;

/** HTTP/2 sessions to one endpoint: streams share one until its peer takes no more of them; then there is another. */
export class SessionPool {
  readonly #deps: SessionPoolDeps;
  readonly #open = new Set<JobSession>();
  #opening: Promise<DialFailure | null> | null = null;
  /** Who waits for room, where there may be no more sessions. */
  readonly #waiting: (() => void)[] = [];
  #closed = false;

  constructor(deps: SessionPoolDeps) {
    this.#deps = deps;
  }

  /** A session with room for one more stream, to be opened before anything else is done; null: see `room`. */
  ready(): ClientSession | null {
    if (!this.#closed) for (const { session } of this.#open) if (session.hasRoom) return session;
    return null;
  }

  /** Waits where none is ready. null: there may be room now. */
  room(): Promise<DialFailure | null> {
    if (this.#closed) return Promise.resolve("connect_failed"); // it left while somebody waited for it
    const full = this.#open.size >= this.#deps.most && this.#opening === null;
    return full ? this.#wait() : (this.#opening ??= this.#begin());
  }

  /** No new streams; sessions end with their last one. */
  retire(): void {
    this.#closed = true;
    this.#wake();
    for (const { session } of [...this.#open]) session.leave();
  }

  destroy(): void {
    this.#closed = true;
    this.#wake();
    for (const { session } of [...this.#open]) session.destroy();
  }

  #wake(): void {
    for (const call of this.#waiting.splice(0)) call();
  }

  #wait(): Promise<DialFailure | null> {
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
    const { clock, headerBytes, headerFields } = this.#deps;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const job = new JobSession({
      ...{ socket, clock, headerBytes, headerFields },
      settled: () => resolve(true),
      roomier: () => this.#waiting.shift()?.(),
      left: () => {
        resolve(false);
        if (this.#open.delete(job)) this.#waiting.shift()?.();
      },
    });
    // Only settings from the other side prove that it speaks HTTP/2, and say how many streams it takes.
    const timer = clock.after(this.#deps.connectMs, () => resolve(false));
    const settled = await promise;
    timer[Symbol.dispose]();
    if (!settled || job.session.over) {
      job.session.destroy();
      return "connect_failed";
    }
    this.#open.add(job);
    if (this.#closed) job.session.leave();
    return null;
  }
}
