import type { Socket } from "node:net";
import type { Clock } from "../../../platform/clock.ts";
import { Allowance } from "./allowance.ts";
import { ClientSession, type ClientSessionUser } from "./client-session.ts";
import type { Costly } from "./session.ts";

export interface JobSessionDeps {
  readonly socket: Socket;
  readonly headerBytes: number;
  readonly headerFields: number;
  readonly clock: Clock;
  /** Its peer's first settings came. */
  settled(): void;
  /** There may be room for another stream. */
  roomier(): void;
  /** It takes no more streams. */
  left(): void;
}

/**
 * After so many streams that were broken off a session is used no more. Servers take many resets on one session for an attack
 * (CVE-2023-44487; Node's own from 1,000 on) and end it with all its streams, so that one impatient visitor could break off everybody's calls.
 */
const BREAKS_MAX = 500;
/** How long a session without streams is kept. */
const IDLE_MS = 60_000;
/**
 * How long a session with streams may be silent before its peer is asked by PING, and how long that may take: a job that hangs answers the
 * kernel all the same. gRPC's servers end sessions that ask more often than every five minutes.
 */
const PING_MS = 310_000;
const PONG_MS = 20_000;
/** How late streams are looked at, at most. */
const CHECK_MS = 1000;
/** More control frames than that at once from a job end its session; answers earn more. */
const CONTROL = { most: 10_000, earnedInMs: 10_000, earnedByBytes: 100 };

/** A session to a job, and what is watched on it: silence of streams, of the peer, and of everybody. */
export class JobSession implements ClientSessionUser {
  readonly session: ClientSession;
  readonly #deps: JobSessionDeps;
  readonly #control: Allowance;
  #breaks = 0;
  #left = false;
  #checkMs = CHECK_MS;
  #timer: Disposable;
  // Epoch ms.
  #usedAt: number;
  #heardAt: number;
  #asked = false;
  #heard = 0;

  constructor(deps: JobSessionDeps) {
    this.#deps = deps;
    const { socket, headerBytes, headerFields, clock } = deps;
    const now = clock.now();
    this.#usedAt = now;
    this.#heardAt = now;
    this.#control = new Allowance(CONTROL, now);
    this.session = new ClientSession({ socket, user: this, headBytes: headerBytes, headFields: headerFields });
    this.#timer = clock.after(this.#checkMs, () => this.#check());
  }

  opened(idleMs: number): void {
    const checkMs = Math.max(10, idleMs / 4);
    if (checkMs >= this.#checkMs) return;
    this.#checkMs = checkMs;
    this.#timer[Symbol.dispose]();
    this.#timer = this.#deps.clock.after(checkMs, () => this.#check());
  }

  ended(broken: boolean): void {
    if (broken) this.#breaks += 1;
    if (this.#breaks >= BREAKS_MAX)
      this.session.leave(); // with its last stream
    else this.#deps.roomier();
  }

  settled(): void {
    this.#deps.settled();
  }

  leaves(): void {
    if (this.#left) return;
    this.#left = true;
    this.#deps.left();
  }

  spend(what: Costly): boolean {
    if (what === "reset") return true; // each ends a stream that was asked for here
    const { bytesRead, bytesWritten } = this.session.socket;
    return this.#control.spend(this.#deps.clock.now(), bytesRead + bytesWritten);
  }

  closed(): void {
    this.#timer[Symbol.dispose]();
    this.leaves();
  }

  #check(): void {
    const { session } = this;
    const now = this.#deps.clock.now();
    if (session.streams.size > 0) this.#checkStreams(now);
    else if (now - this.#usedAt >= IDLE_MS) return session.leave();
    if (!session.over) this.#timer = this.#deps.clock.after(this.#checkMs, () => this.#check());
  }

  #checkStreams(now: number): void {
    const { session } = this;
    this.#usedAt = now;
    for (const stream of [...session.streams.values()]) stream.check(now);
    const { bytesRead } = session.socket;
    if (bytesRead !== this.#heard) {
      this.#heard = bytesRead;
      this.#heardAt = now;
      this.#asked = false;
    } else if (now - this.#heardAt >= PING_MS + PONG_MS) session.destroy();
    else if (now - this.#heardAt >= PING_MS && !this.#asked) {
      this.#asked = true;
      session.ping();
    }
  }
}
