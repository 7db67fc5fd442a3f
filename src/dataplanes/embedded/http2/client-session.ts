import { CODE, Http2Error, SETTING, WINDOW_MAX } from "./frames.ts";
import { Http2Session, type SessionDeps, type SessionUser } from "./session.ts";
import { Http2Stream, type StreamUser } from "./stream.ts";

/** Highest number of a stream (RFC 9113 §5.1.1). */
const LAST_STREAM = 0x7fff_ffff;

/**
 * Many visitors share a session: those who do not read their answers must not use up a window that the others need, so that only each
 * stream's own counts.
 */
const WINDOWS = { stream: 256 * 1024, session: WINDOW_MAX };

export interface ClientSessionUser extends SessionUser {
  /** A stream was opened that may be silent for so long. */
  opened(idleMs: number): void;
  /** A stream is over. `broken`: it was broken off. */
  ended(broken: boolean): void;
  /** It takes no more streams. */
  leaves(): void;
}

export interface ClientSessionDeps extends Omit<SessionDeps, "settings" | "user" | "windows"> {
  readonly user: ClientSessionUser;
}

export interface RequestOptions {
  /** Nothing follows the head. */
  readonly last: boolean;
  /** How long it may be silent, ms. */
  readonly idleMs: number;
}

/** A session to a job. */
export class ClientSession extends Http2Session {
  protected readonly lastStream = 0;
  protected readonly stops = false;
  readonly #user: ClientSessionUser;
  #next = 1;

  constructor(deps: ClientSessionDeps) {
    super({ ...deps, windows: WINDOWS, settings: [[SETTING.push, 0]] }, false);
    this.#user = deps.user;
  }

  /** There is room for one more stream. */
  get hasRoom(): boolean {
    return !this.leaving && this.streams.size < this.peerStreams;
  }

  /** Opens a stream; `last`: its head is all. To be asked only while there is room. */
  request(user: StreamUser, head: readonly string[], { last, idleMs }: RequestOptions): Http2Stream {
    const stream = new Http2Stream(this, this.#next);
    stream.user = user;
    stream.idleMs = idleMs;
    this.#next += 2;
    this.streams.set(stream.id, stream);
    stream.sendHead(head, last);
    this.#user.opened(idleMs);
    if (this.#next > LAST_STREAM) this.leave();
    return stream;
  }

  /** No more streams; it ends with the last one. */
  leave(): void {
    this.leaving = true;
    this.#user.leaves();
    if (this.streams.size === 0) this.fail(CODE.none);
  }

  override close(stream: Http2Stream, code: number): void {
    if (stream.closed) return;
    super.close(stream, code);
    this.#user.ended(code !== CODE.none);
  }

  protected wasOpen(id: number): boolean {
    return id % 2 === 1 && id < this.#next;
  }

  /** What comes for a stream that is over was on its way before its peer heard so. */
  protected unknownHead(id: number): void {
    if (!this.wasOpen(id)) throw new Http2Error(CODE.protocol, "an answer to nothing");
    this.spend("control");
  }

  /** Its bytes are counted and given back by the session. */
  protected unknownData(): void {
    this.spend("control");
  }

  /** Streams that the peer never looked at may be asked anew elsewhere (RFC 9113 §6.8). */
  protected goaway(last: number): void {
    this.leaving = true;
    this.#user.leaves();
    for (const stream of [...this.streams.values()]) if (stream.id > last) this.close(stream, CODE.refused);
    if (this.streams.size === 0) this.end();
  }
}
