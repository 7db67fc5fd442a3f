export interface BufferPoolBounds {
  /** Of each buffer. */
  readonly bytes: number;
  /** Lent at the same time. */
  readonly most: number;
  /** Kept for the next one who asks; what is given back beyond that is let go. */
  readonly kept: number;
}

/** Buffers that are used again and again. Each is lent to one at a time, from `take` to `give`. */
export class BufferPool {
  readonly #bounds: BufferPoolBounds;
  readonly #free: Buffer[] = [];
  readonly #lent = new Set<Buffer>();

  constructor(bounds: BufferPoolBounds) {
    this.#bounds = bounds;
  }

  get lent(): number {
    return this.#lent.size;
  }

  /** More than half are lent. */
  get scarce(): boolean {
    return this.#lent.size * 2 > this.#bounds.most;
  }

  get free(): number {
    return this.#free.length;
  }

  /** A buffer with any bytes in it; null: all are lent. */
  take(): Buffer | null {
    const { bytes, most } = this.#bounds;
    if (this.#lent.size >= most) return null;
    const buffer = this.#free.pop() ?? Buffer.allocUnsafeSlow(bytes);
    this.#lent.add(buffer);
    return buffer;
  }

  /** Throws where it is not lent: it would be handed out to two. */
  give(buffer: Buffer): void {
    if (!this.#lent.delete(buffer)) throw new Error("a buffer was given back that is not lent");
    if (this.#free.length < this.#bounds.kept) this.#free.push(buffer);
  }

  /** A lent one does not come back. */
  forget(buffer: Buffer): void {
    this.#lent.delete(buffer);
  }
}

/** So much read at once is the middle of more. */
export const BULK_BYTES = 16 * 1024;

/** For connections that carry much. Twice as large as what node reads, and that costs a sixth less of the processor than the same size. */
export const bulkBuffers = new BufferPool({ bytes: 128 * 1024, most: 128, kept: 16 });

/** All others read into this one, and copy at once what came: a connection at rest holds no memory. */
export const sharedBuffer = Buffer.allocUnsafeSlow(64 * 1024);
