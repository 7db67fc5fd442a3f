import fc from "fast-check";
import protobuf from "protobufjs";
import * as kit from "../kit.ts";

/** A message with a field of every kind, as a .proto file for the reference and as a table. */
const PROTO = `
syntax = "proto3";
package test;
enum Color { RED = 0; GREEN = 1; BLUE = -7; }
message Everything {
  string text = 1;
  bytes data = 2;
  bool flag = 3;
  double wide = 4;
  int32 signed = 6;
  uint32 unsigned = 7;
  int64 long_signed = 8;
  uint64 long_unsigned = 9;
  Color color = 11;
  Everything inner = 12;
  google.protobuf.Duration wait = 13;
  google.protobuf.Timestamp time = 14;
  google.protobuf.Any any = 15;
  google.protobuf.Struct struct = 16;
  google.protobuf.Value value = 2048;
  google.protobuf.BoolValue maybe = 18;
  google.protobuf.UInt64Value maybe_long = 19;
  google.protobuf.StringValue maybe_text = 20;
  repeated string texts = 21;
  repeated uint32 numbers = 22;
  repeated double doubles = 23;
  repeated Color colors = 24;
  repeated Everything inners = 25;
  map<string, string> text_map = 26;
  map<string, int32> number_map = 27;
  map<string, Everything> inner_map = 28;
  repeated uint64 longs = 29;
}
`;

const COLORS = { RED: 0, GREEN: 1, BLUE: -7 } as const;

export const Everything = kit.message("test.Everything", {
  text: kit.string(1),
  data: kit.bytes(2),
  flag: kit.bool(3),
  wide: kit.double(4),
  signed: kit.int32(6),
  unsigned: kit.uint32(7),
  longSigned: kit.int64(8),
  longUnsigned: kit.uint64(9),
  color: kit.enumeration(11, COLORS),
  get inner() {
    return kit.field(12, Everything);
  },
  wait: kit.duration(13),
  time: kit.timestamp(14),
  any: kit.any(15),
  struct: kit.struct(16),
  value: kit.value(2048),
  maybe: kit.boolValue(18),
  maybeLong: kit.uint64Value(19),
  maybeText: kit.stringValue(20),
  texts: kit.repeated(kit.string(21)),
  numbers: kit.repeated(kit.uint32(22)),
  doubles: kit.repeated(kit.double(23)),
  colors: kit.repeated(kit.enumeration(24, COLORS)),
  get inners() {
    return kit.repeated(kit.field(25, Everything));
  },
  textMap: kit.map(kit.string(26)),
  numberMap: kit.map(kit.int32(27)),
  get innerMap() {
    return kit.map(kit.field(28, Everything));
  },
  longs: kit.repeated(kit.uint64(29)),
});
export type Everything = kit.Value<typeof Everything>;

export const reference = parseReference();

function parseReference(): protobuf.Type {
  const root = new protobuf.Root();
  for (const name of ["any", "duration", "struct", "timestamp", "wrappers"]) {
    const file = protobuf.common.get(`google/protobuf/${name}.proto`);
    if (file?.nested !== undefined) root.addJSON(file.nested);
  }
  return protobuf.parse(PROTO, root).root.resolveAll().lookupType("test.Everything");
}

/** The same value as the kit spells it, and as protobufjs wants it. */
export interface Pair {
  readonly ours: Everything;
  readonly theirs: Record<string, unknown>;
}

interface Spelt {
  readonly ours: unknown;
  readonly theirs: unknown;
}

function side(fields: Record<string, Spelt | undefined>, which: keyof Spelt): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).map(([key, spelt]) => [key, spelt?.[which]]));
}

const same = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<Spelt> => arbitrary.map((x) => ({ ours: x, theirs: x }));
const text = fc.string({ unit: "binary", maxLength: 60 });
/** Never like a number: objects hold such keys first. */
const key = fc.string({ maxLength: 8 }).map((name) => `k${name}`);
const int32 = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
const uint32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const nanos = fc.integer({ min: 0, max: 999_999_999 });
const color = fc.constantFrom("RED", "GREEN", "BLUE");
/** Without -0 and `__proto__`, which not everything on the way keeps. */
const json = fc.json({ maxDepth: 3 }).map((found) => JSON.parse(found.replaceAll("__proto__", "x")) as kit.Json);

function long(min: bigint, max: bigint): fc.Arbitrary<Spelt> {
  return fc.bigInt({ min, max }).map((n) => ({
    ours: Number.isSafeInteger(Number(n)) ? Number(n) : String(n),
    theirs: String(n),
  }));
}

function listOf(item: fc.Arbitrary<Spelt>): fc.Arbitrary<Spelt> {
  return fc.array(item, { minLength: 1, maxLength: 3 }).map((items) => ({
    ours: items.map((one) => one.ours),
    theirs: items.map((one) => one.theirs),
  }));
}

