import { Duplex } from "node:stream";
import { ByteQueue } from "./byte-queue.ts";
import type { Piece } from "./frame-reader.ts";
import { CODE } from "./frames.ts";
import type { Http2Stream } from "./stream.ts";

/** A stream as one of node's, for a protocol that knows nothing of HTTP/2. */
export class Tunnel extends Duplex {
  readonly #stream: Http2Stream;
  /** Who wrote waits for room. */
  #written: (() => void) | null = null;
  /** Bytes that nobody has read: however small the pieces are in which they came, they take no more memory than their number. */
  readonly #unread = new ByteQueue();
  #wanted = false;
  #ended = false;
  #over = false;

  constructor(stream: Http2Stream) {
    super({ allowHalfOpen: true });
    this.#stream = stream;
    this.on("error", () => undefined);
  }

  /** Ends it so that nobody takes it for whole (RFC 9113 §8.5). */
  breakOff(): void {
    this.#stream.reset(CODE.connect);
    this.destroy();
  }

  // From its exchange.

  received({ bytes, at, end }: Piece, last: boolean): void {
    if (last) this.#ended = true;
    if (!this.#wanted || this.#unread.length > 0) this.#unread.push(bytes, at, end);
    else if (end > at) {
      this.#stream.consumed(end - at);
      this.#wanted = this.push(Buffer.from(bytes.subarray(at, end)));
    }
    this.#give();
  }

  ended(): void {
    this.#ended = true;
    this.#give();
  }

  sent(): void {
    if (this.#stream.pending > 0) return;
    const written = this.#written;
    this.#written = null;
    written?.();
  }

  /** `whole`: both sides have ended. */
  streamClosed(whole: boolean): void {
    this.#over = true;
    if (!whole) this.destroy();
  }

  // As a stream.

  override _read(): void {
    this.#wanted = true;
    this.#give();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#stream.write({ bytes: chunk, at: 0, end: chunk.length }, false);
    if (this.#stream.pending === 0 || this.#over) return done();
    this.#written = done;
  }

  override _final(done: () => void): void {
    this.#stream.end();
    if (this.#stream.pending === 0 || this.#over) return done();
    this.#written = done; // a stream that is destroyed drops what waits
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    if (!this.#over) this.#stream.reset(CODE.cancel);
    done(error);
  }

  #give(): void {
    for (let { first } = this.#unread; this.#wanted && first !== null; { first } = this.#unread) {
      const bytes = first.bytes.subarray(first.at, first.end);
      this.#unread.drop(bytes.length); // nobody writes there any more
      this.#stream.consumed(bytes.length);
      this.#wanted = this.push(bytes);
    }
    if (this.#ended && this.#unread.length === 0) this.push(null);
  }
}
