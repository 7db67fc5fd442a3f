import { ByteQueue } from "./byte-queue.ts";
import type { FieldBlock } from "./hpack/decoder.ts";
import type { Piece } from "./frame-reader.ts";
import { CODE, FRAME_BYTES } from "./frames.ts";

/** Told of what comes on a stream. */
export interface StreamUser {
  /** A field section (RFC 9110 §6.3): an answer's head, an early word's, or trailers. `last`: nothing follows. */
  section(block: FieldBlock, last: boolean): void;
  /** Bytes are there for the time of the call; whoever is done with them says so by `consumed`. `last`: nothing follows. */
  data(piece: Piece, last: boolean): void;
  /** So many bytes that had to wait are on their way. */
  sent(bytes: number): void;
  /** Nothing came or went for as long as may be. */
  silent?(): void;
  /** Nothing more comes or goes. `code`: NO_ERROR where both sides have ended, or the peer's or one's own reset says so. */
  closed(code: number): void;
}

/** What a stream needs of its session. */
export interface StreamSession {
  /** What the peer takes of each stream at first. */
  readonly peerWindow: number;
  /** What is taken here of each stream that nobody has consumed. */
  readonly windowBytes: number;
  /** Bytes of DATA that may be sent now. */
  room(): number;
  /** The stream has more to send than it may. */
  stalls(stream: Http2Stream): void;
  writeHead(stream: number, fields: readonly string[], last: boolean): void;
  writeData(stream: number, piece: Piece, last: boolean): void;
  returnWindow(stream: number, bytes: number): void;
  /** So many bytes of DATA are done with. */
  consumed(bytes: number): void;
  reset(stream: Http2Stream, code: number): void;
  fault(stream: Http2Stream, code: number): void;
  close(stream: Http2Stream, code: number): void;
}

const NO_BYTES: Piece = Object.freeze({ bytes: Buffer.alloc(0), at: 0, end: 0 });
const NO_FIELDS: readonly string[] = Object.freeze([]);

/** One exchange on a session: open → each side ends on its own → closed; a reset closes it at once (RFC 9113 §5.1). */
export class Http2Stream {
  readonly id: number;
  user: StreamUser | null = null;
  localEnded = false;
  remoteEnded = false;
  closed = false;
  /** What the peer takes; below 0 where it made its windows smaller. */
  sendWindow: number;
  /** What the peer may still send. */
  recvWindow: number;
  /** Bytes that came and count until they are consumed. */
  held = 0;
  /** Bytes of DATA so far, and how many there have to be; -1: any. */
  received = 0;
  expected = -1;
  /** Something came or went since somebody asked last. */
  active = true;
  /** How long it may be silent. */
  idleMs = Infinity;
  #quietSince = 0;
  readonly #session: StreamSession;
  readonly #waiting = new ByteQueue();
  #last: "no" | "data" | "trailers" = "no";
  #trailers = NO_FIELDS;
  #unreturned = 0;

  constructor(session: StreamSession, id: number) {
    this.#session = session;
    this.id = id;
    this.sendWindow = session.peerWindow;
    this.recvWindow = session.windowBytes;
  }

  /** Bytes that were written and have to wait. */
  get pending(): number {
    return this.#waiting.length;
  }

  /** Sends a head. `last`: nothing follows. */
  sendHead(fields: readonly string[], last: boolean): void {
    if (this.closed || this.localEnded) return;
    this.#session.writeHead(this.id, fields, last);
    if (last) this.endLocal();
  }

  /** Gives how many bytes are on their way; `sent` tells of the others. */
  write(piece: Piece, last: boolean): number {
    if (this.closed || this.localEnded || this.#last !== "no") return piece.end - piece.at;
    if (last) this.#last = "data";
    this.active = true;
    const { bytes, at, end } = piece;
    const done = this.pending > 0 ? 0 : this.#put(bytes, at, end);
    if (at + done < end) {
      this.#waiting.push(bytes, at + done, end);
      this.#session.stalls(this);
    }
    return done;
  }

  /** Ends it on this side, with trailers or without. */
  end(trailers: readonly string[] = NO_FIELDS): void {
    if (this.closed || this.localEnded || this.#last !== "no") return;
    this.#last = trailers.length > 0 ? "trailers" : "data";
    this.#trailers = trailers;
    if (this.pending > 0) return;
    if (trailers.length > 0) this.#session.writeHead(this.id, trailers, true);
    else this.#session.writeData(this.id, NO_BYTES, true);
    this.endLocal();
  }

  /** Breaks it off. */
  reset(code: number): void {
    if (!this.closed) this.#session.reset(this, code);
  }

  /** Breaks it off because its peer broke the rules, which counts against that one (CVE-2025-8671). */
  fault(code: number): void {
    if (!this.closed) this.#session.fault(this, code);
  }

  /** So many bytes that came have gone on, or are dropped. */
  consumed(bytes: number): void {
    if (bytes === 0 || this.closed) return;
    this.held -= bytes;
    this.#session.consumed(bytes);
    if (this.remoteEnded) return;
    this.#unreturned += bytes;
    if (this.#unreturned * 2 < this.#session.windowBytes) return;
    this.recvWindow += this.#unreturned;
    this.#session.returnWindow(this.id, this.#unreturned);
    this.#unreturned = 0;
  }

  // By the session alone.

  /** `now`: epoch ms. */
  check(now: number): void {
    if (this.active) {
      this.active = false;
      this.#quietSince = now;
    } else if (now - this.#quietSince >= this.idleMs) this.user?.silent?.();
  }

  /** So many bytes of DATA came. false: more or fewer than there have to be. */
  counts(bytes: number, last: boolean): boolean {
    this.active = true;
    this.received += bytes;
    return this.expected < 0 || (last ? this.received === this.expected : this.received <= this.expected);
  }

  /** Sends what waits, a frame at most. false: there is nothing more to be done for now. */
  pump(): boolean {
    const { first } = this.#waiting;
    if (first === null || this.closed) return false;
    const end = Math.min(first.end, first.at + FRAME_BYTES);
    const done = this.#put(first.bytes, first.at, end);
    if (done === 0) return false;
    this.#waiting.drop(done);
    this.active = true;
    if (this.pending === 0 && this.#last === "trailers") {
      this.#session.writeHead(this.id, this.#trailers, true);
      this.endLocal();
    }
    this.user?.sent(done);
    return this.pending > 0;
  }

  endLocal(): void {
    this.localEnded = true;
    if (this.remoteEnded) this.#session.close(this, CODE.none);
  }

  /** Gives how much of it went. */
  #put(bytes: Buffer, from: number, end: number): number {
    let at = from;
    do {
      const room = Math.min(FRAME_BYTES, end - at, this.#session.room(), this.sendWindow);
      if (room <= 0 && at < end) break;
      const next = at + Math.max(0, room);
      // What is sent of what waits is still among it.
      const last = this.#last === "data" && next === end && this.pending <= end - from;
      this.#session.writeData(this.id, { bytes, at, end: next }, last);
      this.sendWindow -= next - at;
      at = next;
      if (last) this.endLocal();
    } while (at < end);
    return at - from;
  }
}
