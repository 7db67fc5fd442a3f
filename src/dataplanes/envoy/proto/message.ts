import { DEEPEST, Reader } from "./reader.ts";
import { STRING } from "./scalars.ts";
import { misfit, type Field, type Type } from "./type.ts";
import { Writer } from "./writer.ts";

type Fields = Readonly<Record<string, Field<unknown>>>;

/** A message's table: fields by their JSON names. */
export interface Message<V> extends Type<V> {
  /** Its table, for those who compare it. */
  readonly fields: Fields;
  /** Writes its content, without a length. */
  writeBody(writer: Writer, value: unknown, except?: string): void;
  /** Reads its content, up to the end of what is being read, into `into` or a new object. */
  readBody(reader: Reader, into?: Record<string, unknown>): V;
}

/** What a message looks like as JSON; absent is what its default says. */
export type Value<M> = M extends Message<infer V> ? V : never;

type Shape<F> = { readonly [K in keyof F]?: (F[K] extends Field<infer T> ? T : never) | undefined };

const known = new Map<string, Message<unknown>>();

/** The table by the message's full name, of all files that were loaded: see tables.ts. */
export function tableOf(name: string): Message<unknown> | undefined {
  return known.get(name);
}

/** All tables that were loaded. */
export function allTables(): Iterable<Message<unknown>> {
  return known.values();
}

/**
 * Says what a message looks like. Names are the JSON ones (lowerCamelCase) of Envoy's .proto files, numbers theirs; fields that nobody here
 * needs may be left out. A table that refers to itself, or to a later one, does so by a getter.
 *
 * Throws Error where there is a table of that name.
 */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- a bound on what getters return would make tables that refer to themselves circular.
export function message<const F extends Readonly<Record<string, any>>>(name: string, fields: F): Message<Shape<F>> {
  if (known.has(name)) throw new Error(`there is a table of ${name} already`);
  const made = new Table(name, fields);
  known.set(name, made);
  return made as Message<Shape<F>>;
}

/** A field that holds a message. */
export function field<V>(number: number, type: Message<V>): Field<V> {
  return { number, label: "singular", type };
}

/** A list of what `item` says. */
export function repeated<T>(item: Field<T>): Field<readonly T[]> {
  return { ...item, label: "repeated" } as Field<unknown> as Field<readonly T[]>;
}

/** An object of what `item` says, by names of its own: `map<string, …>`. What is read inherits nothing, so that every name is safe to ask for. */
export function map<T>(item: Field<T>): Field<Readonly<Record<string, T>>> {
  return { ...item, label: "map" } as Field<unknown> as Field<Readonly<Record<string, T>>>;
}

let spare: Writer | undefined;

/** The same value has the same bytes always. Throws TypeError, naming message and field, where the value does not fit the table. */
export function encode<V>(type: Message<V>, value: NoInfer<V>): Buffer {
  const writer = spare ?? new Writer();
  spare = undefined;
  try {
    type.writeBody(writer, value);
    return writer.take();
  } finally {
    writer.reset();
    spare = writer;
  }
}

/**
 * Fields that the table does not name are skipped; of a field that comes twice the last counts. Bytes in the value are views of `bytes`.
 * Throws RangeError where bytes are cut short, or messages nested more than 100 deep.
 */
export function decode<V>(type: Message<V>, bytes: Uint8Array): V {
  return type.readBody(new Reader(bytes));
}

interface Slot {
  readonly key: string;
  readonly at: string;
  readonly number: number;
  readonly label: Field<unknown>["label"];
  readonly type: Type<unknown>;
}

class Table implements Message<unknown> {
  readonly name: string;
  readonly wire = 2;
  readonly fields: Fields;
  readonly #byKey = new Map<string, Slot>();
  readonly #byNumber = new Map<number, Slot>();

  constructor(name: string, fields: Fields) {
    this.name = name;
    this.fields = fields;
  }

  write(writer: Writer, value: unknown, at: string): void {
    if (typeof value !== "object" || value === null || Array.isArray(value)) throw misfit(at, "an object", value);
    const before = writer.written;
    this.writeBody(writer, value);
    writer.varint(writer.written - before);
  }

