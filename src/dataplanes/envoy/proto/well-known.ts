import { message, repeated, map, tableOf, type Message } from "./message.ts";
import { Reader } from "./reader.ts";
import { BYTES, STRING, bool, bytes, double, enumeration, int32, int64, string, type Int64 } from "./scalars.ts";
import { BOOL, DOUBLE, UINT32, UINT64 } from "./scalars.ts";
import { fieldOf, misfit, type Field, type Type } from "./type.ts";
import type { Writer } from "./writer.ts";

const URL_PREFIX = "type.googleapis.com/";
const EMPTY = new Uint8Array();
const DURATION = /^(-?)(\d{1,12})(?:\.(\d{1,9}))?s$/;
const TIMESTAMP = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z$/;

/** "5s", "0.25s"; up to nine digits after the point. */
export type Duration = `${number}s`;

/** RFC 3339 in UTC, e.g. "2026-01-02T03:04:05.678Z". */
export type Timestamp = string;

/** What JSON can say: google.protobuf.Value. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** google.protobuf.Struct. */
export type Struct = Readonly<Record<string, Json>>;

/**
 * A message of the type that "@type" names, with its fields beside, or for types whose JSON is no object of fields, that under "value".
 * Made by `pack` and `rawAny`, read by `unpack`.
 */
export interface Any {
  readonly "@type": string;
  readonly [field: string]: unknown;
}

interface Parts {
  readonly seconds?: Int64 | undefined;
  readonly nanos?: number | undefined;
}

/** Types whose JSON is no object of their fields. */
const spelt = new Map<string, Type<unknown>>();

/** The type whose JSON is `toJson` of what a table reads. */
function wellKnown<V, J>(
  table: Message<V>,
  { toTable, toJson }: { toTable(json: unknown, at: string): NoInfer<V>; toJson(value: NoInfer<V>): J },
): Type<J> {
  const type: Type<J> = {
    name: table.name,
    wire: 2,
    write: (writer, json, at) => table.write(writer, toTable(json, at), at),
    read: (reader) => toJson(table.read(reader)),
  };
  spelt.set(table.name, type);
  return type;
}

const VALUE: Type<Json> = wellKnown(
  message("google.protobuf.Value", {
    nullValue: enumeration(1, { NULL_VALUE: 0 }),
    numberValue: double(2),
    stringValue: string(3),
    boolValue: bool(4),
    get structValue(): Field<Struct> {
      return fieldOf(STRUCT)(5);
    },
    get listValue(): Field<readonly Json[]> {
      return fieldOf(LIST)(6);
    },
  }),
  {
    toTable: kindOf,
    toJson: (value) =>
      value.numberValue ?? value.stringValue ?? value.boolValue ?? value.structValue ?? value.listValue ?? null,
  },
);

const STRUCT: Type<Struct> = wellKnown(message("google.protobuf.Struct", { fields: map(fieldOf(VALUE)(1)) }), {
  toTable: (json) => ({ fields: json as Struct }),
  toJson: ({ fields = {} }) => fields,
});

const LIST: Type<readonly Json[]> = wellKnown(
  message("google.protobuf.ListValue", { values: repeated(fieldOf(VALUE)(1)) }),
  { toTable: (json) => ({ values: json as readonly Json[] }), toJson: ({ values = [] }) => values },
);

const DURATION_TYPE: Type<Duration> = wellKnown(
  message("google.protobuf.Duration", { seconds: int64(1), nanos: int32(2) }),
  { toTable: parseDuration, toJson: formatDuration },
);

const TIMESTAMP_TYPE: Type<Timestamp> = wellKnown(
  message("google.protobuf.Timestamp", { seconds: int64(1), nanos: int32(2) }),
  { toTable: parseTimestamp, toJson: formatTimestamp },
);

const ANY: Type<Any> = {
  name: message("google.protobuf.Any", { typeUrl: string(1), value: bytes(2) }).name,
  wire: 2,
  write(writer, value, at) {
    const url = (value as Partial<Any> | null)?.["@type"];
    if (typeof url !== "string") throw misfit(at, `an object with "@type"`, value);
    const before = writer.written;
    if (value instanceof EncodedAny) BYTES.write(writer, value.bytes, at);
    else writeContent(writer, value as Any, at);
    writer.varint(18);
    STRING.write(writer, url, at);
    writer.varint(10);
    writer.varint(writer.written - before);
  },
  read: readAny,
};

export const duration = fieldOf(DURATION_TYPE);
export const timestamp = fieldOf(TIMESTAMP_TYPE);
export const struct = fieldOf(STRUCT);
export const value = fieldOf(VALUE);
export const any = fieldOf(ANY);
export const boolValue = fieldOf(wrapper("BoolValue", BOOL, false));
export const doubleValue = fieldOf(wrapper("DoubleValue", DOUBLE, 0));
export const uint32Value = fieldOf(wrapper("UInt32Value", UINT32, 0));
export const uint64Value = fieldOf(wrapper<Int64>("UInt64Value", UINT64, 0));
export const stringValue = fieldOf(wrapper("StringValue", STRING, ""));

/** google.protobuf.Empty. */
export const Empty = message("google.protobuf.Empty", {});

/** "type.googleapis.com/…", as Any and xDS name types. */
export function typeUrl({ name }: Pick<Message<unknown>, "name">): string {
  return URL_PREFIX + name;
}

/** An Any of the message. */
export function pack<V>(type: Message<V>, value: NoInfer<V>): Any {
  return { "@type": typeUrl(type), ...value };
}

/** The message in an Any, or undefined where the Any is of another type or only its bytes are known. */
export function unpack<V>(type: Message<V>, any: Any | undefined): V | undefined {
  if (any?.["@type"] !== typeUrl(type) || any instanceof EncodedAny) return undefined;
  const content: Record<string, unknown> = { ...any };
  delete content["@type"];
  return content as V;
}

