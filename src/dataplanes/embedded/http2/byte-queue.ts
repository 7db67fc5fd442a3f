import type { Piece } from "./frame-reader.ts";

interface Chunk {
  readonly bytes: Buffer;
  at: number;
  end: number;
}

const SMALLEST = 1024;
const LARGEST = 16 * 1024;

/** Bytes that wait. They are copied, and many small pieces take no more memory than one large one. */
export class ByteQueue {
  readonly #chunks: Chunk[] = [];
  length = 0;

  push(bytes: Buffer, from: number, end: number): void {
    let at = from;
    const last = this.#chunks.at(-1);
    if (last !== undefined) {
      const copied = bytes.copy(last.bytes, last.end, at, end);
      last.end += copied;
      at += copied;
    }
    if (at < end) {
      const chunk = Buffer.allocUnsafeSlow(Math.max(end - at, Math.min(LARGEST, Math.max(SMALLEST, this.length))));
      this.#chunks.push({ bytes: chunk, at: 0, end: bytes.copy(chunk, 0, at, end) });
    }
    this.length += end - from;
  }

  /** The first bytes, as many as lie together; null: there are none. */
  get first(): Piece | null {
    return this.#chunks[0] ?? null;
  }

  /** Takes away some of the first. */
  drop(count: number): void {
    const [first] = this.#chunks;
    if (first === undefined) return;
    first.at += count;
    this.length -= count;
    if (first.at === first.end) this.#chunks.shift();
  }

  clear(): void {
    this.#chunks.length = 0;
    this.length = 0;
  }
}
