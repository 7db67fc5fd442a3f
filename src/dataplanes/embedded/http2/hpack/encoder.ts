import { sentName, type SentName } from "./field-names.ts";
import { STATIC_ENTRIES } from "./static-table.ts";

const ENTRY_BYTES = 32;
/** A peer may offer more: nothing is gained by it. */
const TABLE_BYTES_MAX = 4096;
/** Longer values are hardly said twice. */
const INDEXED_LENGTH_MAX = 512;
/** Entries that left the table are let go in so many at once. */
const COMPACT_AT = 64;
/** Shorter ones cost less when written here than by a call to node. */
const SHORT = 24;

/** Where the last block is that any encoder made. */
export let encoded: Buffer = Buffer.allocUnsafeSlow(16 * 1024);

interface Entry {
  readonly name: SentName;
  readonly value: string;
}

/** What the table has of one name. */
interface Known {
  /** Numbers of entries, counted from the first that was ever added. */
  readonly values: Map<string, number>;
  newest: number;
}

/** Writes field blocks of one connection (RFC 7541), without Huffman's code: bytes cost less than the time that it takes. */
export class HpackEncoder {
  readonly #entries: Entry[] = [];
  /** So many came before the first of `#entries`. */
  #gone = 0;
  /** The oldest one that is still in the table. */
  #first = 0;
  #size = 0;
  #most = TABLE_BYTES_MAX;
  /** The smallest size since the last block; null: it is what the peer knows. */
  #smallest: number | null = null;
  readonly #known = new Map<SentName, Known>();
  #at = 0;

  /** The peer's table takes so much. */
  limit(bytes: number): void {
    const most = Math.min(bytes, TABLE_BYTES_MAX);
    if (most === this.#most) return;
    this.#smallest = Math.min(this.#smallest ?? most, most);
    this.#most = most;
    this.#evict(0);
  }

  /** Gives the length of the block, which is in `encoded` until the next call. Names may be in any spelling; all of it has to be sayable. */
  encode(fields: readonly string[]): number {
    this.#at = 0;
    if (this.#smallest !== null) this.#update();
    for (let index = 0; index + 1 < fields.length; index += 2) {
      const name = sentName(fields[index] ?? "");
      const value = fields[index + 1] ?? "";
      this.#reserve(name.lower.length + value.length + ENTRY_BYTES);
      this.#field(name, value);
    }
    return this.#at;
  }

  #field(name: SentName, value: string): void {
    const fixed = name.fixed?.values.get(value);
    if (fixed !== undefined) return this.#integer(0x80, 7, fixed);
    const known = this.#known.get(name);
    const number = known?.values.get(value);
    if (number !== undefined) return this.#integer(0x80, 7, this.#index(number));
    this.#literal(name, value, name.fixed?.index ?? (known === undefined ? 0 : this.#index(known.newest)));
  }

  /** `index`: of the name; 0: it is in no table. */
  #literal(name: SentName, value: string, index: number): void {
    const size = name.lower.length + value.length + ENTRY_BYTES;
    if (name.indexing !== "table" || value.length > INDEXED_LENGTH_MAX || size > this.#most) {
      this.#integer(name.indexing === "never" ? 0x10 : 0, 4, index);
    } else {
      this.#integer(0x40, 6, index);
      this.#add(name, value, size);
    }
    if (index === 0) this.#string(name.lower);
    this.#string(value);
  }

  #index(number: number): number {
    return STATIC_ENTRIES + this.#gone + this.#entries.length - number;
  }

  #add(name: SentName, value: string, size: number): void {
    this.#evict(size);
    const number = this.#gone + this.#entries.length;
    this.#entries.push({ name, value });
    this.#size += size;
    const known = this.#known.get(name);
    if (known === undefined) return void this.#known.set(name, { values: new Map([[value, number]]), newest: number });
    known.values.set(value, number);
    known.newest = number;
  }

  /** Makes room for so much. */
  #evict(room: number): void {
    while (this.#size + room > this.#most && this.#first < this.#entries.length) {
      const entry = this.#entries[this.#first++];
      if (entry === undefined) break;
      this.#size -= entry.name.lower.length + entry.value.length + ENTRY_BYTES;
      const known = this.#known.get(entry.name);
      known?.values.delete(entry.value);
      if (known?.values.size === 0) this.#known.delete(entry.name);
    }
    if (this.#first < COMPACT_AT) return;
    this.#entries.splice(0, this.#first);
    this.#gone += this.#first;
    this.#first = 0;
  }

  /** RFC 7541 §4.2: the smallest size that there was in between is said as well. */
  #update(): void {
    const smallest = this.#smallest ?? this.#most;
    this.#smallest = null;
    if (smallest < this.#most) this.#integer(0x20, 5, smallest);
    this.#integer(0x20, 5, this.#most);
  }

  #integer(pattern: number, prefixBits: number, value: number): void {
    const most = (1 << prefixBits) - 1;
    if (value < most) {
      encoded[this.#at++] = pattern | value;
      return;
    }
    encoded[this.#at++] = pattern | most;
    let rest = value - most;
    for (; rest >= 0x80; rest >>>= 7) encoded[this.#at++] = (rest & 0x7f) | 0x80;
    encoded[this.#at++] = rest;
  }

  #string(text: string): void {
    const { length } = text;
    this.#integer(0, 7, length);
    if (length > SHORT) encoded.write(text, this.#at, length, "latin1");
    else for (let index = 0; index < length; index += 1) encoded[this.#at + index] = text.charCodeAt(index);
    this.#at += length;
  }

  #reserve(bytes: number): void {
    if (this.#at + bytes <= encoded.length) return;
    const larger = Buffer.allocUnsafeSlow((this.#at + bytes) * 2);
    encoded.copy(larger, 0, 0, this.#at);
    encoded = larger;
  }
}
