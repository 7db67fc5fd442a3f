const LONGEST_SPELT_OUT = 48;
const KEPT = 1 << 20;

/** Lengths stand before what they count, so a message is written from its end to its start: nothing is measured or moved, and one copy is made. */
export class Writer {
  #buffer = Buffer.allocUnsafeSlow(1 << 14);
  #at = this.#buffer.length;
  /** Messages open right now. */
  depth = 0;

  /** Bytes written so far; what was written since two readings is their difference. */
  get written(): number {
    return this.#buffer.length - this.#at;
  }

  /** A copy of what was written; the writer is empty then. */
  take(): Buffer {
    const taken = Buffer.allocUnsafeSlow(this.written);
    this.#buffer.copy(taken, 0, this.#at);
    this.reset();
    return taken;
  }

  /** What was written, in the writer's own memory: good until it is used again. */
  view(): Buffer {
    return this.#buffer.subarray(this.#at);
  }

  /** Forgets what was written, and memory that one large message wanted. */
  reset(): void {
    if (this.#buffer.length > KEPT) this.#buffer = Buffer.allocUnsafeSlow(1 << 14);
    this.#at = this.#buffer.length;
    this.depth = 0;
  }

  /** An unsigned integer of up to 53 bits. */
  varint(value: number): void {
    if (value < 0x80) {
      if (this.#at === 0) this.#grow(1);
      this.#buffer[--this.#at] = value;
      return;
    }
    let size = 1;
    for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) size++;
    let at = this.#room(size);
    let rest = value;
    for (; rest >= 0x8000_0000; rest = Math.floor(rest / 0x80)) this.#buffer[at++] = (rest % 0x80) | 0x80;
    for (; rest >= 0x80; rest >>>= 7) this.#buffer[at++] = (rest & 0x7f) | 0x80;
    this.#buffer[at] = rest;
  }

  /** An integer of 64 bits, of either sign. */
  varint64(value: bigint): void {
    let rest = BigInt.asUintN(64, value);
    const bytes = [];
    for (; rest >= 0x80n; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
    bytes.push(Number(rest));
    const at = this.#room(bytes.length);
    for (const [index, byte] of bytes.entries()) this.#buffer[at + index] = byte;
  }

  double(value: number): void {
    const at = this.#room(8);
    this.#buffer.writeDoubleLE(value, at);
  }

  bytes(value: Uint8Array): void {
    const at = this.#room(value.length);
    this.#buffer.set(value, at);
  }

  /** The UTF-8 of a well-formed string. */
  text(value: string): void {
    if (value.length <= LONGEST_SPELT_OUT && this.#ascii(value)) return;
    const size = Buffer.byteLength(value, "utf8");
    const at = this.#room(size);
    this.#buffer.write(value, at, size, "utf8");
  }

  #ascii(value: string): boolean {
    const at = this.#room(value.length);
    for (let index = 0; index < value.length; index++) {
      const code = value.charCodeAt(index);
      if (code >= 0x80) {
        this.#at += value.length;
        return false;
      }
      this.#buffer[at + index] = code;
    }
    return true;
  }

  #room(size: number): number {
    if (this.#at < size) this.#grow(size);
    this.#at -= size;
    return this.#at;
  }

  #grow(size: number): void {
    const { written } = this;
    const larger = Buffer.allocUnsafeSlow(Math.max(this.#buffer.length * 2, written + size));
    this.#buffer.copy(larger, larger.length - written, this.#at);
    this.#buffer = larger;
    this.#at = larger.length - written;
  }
}
