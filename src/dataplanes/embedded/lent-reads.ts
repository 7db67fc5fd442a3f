import type { Socket } from "node:net";
import { isTlsSocket } from "../../platform/node-tls.ts";
import { BULK_BYTES, bulkBuffers, sharedBuffer } from "./buffer-pool.ts";
import { reuseReads, type ReusedReads } from "./reused-reads.ts";

/** Bytes that are passed on just now. */
class Loan {
  readonly buffer: Buffer;
  #passing = true;
  #claimed = false;
  #uses = 0;

  constructor(buffer: Buffer) {
    this.buffer = buffer;
  }

  claim(): () => void {
    this.#claimed = true;
    this.#uses += 1;
    return () => {
      this.#uses -= 1;
      this.#settle();
    };
  }

  /** All was passed on. Bytes that nobody claimed may lie anywhere: their buffer is not used again, and this gives false. */
  passed(): boolean {
    this.#passing = false;
    if (this.#claimed) this.#settle();
    else bulkBuffers.forget(this.buffer);
    return this.#claimed;
  }

  #settle(): void {
    if (!this.#passing && this.#uses === 0) bulkBuffers.give(this.buffer);
  }
}

/** Reads that are copied after one that nobody claimed: most likely the next ones go the same way. */
const COPIES_AFTER_UNCLAIMED = 32;

let current: Loan | null = null;

/**
 * Who writes a chunk to a socket, and keeps nothing of it for longer, gives this as the write's callback; who is done with it at once calls
 * it. undefined: the chunk is in no memory that is used again. To be asked before the call that brought the chunk returns.
 */
export function claimLent(chunk: Buffer): (() => void) | undefined {
  return current?.buffer.buffer === chunk.buffer ? current.claim() : undefined;
}

/** After a `write` that gave false: whether the system took it all at once; node says false of whatever is larger than a stream's mark. */
export function isThrough(socket: Socket): boolean {
  return socket.writableLength === 0 && !socket.destroyed;
}

/** What of a chunk can be kept for as long as anybody likes: a copy, where it is in memory that is used again. */
export function keepLent(chunk: Buffer): Buffer {
  const done = claimLent(chunk);
  if (done === undefined) return chunk;
  const copy = Buffer.from(chunk);
  done();
  return copy;
}

/**
 * Who reads a connection as a stream, and is in the midst of much at times: what comes is read into memory that is used again, from `lend`
 * to `returnReads`. TLS is left as it is.
 */
export abstract class LentReads implements ReusedReads {
  readonly socket: Socket;
  /** Where the next read goes; null: to the shared one. */
  #own: Buffer | null = null;
  /** So many are copied before the next is lent. */
  #copies = 0;

  constructor(socket: Socket) {
    this.socket = socket;
  }

  /** Whatever comes is for it, as `data` of the stream: nobody else reads that. */
  protected abstract get takesAll(): boolean;

  /** So many bytes of a body, at least, are to come, and somebody takes them. */
  protected abstract get awaited(): number;

  /**
   * As `data` of the stream would bring it. But where it is large its memory may be used for others after the call, unless somebody claims
   * it: whatever of it stays anywhere is written with `claimLent`, or kept by `keepLent`.
   */
  protected abstract take(chunk: Buffer): void;

  /**
   * Gets what is not large before `take` gets a copy: the first `length` of these bytes, whose memory is used again at once. true: all of it is
   * dealt with, and nothing of it was kept.
   */
  protected abstract glance(bytes: Buffer, length: number): boolean;

  protected lend(): void {
    if (!isTlsSocket(this.socket)) reuseReads(this.socket, this);
  }

  /** The socket is closed. */
  protected returnReads(): void {
    if (this.#own !== null) bulkBuffers.give(this.#own);
    this.#own = null;
  }

  next(): Buffer {
    return this.#own ?? sharedBuffer;
  }

  read(length: number): boolean {
    const own = this.#own ?? (this.#lends(length) ? bulkBuffers.take() : null);
    if (own === null) {
      if (this.#flows && this.glance(sharedBuffer, length)) return true;
      return this.#give(Buffer.from(sharedBuffer.subarray(0, length)));
    }
    if (this.#own === null) sharedBuffer.copy(own, 0, 0, length);
    this.#own = null;
    if (!this.#lends(length)) {
      const room = this.#give(Buffer.from(own.subarray(0, length)));
      bulkBuffers.give(own);
      return room;
    }
    this.#lend(own, length);
    // Where buffers are scarce nobody keeps one who may be at rest from now on.
    if (this.#copies === 0 && !bulkBuffers.scarce && this.awaited >= BULK_BYTES) this.#own = bulkBuffers.take();
    return true;
  }

  /** By way of the stream only where something waits in it already, or nobody takes it now: that way costs as much as all that is done with a head. */
  #give(chunk: Buffer): boolean {
    if (!this.#flows) return this.socket.push(chunk);
    this.take(chunk);
    return true;
  }

  /** Nothing that came before waits in the stream, and somebody takes what comes. */
  get #flows(): boolean {
    const { readableLength, readableFlowing } = this.socket;
    return readableLength === 0 && readableFlowing === true && this.takesAll;
  }

  #lends(length: number): boolean {
    if (length < BULK_BYTES) return false;
    if (this.#copies > 0) {
      this.#copies -= 1;
      return false;
    }
    return this.#flows;
  }

  #lend(own: Buffer, length: number): void {
    const loan = new Loan(own);
    current = loan;
    try {
      this.take(length === own.length ? own : own.subarray(0, length));
    } finally {
      current = null;
      if (!loan.passed()) this.#copies = COPIES_AFTER_UNCLAIMED;
    }
  }
}