  writeBody(writer: Writer, value: unknown, except?: string): void {
    if (++writer.depth > DEEPEST) throw new TypeError(`${this.name} is nested deeper than ${DEEPEST}`);
    const record = value as Readonly<Record<string, unknown>>;
    for (const slot of this.#given(record, except)) writeField(writer, slot, record[slot.key]);
    writer.depth--;
  }

  read(reader: Reader): unknown {
    const outer = reader.enter();
    const value = this.readBody(reader);
    reader.leave(outer);
    return value;
  }

  readBody(reader: Reader, into: Record<string, unknown> = {}): unknown {
    this.#look();
    while (reader.more) {
      const tag = reader.uint32();
      const slot = this.#byNumber.get(tag >>> 3);
      if (tag < 8) throw new RangeError(`${this.name} has no field 0`);
      if (slot === undefined || !readField(reader, slot, tag & 7, into)) reader.skip(tag & 7);
    }
    return into;
  }

  /** From the last number to the first, as they are written. */
  #given(record: Readonly<Record<string, unknown>>, except: string | undefined): Slot[] {
    this.#look();
    const slots: Slot[] = [];
    let last = 0;
    let sorted = true;
    for (const key of Object.keys(record)) {
      if (record[key] === undefined || key === except) continue;
      const slot = this.#byKey.get(key);
      if (slot === undefined) throw new TypeError(`${this.name} has no field ${JSON.stringify(key)}`);
      sorted &&= slot.number > last;
      last = slot.number;
      slots.push(slot);
    }
    return sorted ? slots.reverse() : slots.sort((a, b) => b.number - a.number);
  }

  /** Looked at when first used, as getters name tables that come later. */
  #look(): void {
    if (this.#byNumber.size > 0) return;
    for (const [key, { number, label, type }] of Object.entries(this.fields)) {
      const slot = { key, at: `${this.name}.${key}`, number, label, type };
      if (this.#byNumber.has(number)) throw new Error(`${slot.at}: number ${number} is taken`);
      this.#byKey.set(key, slot);
      this.#byNumber.set(number, slot);
    }
  }
}

function writeField(writer: Writer, slot: Slot, value: unknown): void {
  if (slot.label === "singular") {
    slot.type.write(writer, value, slot.at);
    writer.varint(slot.number * 8 + slot.type.wire);
  } else if (slot.label === "map") writeMap(writer, slot, value);
  else writeRepeated(writer, slot, value);
}

function writeRepeated(writer: Writer, { type, at, number }: Slot, value: unknown): void {
  if (!Array.isArray(value)) throw misfit(at, "an array", value);
  const items: readonly unknown[] = value;
  if (items.length === 0) return;
  const before = writer.written;
  for (let index = items.length - 1; index >= 0; index--) {
    type.write(writer, items[index], at);
    if (type.wire === 2) writer.varint(number * 8 + 2);
  }
  if (type.wire === 2) return;
  writer.varint(writer.written - before);
  writer.varint(number * 8 + 2);
}

function writeMap(writer: Writer, { type, at, number }: Slot, value: unknown): void {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw misfit(at, "an object", value);
  const record = value as Readonly<Record<string, unknown>>;
  for (const key of Object.keys(record).sort().reverse()) {
    if (record[key] === undefined) continue;
    const before = writer.written;
    type.write(writer, record[key], at);
    writer.varint(16 + type.wire);
    STRING.write(writer, key, at);
    writer.varint(10);
    writer.varint(writer.written - before);
    writer.varint(number * 8 + 2);
  }
}

/** False where the wire type is not the field's: such a field is an unknown one. */
function readField(reader: Reader, slot: Slot, wire: number, into: Record<string, unknown>): boolean {
  const { key, label, type } = slot;
  if (label === "map") {
    if (wire !== 2) return false;
    readEntry(reader, type, (into[key] ??= { __proto__: null }) as Record<string, unknown>);
  } else if (label === "repeated") {
    const packed = wire === 2 && type.wire !== 2;
    if (!packed && wire !== type.wire) return false;
    const items = (into[key] ??= []) as unknown[];
    if (packed) readPacked(reader, type, items);
    else items.push(type.read(reader));
  } else {
    if (wire !== type.wire) return false;
    into[key] = type.read(reader);
  }
  return true;
}

function readPacked(reader: Reader, type: Type<unknown>, items: unknown[]): void {
  const outer = reader.enter();
  while (reader.more) items.push(type.read(reader));
  reader.leave(outer);
}

function readEntry(reader: Reader, type: Type<unknown>, into: Record<string, unknown>): void {
  const outer = reader.enter();
  let key = "";
  let value: unknown;
  while (reader.more) {
    const tag = reader.uint32();
    if (tag === 10) key = reader.text();
    else if (tag === 16 + type.wire) value = type.read(reader);
    else reader.skip(tag & 7);
  }
  reader.leave(outer);
  into[key] = value === undefined ? type.read(new Reader(EMPTY[type.wire])) : value;
}

/** An entry without a value has its kind's default, which is what zeros say. */
const EMPTY = { 0: Buffer.alloc(1), 1: Buffer.alloc(8), 2: Buffer.alloc(1) };
