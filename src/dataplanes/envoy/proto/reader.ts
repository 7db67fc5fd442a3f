/** Messages within each other, at the most. */
export const DEEPEST = 100;

/** Reads a message's bytes in order. Whatever is cut short, or too deep, is a RangeError. */
export class Reader {
  readonly #bytes: Buffer;
  #at: number;
  #end: number;
  #depth: number;

  /** `depth` is how many messages are around these bytes. */
  constructor(bytes: Uint8Array, depth = 0) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#at = 0;
    this.#end = bytes.byteLength;
    this.#depth = depth;
  }

  /** Messages that are open right now. */
  get depth(): number {
    return this.#depth;
  }

  /** Whether something is left of what is being read. */
  get more(): boolean {
    return this.#at < this.#end;
  }

  /** How many bytes were read. */
  get at(): number {
    return this.#at;
  }

  /** The low 32 bits, unsigned, of an integer of up to 64 bits. */
  uint32(): number {
    const first = this.#bytes[this.#at];
    if (first !== undefined && first < 0x80 && this.#at < this.#end) {
      this.#at++;
      return first;
    }
    return this.#longUint32();
  }

  #longUint32(): number {
    let value = this.#byte() & 0x7f;
    for (let shift = 7; shift < 70; shift += 7) {
      const byte = this.#byte();
      if (shift < 32) value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value >>> 0;
    }
    throw new RangeError("an integer of more than ten bytes");
  }

  /** All 64 bits, unsigned. */
  uint64(): bigint {
    let low = 0;
    let high = 0n;
    for (let count = 0; count < 10; count++) {
      const byte = this.#byte();
      if (count < 7) low += (byte & 0x7f) * 2 ** (7 * count);
      else high |= BigInt(byte & 0x7f) << BigInt(7 * count);
      if (byte < 0x80) return high === 0n ? BigInt(low) : BigInt.asUintN(64, high | BigInt(low));
    }
    throw new RangeError("an integer of more than ten bytes");
  }

  double(): number {
    return this.#bytes.readDoubleLE(this.#take(8));
  }

  /** A view of what was given, not a copy. */
  bytes(): Uint8Array {
    const size = this.uint32();
    const at = this.#take(size);
    return this.#bytes.subarray(at, at + size);
  }

  /** What is not UTF-8 in it reads as U+FFFD. */
  text(): string {
    const size = this.uint32();
    const at = this.#take(size);
    return this.#bytes.toString("utf8", at, at + size);
  }

  /** Reads a length, up to whose end `more` then goes; gives what `leave` wants. */
  enter(): number {
    const size = this.uint32();
    const at = this.#at;
    if (size > this.#end - at) throw new RangeError("cut short");
    if (++this.#depth > DEEPEST) throw new RangeError(`nested deeper than ${DEEPEST}`);
    const outer = this.#end;
    this.#end = at + size;
    return outer;
  }

  /** Goes back out; everything within must have been read. */
  leave(outer: number): void {
    this.#depth--;
    this.#end = outer;
  }

  /** Passes over a value of the wire type. Groups, which proto3 has none of, are refused. */
  skip(wire: number): void {
    if (wire === 0) this.uint64();
    else if (wire === 1) this.#take(8);
    else if (wire === 2) this.#take(this.uint32());
    else if (wire === 5) this.#take(4);
    else throw new RangeError(`no wire type ${wire}`);
  }

  #byte(): number {
    if (this.#at >= this.#end) throw new RangeError("cut short");
    return this.#bytes[this.#at++] ?? 0;
  }

  #take(size: number): number {
    const at = this.#at;
    if (size > this.#end - at) throw new RangeError("cut short");
    this.#at += size;
    return at;
  }
}
