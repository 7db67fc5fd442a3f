import { CODE, Http2Error, SETTING } from "./frames.ts";
import type { FieldBlock } from "./hpack/decoder.ts";
import { Http2Session, type SessionDeps, type SessionUser } from "./session.ts";
import { Http2Stream } from "./stream.ts";

export interface ServerSessionDeps extends Omit<SessionDeps, "settings" | "user" | "windows"> {
  readonly user: ServerSessionUser;
  /** Streams at once. */
  readonly most: number;
}

export interface ServerSessionUser extends SessionUser {
  /** A request. `last`: nothing follows its head. */
  request(stream: Http2Stream, block: FieldBlock, last: boolean): void;
}

/** All that a visitor makes the gate hold of what it sends. */
const WINDOWS = { stream: 1024 * 1024, session: 8 * 1024 * 1024 };
/** Streams that were left out, as stretches, which are remembered so that they are told from closed ones. */
const SKIPPED_MAX = 32;
/** Streams that were broken off here; what was on its way for them is no fault of the peer's. */
const BROKEN_MAX = 1000;

/** A visitor's session. */
export class ServerSession extends Http2Session {
  readonly #user: ServerSessionUser;
  readonly #most: number;
  lastStream = 0;
  protected readonly stops = true;
  readonly #skipped: { readonly from: number; readonly to: number }[] = [];
  readonly #broken = new Set<number>();

  constructor(deps: ServerSessionDeps) {
    super(
      {
        ...deps,
        windows: WINDOWS,
        settings: [
          [SETTING.streams, deps.most],
          [SETTING.connectProtocol, 1],
        ],
      },
      true,
    );
    this.#user = deps.user;
    this.#most = deps.most;
  }

  protected wasOpen(id: number): boolean {
    return id % 2 === 1 && (this.leaving || id <= this.lastStream);
  }

  protected goaway(): void {
    this.leaving = true;
    if (this.streams.size === 0) this.end();
  }

  protected unknownHead(id: number, block: FieldBlock, last: boolean): void {
    if (id % 2 === 0) throw new Http2Error(CODE.protocol, "a stream of the server's");
    if (id <= this.lastStream) return this.unknownData(id);
    if (this.leaving) return void this.spend("control");
    if (id > this.lastStream + 2) this.#skip(this.lastStream + 2, id - 2);
    this.lastStream = id;
    const stream = new Http2Stream(this, id);
    this.streams.set(id, stream);
    if (this.streams.size > this.#most) return this.fault(stream, CODE.refused);
    stream.remoteEnded = last;
    this.#user.request(stream, block, last);
  }

  protected unknownData(id: number): void {
    const unseen = this.leaving && id > this.lastStream; // its peer did not know yet (RFC 9113 §6.8)
    if (unseen || this.#broken.has(id)) return void this.spend("control");
    const skipped = this.#skipped.some(({ from, to }) => id >= from && id <= to);
    throw new Http2Error(skipped ? CODE.protocol : CODE.streamClosed, "a stream that is over");
  }

  override reset(stream: Http2Stream, code: number): void {
    if (!stream.remoteEnded) this.#break(stream.id);
    super.reset(stream, code);
  }

  #break(id: number): void {
    this.#broken.add(id);
    if (this.#broken.size <= BROKEN_MAX) return;
    for (const first of this.#broken) {
      this.#broken.delete(first);
      return;
    }
  }

  #skip(from: number, to: number): void {
    this.#skipped.push({ from, to });
    if (this.#skipped.length > SKIPPED_MAX) this.#skipped.shift();
  }
}
