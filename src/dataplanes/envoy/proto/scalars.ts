import type { Reader } from "./reader.ts";
import { fieldOf, misfit, type Field, type Type } from "./type.ts";
import type { Writer } from "./writer.ts";

/** An integer of 64 bits: a number, or where that is not exact, its digits. */
export type Int64 = number | string;

const DIGITS = /^-?(0|[1-9]\d{0,19})$/;

export const STRING: Type<string> = {
  name: "string",
  wire: 2,
  write(writer, value, at) {
    if (typeof value !== "string") throw misfit(at, "a string", value);
    if (!value.isWellFormed()) throw misfit(at, "well-formed Unicode", value);
    const before = writer.written;
    writer.text(value);
    writer.varint(writer.written - before);
  },
  read: (reader) => reader.text(),
};

export const BYTES: Type<Uint8Array | string> = {
  name: "bytes",
  wire: 2,
  write(writer, value, at) {
    if (typeof value !== "string" && !(value instanceof Uint8Array)) throw misfit(at, "bytes or base64", value);
    const bytes = typeof value === "string" ? fromBase64(value, at) : value;
    writer.bytes(bytes);
    writer.varint(bytes.length);
  },
  read: (reader) => reader.bytes(),
};

export const BOOL: Type<boolean> = {
  name: "bool",
  wire: 0,
  write(writer, value, at) {
    if (typeof value !== "boolean") throw misfit(at, "a boolean", value);
    writer.varint(value ? 1 : 0);
  },
  read: (reader) => reader.uint64() !== 0n,
};

export const DOUBLE: Type<number> = {
  name: "double",
  wire: 1,
  write(writer, value, at) {
    if (typeof value !== "number") throw misfit(at, "a number", value);
    writer.double(value);
  },
  read: (reader) => reader.double(),
};

export const INT32 = integer("int32", -(2 ** 31), 2 ** 31 - 1);
export const UINT32 = integer("uint32", 0, 2 ** 32 - 1);

export const INT64 = longInteger("int64", -(2n ** 63n), 2n ** 63n - 1n);
export const UINT64 = longInteger("uint64", 0n, 2n ** 64n - 1n);

export const string = fieldOf(STRING);
/** Takes bytes or base64; gives views of the bytes that were decoded. */
export const bytes = fieldOf(BYTES);
export const bool = fieldOf(BOOL);
export const double = fieldOf(DOUBLE);
export const int32 = fieldOf(INT32);
export const uint32 = fieldOf(UINT32);
export const int64 = fieldOf(INT64);
export const uint64 = fieldOf(UINT64);

/** Values by name; numbers where there is no name (yet). `numbers` may leave out names that nobody uses. */
export function enumeration<const N extends Readonly<Record<string, number>>>(
  number: number,
  numbers: N,
): Field<(keyof N & string) | number> {
  const byName = new Map(Object.entries(numbers));
  const byNumber = new Map([...byName].map(([name, value]) => [value, name]));
  const type: Type<string | number> = {
    name: "enum",
    wire: 0,
    write(writer, value, at) {
      const found = typeof value === "string" ? byName.get(value) : value;
      if (found === undefined) throw misfit(at, `one of ${[...byName.keys()].join(", ")}`, value);
      INT32.write(writer, found, at);
    },
    read(reader) {
      const value = INT32.read(reader);
      return byNumber.get(value) ?? value;
    },
  };
  return { number, label: "singular", type, numbers };
}

function integer(name: string, least: number, most: number): Type<number> {
  return {
    name,
    wire: 0,
    write(writer, value, at) {
      const number = whole(value, at, least, most);
      if (number < 0) writer.varint64(BigInt(number));
      else writer.varint(number);
    },
    read: least < 0 ? (reader) => reader.uint32() | 0 : (reader) => reader.uint32(),
  };
}

function longInteger(name: string, least: bigint, most: bigint): Type<Int64> {
  return {
    name,
    wire: 0,
    write(writer, value, at) {
      if (typeof value === "number" && value >= 0 && Number.isSafeInteger(value)) writer.varint(value);
      else writeLong(writer, value, { at, least, most });
    },
    read: (reader) => readLong(reader, least < 0n),
  };
}

function writeLong(writer: Writer, value: unknown, within: { at: string; least: bigint; most: bigint }): void {
  const { at, least, most } = within;
  if (!Number.isSafeInteger(value) && !(typeof value === "string" && DIGITS.test(value))) {
    throw misfit(at, "an integer or its digits", value);
  }
  const long = BigInt(value as Int64);
  if (long < least || long > most) throw misfit(at, `${least} to ${most}`, value);
  writer.varint64(long);
}

function readLong(reader: Reader, signed: boolean): Int64 {
  const unsigned = reader.uint64();
  const long = signed ? BigInt.asIntN(64, unsigned) : unsigned;
  const number = Number(long);
  return Number.isSafeInteger(number) ? number : String(long);
}

function whole(value: unknown, at: string, least: number, most: number): number {
  if (typeof value === "number" && Number.isInteger(value) && value >= least && value <= most) return value;
  throw misfit(at, `an integer from ${least} to ${most}`, value);
}

function fromBase64(text: string, at: string): Uint8Array {
  const bytes = Buffer.from(text, "base64");
  if (bytes.toString("base64").replace(/=+$/, "") !== text.replace(/=+$/, "")) throw misfit(at, "base64", text);
  return bytes;
}