function mapOf(item: fc.Arbitrary<Spelt>): fc.Arbitrary<Spelt> {
  return fc
    .dictionary(key, item, { minKeys: 1, maxKeys: 3, noNullPrototype: true })
    .map((items) =>
      Object.fromEntries(
        Object.keys(items)
          .sort()
          .map((name) => [name, items[name]]),
      ),
    )
    .map((items) => ({ ours: side(items, "ours"), theirs: side(items, "theirs") }));
}

/** Nested up to `depth` times. */
function messageOf(depth: number): fc.Arbitrary<Pair> {
  const fields = { ...plainFields(), ...(depth > 0 && nestedFields(messageOf(depth - 1))) };
  return fc
    .record<Record<string, Spelt>>(fields, { requiredKeys: [], noNullPrototype: true })
    .map((spelt) => ({ ours: side(spelt, "ours"), theirs: side(spelt, "theirs") }));
}

function nestedFields(message: fc.Arbitrary<Pair>): Record<string, fc.Arbitrary<Spelt>> {
  return {
    inner: message,
    any: fc.oneof(message.map(packed), text.map(unknownAny)),
    inners: listOf(message),
    innerMap: mapOf(message),
  };
}

function plainFields(): Record<string, fc.Arbitrary<Spelt>> {
  const bytes = fc.uint8Array({ maxLength: 40 }).map((found) => Buffer.from(found));
  return {
    text: same(text),
    data: same(bytes),
    flag: same(fc.boolean()),
    wide: same(fc.double()),
    signed: same(int32),
    unsigned: same(uint32),
    longSigned: long(-(2n ** 63n), 2n ** 63n - 1n),
    longUnsigned: long(0n, 2n ** 64n - 1n),
    color: same(color),
    wait: fc.record({ seconds: fc.integer({ min: 0, max: 315_576_000_000 }), nanos, negative: fc.boolean() }).map(wait),
    time: fc.date({ noInvalidDate: true, min: new Date(0), max: new Date("9999-12-31") }).map(time),
    struct: fc.dictionary(key, json, { noNullPrototype: true }).map((ours) => ({ ours, theirs: structOf(ours) })),
    value: json.map((ours) => ({ ours, theirs: valueOf(ours) })),
    maybe: fc.boolean().map((ours) => ({ ours, theirs: { value: ours } })),
    maybeLong: long(0n, 2n ** 64n - 1n).map(({ ours, theirs }) => ({ ours, theirs: { value: theirs } })),
    maybeText: text.map((ours) => ({ ours, theirs: { value: ours } })),
    texts: listOf(same(text)),
    numbers: listOf(same(uint32)),
    doubles: listOf(same(fc.double())),
    colors: listOf(same(color)),
    textMap: mapOf(same(text)),
    numberMap: mapOf(same(int32)),
    longs: listOf(long(0n, 2n ** 64n - 1n)),
  };
}

/** What `decode` gives, of any value in any combination. */
export const anything: fc.Arbitrary<Pair> = fc.oneof(messageOf(0), messageOf(1));

function wait({ seconds, nanos, negative }: { seconds: number; nanos: number; negative: boolean }): Spelt {
  const sign = negative ? -1 : 1;
  const isNothing = seconds === 0 && nanos === 0;
  return {
    ours: `${negative && !isNothing ? "-" : ""}${seconds}${fraction(nanos)}s`,
    theirs: parts(seconds * sign, nanos * sign),
  };
}

function time(date: Date): Spelt {
  const ms = date.getTime() % 1000;
  const ours = `${date.toISOString().slice(0, -5)}${fraction(ms * 1_000_000)}Z`;
  return { ours, theirs: parts(Math.floor(date.getTime() / 1000), ms * 1_000_000) };
}

/** Zeros are not spelt out by the kit, either. */
function parts(seconds: number, nanos: number): object {
  return { ...(seconds !== 0 && { seconds: String(seconds) }), ...(nanos !== 0 && { nanos }) };
}

function fraction(nanos: number): string {
  if (nanos === 0) return "";
  const digits = String(nanos).padStart(9, "0");
  return `.${digits.endsWith("000000") ? digits.slice(0, 3) : digits.endsWith("000") ? digits.slice(0, 6) : digits}`;
}

function packed({ ours, theirs }: Pair): Spelt {
  return {
    ours: kit.pack(Everything, ours),
    theirs: {
      type_url: "type.googleapis.com/test.Everything",
      value: reference.encode(reference.fromObject(theirs)).finish(),
    },
  };
}

function unknownAny(name: string): Spelt {
  const url = `example.com/unknown.${name}`;
  return {
    ours: new kit.EncodedAny(url, Buffer.from(name)),
    theirs: { type_url: url, value: Buffer.from(name) },
  };
}

function structOf(json: object): object {
  return { fields: Object.fromEntries(Object.entries(json).map(([name, inner]) => [name, valueOf(inner)])) };
}

function valueOf(json: unknown): object {
  if (json === null) return { nullValue: 0 };
  if (Array.isArray(json)) return { listValue: { values: json.map(valueOf) } };
  if (typeof json === "object") return { structValue: structOf(json) };
  return { [`${typeof json === "boolean" ? "bool" : typeof json}Value`]: json };
}
