import { decodeHuffman } from "./huffman.ts";
import { STATIC_ENTRIES, staticNames, staticValues } from "./static-table.ts";

export interface HpackBounds {
  /** Of the dynamic table, as the peer was told. */
  readonly tableBytes: number;
  /** Of one list, counted as RFC 9113 §6.5.2 has it. */
  readonly listBytes: number;
  /** Of one list. */
  readonly listFields: number;
}

/** What one field block says. The same block, as long as it means the same, is the same object. */
export interface FieldBlock {
  /** Name, value, name, value; pseudo fields too. */
  readonly fields: readonly string[];
  /** `malformed`: there is something in it that no field may have (RFC 9113 §8.2.1); `large`: it is beyond the bounds and not all here. */
  readonly fault: "malformed" | "large" | null;
  /** It came more than once. */
  again: boolean;
}

/** The block cannot be read, and nor can any that comes after it (RFC 7541 §2.3.3, RFC 9113 §4.3). */
export class HpackError extends Error {
  override readonly name = "HpackError";
}

/** An entry takes so much beyond its text (RFC 7541 §4.1). */
const ENTRY_BYTES = 32;
/** Beyond anything that fits a block. */
const INTEGER_BITS_MAX = 28;
/** Blocks that are remembered as they are, for as long as the table stays the same. */
const REMEMBERED_BYTES = 128;
const REMEMBERED_MAX = 64;

