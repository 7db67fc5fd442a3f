import type { Socket } from "node:net";
import { isTlsSocket } from "../../platform/node-tls.ts";
import { BULK_BYTES, bulkBuffers, sharedBuffer } from "./buffer-pool.ts";
import { reuseReads, type ReusedReads } from "./reused-reads.ts";

/** Who reads a connection as a stream, and is in the midst of much at times. */
export interface LentReadsUser {
  /** Whatever comes is for it, as `data` of the stream: nobody else reads that. */
  readonly takesAll: boolean;
  /** A chunk of its own, as `data` would bring it. */
  take(chunk: Buffer): void;
  /** Whether the next bytes, if they are so many, all belong to the body under way. */
  takesLent(length: number): boolean;
  /** Like a chunk of the stream, but it is used for others after the call, unless somebody has claimed it. */
  takeLent(chunk: Buffer): void;
}

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
 * Who writes a chunk to a socket, and keeps nothing of it for longer, gives this as the write's callback. undefined: the chunk is in no
 * memory that is used again. To be asked before the call that brought the chunk returns.
 */
export function claimLent(chunk: Buffer): (() => void) | undefined {
  return current?.buffer.buffer === chunk.buffer ? current.claim() : undefined;
}

/** Reads into memory that is used again for as long as the socket is open; its stream goes on, with copies. TLS is left as it is. */
export function lendReads(socket: Socket, user: LentReadsUser): void {
  if (isTlsSocket(socket)) return;
  const reads = new LentReads(socket, user);
  if (reuseReads(socket, reads)) socket.once("close", () => reads.close());
}

class LentReads implements ReusedReads {
  readonly #socket: Socket;
  readonly #user: LentReadsUser;
  /** Where the next read goes; null: to the shared one. */
  #own: Buffer | null = null;
  /** So many are copied before the next is lent. */
  #copies = 0;

  constructor(socket: Socket, user: LentReadsUser) {
    this.#socket = socket;
    this.#user = user;
  }

  next(): Buffer {
    return this.#own ?? sharedBuffer;
  }

  read(length: number): boolean {
    const own = this.#own ?? (this.#lends(length) ? bulkBuffers.take() : null);
    if (own === null) return this.#give(Buffer.from(sharedBuffer.subarray(0, length)));
    if (this.#own === null) sharedBuffer.copy(own, 0, 0, length);
    this.#own = null;
    if (!this.#lends(length)) {
      const room = this.#give(Buffer.from(own.subarray(0, length)));
      bulkBuffers.give(own);
      return room;
    }
    this.#lend(own, length);
    // Where buffers are scarce nobody keeps one who may be at rest from now on.
    if (this.#copies === 0 && !bulkBuffers.scarce && this.#user.takesLent(BULK_BYTES)) this.#own = bulkBuffers.take();
    return true;
  }

  close(): void {
    if (this.#own !== null) bulkBuffers.give(this.#own);
    this.#own = null;
  }

  /** By way of the stream only where something waits in it already, or nobody takes it now: that way costs as much as all that is done with a head. */
  #give(chunk: Buffer): boolean {
    const { readableLength, readableFlowing } = this.#socket;
    if (readableLength > 0 || readableFlowing !== true || !this.#user.takesAll) return this.#socket.push(chunk);
    this.#user.take(chunk);
    return true;
  }

  /** Nothing that came before waits in the stream, and somebody takes what comes. */
  #lends(length: number): boolean {
    const { readableLength, readableFlowing } = this.#socket;
    if (length < BULK_BYTES) return false;
    if (this.#copies > 0) {
      this.#copies -= 1;
      return false;
    }
    return readableLength === 0 && readableFlowing === true && this.#user.takesLent(length);
  }

  #lend(own: Buffer, length: number): void {
    const loan = new Loan(own);
    current = loan;
    try {
      this.#user.takeLent(length === own.length ? own : own.subarray(0, length));
    } finally {
      current = null;
      if (!loan.passed()) this.#copies = COPIES_AFTER_UNCLAIMED;
    }
  }
}
