import type { Reader } from "./reader.ts";
import type { Writer } from "./writer.ts";

/** How values of one kind stand on the wire, without tag; those of wire type 2 with their length. */
export interface Type<T> {
  /** As .proto files name it, e.g. "string", "google.protobuf.Duration"; "enum" for every enumeration. */
  readonly name: string;
  /** 0 varint, 1 eight bytes, 2 length and bytes. */
  readonly wire: 0 | 1 | 2;
  /** Throws TypeError, naming `at`, where the value is none of this kind. */
  write(writer: Writer, value: unknown, at: string): void;
  /** Throws RangeError where bytes are cut short. */
  read(reader: Reader): T;
}

/** What a field of a message is, and its number. Made by `string(1)`, `repeated(string(2))`, `map(string(3))`, `field(4, Cluster)` and so on. */
export interface Field<T> {
  readonly number: number;
  readonly label: "singular" | "repeated" | "map";
  readonly type: Type<unknown>;
  /** By name, for enumerations only. */
  readonly numbers?: Readonly<Record<string, number>>;
  /** Says only to the compiler what values there are. */
  readonly value?: T;
}

/** A field of a kind without parameters. */
export function fieldOf<T>(type: Type<T>): (number: number) => Field<T> {
  return (number) => ({ number, label: "singular", type });
}

/** The TypeError of a value that does not fit. Shows no value: it may be a secret. */
export function misfit(at: string, wanted: string, value: unknown): TypeError {
  const found = value === null ? "null" : Array.isArray(value) ? "array" : typeof value;
  return new TypeError(`${at} wants ${wanted}, not this ${found}`);
}