/** An Any by its bytes: what was encoded before, or came and is of a type without a table. */
export class EncodedAny implements Any {
  readonly [field: string]: unknown;
  readonly "@type": string;
  readonly bytes: Uint8Array;

  constructor(url: string, bytes: Uint8Array) {
    this["@type"] = url;
    this.bytes = bytes;
  }
}

/** An Any of a message that was encoded before; its bytes are written as they are. */
export function rawAny(type: Message<unknown>, bytes: Uint8Array): Any {
  return new EncodedAny(typeUrl(type), bytes);
}

function writeContent(writer: Writer, any: Any, at: string): void {
  const name = nameIn(any["@type"]);
  const special = spelt.get(name);
  if (special !== undefined) {
    special.write(writer, any.value, at);
    return;
  }
  const table = tableOf(name);
  if (table === undefined) throw new TypeError(`${at}: there is no table of ${JSON.stringify(name)}`);
  const before = writer.written;
  table.writeBody(writer, any, "@type");
  writer.varint(writer.written - before);
}

function readAny(reader: Reader): Any {
  const outer = reader.enter();
  let url = "";
  let content: Uint8Array = EMPTY;
  while (reader.more) {
    const tag = reader.uint32();
    if (tag === 10) url = reader.text();
    else if (tag === 18) content = reader.bytes();
    else reader.skip(tag & 7);
  }
  const any = openAny(reader.depth, url, content);
  reader.leave(outer);
  return any;
}

function openAny(depth: number, url: string, content: Uint8Array): Any {
  const name = nameIn(url);
  const special = spelt.get(name);
  if (special !== undefined) return { "@type": url, value: special.read(delimited(content, depth)) };
  const table = tableOf(name);
  if (table === undefined) return new EncodedAny(url, content);
  return table.readBody(new Reader(content, depth), { "@type": url }) as Any;
}

/** The content with its length before it, as types of their own read it. */
function delimited(content: Uint8Array, depth: number): Reader {
  const size = [];
  let rest = content.length;
  for (; rest >= 0x80; rest >>>= 7) size.push((rest & 0x7f) | 0x80);
  return new Reader(Buffer.concat([Buffer.from([...size, rest]), content]), depth);
}

function nameIn(url: string): string {
  return url.slice(url.lastIndexOf("/") + 1);
}

function wrapper<T>(name: string, type: Type<T>, absent: T): Type<T> {
  const { name: fullName } = message(`google.protobuf.${name}`, { value: fieldOf(type)(1) });
  const tag = 8 + type.wire;
  const read = (reader: Reader): T => {
    const outer = reader.enter();
    let value = absent;
    while (reader.more) {
      const found = reader.uint32();
      if (found === tag) value = type.read(reader);
      else reader.skip(found & 7);
    }
    reader.leave(outer);
    return value;
  };
  const made: Type<T> = {
    name: fullName,
    wire: 2,
    write(writer, value, at) {
      const before = writer.written;
      type.write(writer, value, at);
      writer.varint(tag);
      writer.varint(writer.written - before);
    },
    read,
  };
  spelt.set(fullName, made);
  return made;
}

function kindOf(json: unknown, at: string): Record<string, never> {
  const kind = (): Record<string, unknown> => {
    if (json === null) return { nullValue: 0 };
    if (typeof json === "number") return { numberValue: json };
    if (typeof json === "string") return { stringValue: json };
    if (typeof json === "boolean") return { boolValue: json };
    if (Array.isArray(json)) return { listValue: json };
    if (typeof json === "object" && !(json instanceof Uint8Array)) return { structValue: json };
    throw misfit(at, "JSON", json);
  };
  return kind() as Record<string, never>;
}

function parseDuration(json: unknown, at: string): Parts {
  const parts = typeof json === "string" ? DURATION.exec(json) : null;
  if (parts === null) throw misfit(at, 'a duration like "5s" or "0.25s"', json);
  const sign = parts[1] === "-" ? -1 : 1;
  const seconds = Number(parts[2]) * sign;
  const nanos = Number((parts[3] ?? "").padEnd(9, "0")) * sign;
  return { ...(seconds !== 0 && { seconds }), ...(nanos !== 0 && { nanos }) };
}

function formatDuration({ seconds = 0, nanos = 0 }: Parts): Duration {
  const sign = Number(seconds) < 0 || nanos < 0 ? "-" : "";
  return `${sign}${String(seconds).replace("-", "")}${fraction(Math.abs(nanos))}s` as Duration;
}

function parseTimestamp(json: unknown, at: string): Parts {
  const parts = typeof json === "string" ? TIMESTAMP.exec(json) : null;
  const seconds = parts === null ? NaN : Date.parse(`${parts[1]}Z`) / 1000;
  if (Number.isNaN(seconds)) throw misfit(at, 'a time like "2026-01-02T03:04:05.678Z"', json);
  const nanos = Number((parts?.[2] ?? "").padEnd(9, "0"));
  return { ...(seconds !== 0 && { seconds }), ...(nanos !== 0 && { nanos }) };
}

/** Throws RangeError where no date is that far away. */
function formatTimestamp({ seconds = 0, nanos = 0 }: Parts): Timestamp {
  return `${new Date(Number(seconds) * 1000).toISOString().slice(0, -5)}${fraction(nanos)}Z`;
}

/** The fewest of three, six or nine digits that say it. */
function fraction(nanos: number): string {
  if (nanos === 0) return "";
  return `.${String(nanos)
    .padStart(9, "0")
    .replace(/(000){1,2}$/, "")}`;
}
