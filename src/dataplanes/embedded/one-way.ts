import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { isTlsSocket } from "../../platform/node-tls.ts";
import { BULK_BYTES, bulkBuffers, sharedBuffer } from "./buffer-pool.ts";
import { reuseReads, type ReusedReads } from "./reused-reads.ts";

export interface OneWayInput {
  readonly from: Duplex;
  readonly to: Duplex;
  /** Bytes came. */
  count(bytes: number): void;
}

/** Carries what one side sends to the other, its end included, no faster than that takes it. Breaks are the caller's. */
export function carryOneWay({ from, to, count }: OneWayInput): void {
  if (from.readableEnded) return void to.end();
  // Only of sockets it is known that they hold nothing of a write any more when they say that it is done.
  if (from instanceof Socket && !isTlsSocket(from) && to instanceof Socket) {
    const way = new SocketWay(from, to, count);
    if (way.start()) return;
  }
  from.on("data", (chunk: Buffer) => count(chunk.length));
  from.pipe(to);
}

class SocketWay implements ReusedReads {
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #count: (bytes: number) => void;
  /** Lent from the pool. */
  #own: Buffer | null = null;
  /** It is read into again. */
  #keeps = false;
  /** Writes from it that nobody has said to be done. */
  #unsaid = 0;
  #waiting = false;
  #closed = false;
  readonly #wrote = () => {
    this.#unsaid -= 1;
    if (this.#closed) this.#leave();
    else this.#goOn();
  };

  constructor(from: Socket, to: Socket, count: (bytes: number) => void) {
    this.#from = from;
    this.#to = to;
    this.#count = count;
  }

  /** false: this socket can only be read as a stream. */
  start(): boolean {
    const [from, to] = [this.#from, this.#to];
    if (!reuseReads(from, this)) return false;
    from.once("end", () => to.end());
    from.once("close", () => {
      this.#closed = true;
      this.#leave();
    });
    to.on("drain", () => this.#goOn());
    for (let chunk = takeRead(from); chunk !== null; chunk = takeRead(from)) {
      this.#count(chunk.length);
      if (!to.write(chunk)) this.#waiting = true;
    }
    if (this.#waiting) from.pause();
    else from.resume();
    return true;
  }

  next(): Buffer {
    return this.#own !== null && this.#keeps ? this.#own : sharedBuffer;
  }

  read(length: number): boolean {
    this.#count(length);
    const to = this.#to;
    if (to.destroyed) return false;
    const own = (this.#own ??= this.#moveOut(length));
    if (own === null) {
      if (!to.write(Buffer.from(sharedBuffer.subarray(0, length)))) this.#waiting = true;
      return !this.#waiting;
    }
    // Where buffers are scarce nobody keeps one who may be at rest from now on.
    this.#keeps = length >= (bulkBuffers.scarce ? own.length : BULK_BYTES);
    this.#unsaid += 1;
    to.write(length === own.length ? own : own.subarray(0, length), this.#wrote);
    // What the system took at once is done, though it is said later.
    if (to.writableLength > 0) this.#waiting = true;
    else if (!this.#keeps) this.#giveBack();
    return !this.#waiting;
  }

  /** A buffer of its own with what was read, for who reads much. */
  #moveOut(length: number): Buffer | null {
    const own = length < BULK_BYTES ? null : bulkBuffers.take();
    if (own !== null) sharedBuffer.copy(own, 0, 0, length);
    return own;
  }

  #goOn(): void {
    const to = this.#to;
    if (!this.#waiting || this.#unsaid > 0 || to.writableNeedDrain || to.destroyed) return;
    this.#waiting = false;
    if (!this.#keeps) this.#giveBack();
    this.#from.resume();
  }

  /** Nothing comes any more; what came may still be on its way. */
  #leave(): void {
    if (this.#unsaid === 0) this.#giveBack();
  }

  #giveBack(): void {
    const own = this.#own;
    if (own === null) return;
    this.#own = null;
    bulkBuffers.give(own);
  }
}

function takeRead(socket: Socket): Buffer | null {
  return socket.readableLength === 0 ? null : (socket.read() as Buffer | null);
}