const NAME = /^:?[!#$%&'*+\-.^_`|~0-9a-z]+$/;
const UNSAYABLE = /[^\t\x20-\x7e\x80-\xff]|^[\t ]|[\t ]$/;

/** Reads field blocks of one connection, in the order in which they came (RFC 7541). */
export class HpackDecoder {
  readonly #bounds: HpackBounds;
  // The dynamic table, as a ring; of entries that no field may have, the value is null.
  readonly #mask: number;
  readonly #names: string[] = [];
  readonly #values: (string | null)[] = [];
  readonly #sizes: number[] = [];
  #next = 0;
  #count = 0;
  #size = 0;
  #most: number;
  /** So often was the table changed. */
  #changes = 0;
  readonly #remembered = new Map<string, FieldBlock>();
  // The block under way.
  #bytes: Buffer = Buffer.alloc(0);
  #at = 0;
  #end = 0;
  #fields: string[] = [];
  #listBytes = 0;
  #fault: FieldBlock["fault"] = null;

  constructor(bounds: HpackBounds) {
    this.#bounds = bounds;
    this.#most = bounds.tableBytes;
    this.#mask = 2 ** Math.ceil(Math.log2(Math.max(1, bounds.tableBytes / ENTRY_BYTES))) - 1;
  }

  /** Throws `HpackError`. */
  decode(bytes: Buffer, at: number, end: number): FieldBlock {
    if (end - at > REMEMBERED_BYTES) return this.#decode(bytes, at, end);
    const key = bytes.toString("latin1", at, end);
    const known = this.#remembered.get(key);
    if (known !== undefined) {
      known.again = true;
      return known;
    }
    const changes = this.#changes;
    const block = this.#decode(bytes, at, end);
    if (changes === this.#changes) this.#remember(key, block);
    return block;
  }

  #decode(bytes: Buffer, at: number, end: number): FieldBlock {
    this.#bytes = bytes;
    this.#at = at;
    this.#end = end;
    this.#fields = [];
    this.#listBytes = 0;
    this.#fault = null;
    this.#updates();
    while (this.#at < end) this.#field();
    return { fields: this.#fields, fault: this.#fault, again: false };
  }

  #remember(key: string, block: FieldBlock): void {
    if (this.#remembered.size >= REMEMBERED_MAX) this.#remembered.clear();
    this.#remembered.set(key, block);
  }

  /** The table is not what it was: the same bytes may mean something else. */
  #change(): void {
    this.#changes += 1;
    if (this.#remembered.size > 0) this.#remembered.clear();
  }

  /** RFC 7541 §6.3: only before the first field. */
  #updates(): void {
    while (this.#at < this.#end && ((this.#bytes[this.#at] ?? 0) & 0xe0) === 0x20) {
      const most = this.#integer(5);
      if (most > this.#bounds.tableBytes) throw new HpackError("a table larger than it may be");
      this.#most = most;
      this.#evict(0);
      this.#change();
    }
  }

  #field(): void {
    const first = this.#bytes[this.#at] ?? 0;
    if (first >= 0x80) return this.#indexed(this.#integer(7));
    const adds = first >= 0x40;
    if (!adds && first >= 0x20) throw new HpackError("a change of the table's size within a block");
    const index = this.#integer(adds ? 6 : 4);
    const name = index === 0 ? this.#string() : this.#nameAt(index);
    const value = this.#string();
    const well = NAME.test(name) && !UNSAYABLE.test(value);
    this.#push(name, well ? value : null, name.length + value.length);
    if (adds) this.#add(name, well ? value : null, name.length + value.length);
  }

  #indexed(index: number): void {
    if (index === 0) throw new HpackError("index 0");
    if (index <= STATIC_ENTRIES) {
      const name = staticNames[index] ?? "";
      const value = staticValues[index] ?? "";
      return this.#push(name, value, name.length + value.length);
    }
    const at = this.#place(index);
    this.#push(this.#names[at] ?? "", this.#values[at] ?? null, (this.#sizes[at] ?? 0) - ENTRY_BYTES);
  }

  #nameAt(index: number): string {
    return (index <= STATIC_ENTRIES ? staticNames[index] : this.#names[this.#place(index)]) ?? "";
  }

  /** Where an index of the dynamic table is. */
  #place(index: number): number {
    const back = index - STATIC_ENTRIES;
    if (back > this.#count) throw new HpackError("an index beyond the table");
    return (this.#next - back) & this.#mask;
  }

  #push(name: string, value: string | null, bytes: number): void {
    this.#listBytes += bytes + ENTRY_BYTES;
    const { listBytes, listFields } = this.#bounds;
    if (this.#listBytes > listBytes || this.#fields.length >= listFields * 2) this.#fault = "large";
    else if (value === null) this.#fault ??= "malformed";
    else this.#fields.push(name, value);
  }

  #add(name: string, value: string | null, bytes: number): void {
    const size = bytes + ENTRY_BYTES;
    this.#change();
    this.#evict(size);
    if (size > this.#most) return; // RFC 7541 §4.4: the table is empty now, and that is all
    const at = this.#next;
    this.#names[at] = name;
    this.#values[at] = value;
    this.#sizes[at] = size;
    this.#next = (at + 1) & this.#mask;
    this.#count += 1;
    this.#size += size;
  }

  /** Makes room for so much. */
  #evict(room: number): void {
    while (this.#count > 0 && this.#size + room > this.#most) {
      const at = (this.#next - this.#count) & this.#mask;
      this.#size -= this.#sizes[at] ?? 0;
      this.#names[at] = "";
      this.#values[at] = null;
      this.#count -= 1;
    }
  }

  /** RFC 7541 §5.1. */
  #integer(prefixBits: number): number {
    const most = (1 << prefixBits) - 1;
    let value = (this.#bytes[this.#at++] ?? 0) & most;
    if (value < most) return value;
    for (let shift = 0; ; shift += 7) {
      if (this.#at >= this.#end || shift >= INTEGER_BITS_MAX) throw new HpackError("an integer without an end");
      const byte = this.#bytes[this.#at++] ?? 0;
      value += (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  }

  /** RFC 7541 §5.2. */
  #string(): string {
    if (this.#at >= this.#end) throw new HpackError("a block that ends within a field");
    const coded = (this.#bytes[this.#at] ?? 0) >= 0x80;
    const length = this.#integer(7);
    const at = this.#at;
    const end = at + length;
    if (end > this.#end) throw new HpackError("a string beyond its block");
    this.#at = end;
    if (!coded) return this.#bytes.toString("latin1", at, end);
    const text = decodeHuffman(this.#bytes, at, end);
    if (text === null) throw new HpackError("no Huffman code");
    return text;
  }
}
