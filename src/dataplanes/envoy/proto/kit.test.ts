import fc from "fast-check";
import { describe, expect, test } from "vitest";
import * as kit from "./kit.ts";
import { anything, Everything, reference, type Pair } from "./testing/everything.ts";

const { decode, encode } = kit;

function theirBytes({ theirs }: Pair): Uint8Array {
  return reference.encode(reference.fromObject(theirs)).finish();
}

/** Maps and structs may stand in another order within an Any, so these are read, too. */
function theirReading(bytes: Uint8Array): unknown {
  const opened = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(opened);
    if (typeof value !== "object" || value === null || value instanceof Uint8Array) return value;
    const { type_url: url, value: content } = value as { type_url?: unknown; value?: unknown };
    if (url === kit.typeUrl(Everything) && content instanceof Uint8Array) return theirReading(content);
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, opened(inner)]));
  };
  return opened(reference.toObject(reference.decode(bytes), { longs: String }));
}

describe("any value", () => {
  test("is read from protobufjs's bytes", () => {
    fc.assert(
      fc.property(anything, (pair) => {
        expect(decode(Everything, theirBytes(pair))).toEqual(pair.ours);
      }),
    );
  });

  test("is written so that protobufjs reads it", () => {
    fc.assert(
      fc.property(anything, (pair) => {
        expect(theirReading(encode(Everything, pair.ours))).toEqual(theirReading(theirBytes(pair)));
      }),
    );
  });

  test("has the same bytes whatever the order of its fields, its maps' and its structs' keys", () => {
    const reversed = (value: unknown): unknown => {
      if (Array.isArray(value)) return value.map(reversed);
      if (typeof value !== "object" || value === null || Object.getPrototypeOf(value) !== Object.prototype)
        return value;
      const entries = Object.entries(value).map(([key, inner]) => [key, reversed(inner)] as const);
      return Object.fromEntries(entries.reverse());
    };
    fc.assert(
      fc.property(anything, ({ ours }) => {
        const bytes = encode(Everything, ours);
        expect(encode(Everything, reversed(ours) as Everything)).toEqual(bytes);
        expect(encode(Everything, decode(Everything, bytes))).toEqual(bytes);
      }),
    );
  });

  test("can be put into an Any by its bytes", () => {
    fc.assert(
      fc.property(anything, ({ ours }) => {
        const any = kit.rawAny(Everything, encode(Everything, ours));
        expect(encode(Everything, { any })).toEqual(encode(Everything, { any: kit.pack(Everything, ours) }));
      }),
    );
  });

  test("is JSON that protobuf's JSON means the same by", () => {
    fc.assert(
      fc.property(anything, ({ ours }) => {
        const finite = { ...ours, wide: undefined, doubles: undefined, any: undefined };
        const shallow = { ...finite, inner: undefined, inners: undefined, innerMap: undefined };
        const json = kit.toJson(Everything, shallow);
        expect(JSON.parse(JSON.stringify(json))).toEqual(json);
        expect(encode(Everything, json as Everything)).toEqual(encode(Everything, shallow));
      }),
    );
  });
});

describe("bytes that are no message", () => {
  const read = (bytes: Uint8Array) => {
    try {
      decode(Everything, bytes);
    } catch (error) {
      expect(error).toBeInstanceOf(RangeError);
    }
  };

  test("are RangeErrors, or read as what is there, when cut off anywhere", () => {
    fc.assert(
      fc.property(anything, fc.nat(), ({ ours }, at) => {
        const bytes = encode(Everything, ours);
        read(bytes.subarray(0, at % (bytes.length + 1)));
      }),
    );
  });

  test("are RangeErrors when cut off within a field", () => {
    const bytes = encode(Everything, { text: "abc" });
    for (const size of [1, 2, 3, 4]) {
      expect(() => decode(Everything, bytes.subarray(0, size))).toThrow(RangeError);
    }
    expect(decode(Everything, bytes.subarray(0, 0))).toEqual({});
  });

  test("are RangeErrors when changed or made up", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), read), { numRuns: 2000 });
    fc.assert(
      fc.property(anything, fc.nat(), fc.nat(255), ({ ours }, at, byte) => {
        const bytes = encode(Everything, ours);
        if (bytes.length > 0) bytes[at % bytes.length] = byte;
        read(bytes);
      }),
    );
  });

  test.each([
    ["an integer of eleven bytes", [0x38, ...new Array<number>(10).fill(0xff), 0x01]],
    ["a length beyond 32 bits", [0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f]],
    ["field 0", [0x00, 0x00]],
    ["a group", [0x0b, 0x0c]],
    ["an inner length beyond the outer one", [0x62, 0x03, 0x0a, 0x05, 0x41]],
  ])("%s is refused", (_, bytes) => {
    expect(() => decode(Everything, Buffer.from(bytes))).toThrow(RangeError);
  });

  test("are refused when nested more than 100 deep, also by way of Any and Struct", () => {
    const nested = (depth: number, step: (inner: Buffer) => Buffer) => {
      let bytes: Buffer = Buffer.alloc(0);
      for (let count = 0; count < depth; count++) bytes = step(bytes);
      return bytes;
    };
    const inner = (value: Buffer) => Buffer.concat([varint(0x62, value.length), value]);
    const any = (value: Buffer) => encode(Everything, { any: kit.rawAny(Everything, value) });
    expect(() => decode(Everything, nested(90, inner))).not.toThrow();
    expect(() => decode(Everything, nested(101, inner))).toThrow("nested deeper than 100");
    expect(() => decode(Everything, nested(1000, inner))).toThrow("nested deeper than 100");
    expect(() => decode(Everything, nested(1000, any))).toThrow("nested deeper than 100");
    const list = nested(1000, (value) =>
      Buffer.concat([varint(0x32, lengthOf(value) + value.length), varint(0x0a, value.length), value]),
    );
    expect(() => decode(Everything, Buffer.concat([varint(0x8280_01, list.length, [0x82, 0x80, 0x01]), list]))).toThrow(
      RangeError,
    );
  });
});

describe("what does not fit its table is a TypeError that names message and field", () => {
  test.each([
    [{ colour: "RED" }, 'test.Everything has no field "colour"'],
    [{ text: 1 }, "test.Everything.text wants a string, not this number"],
    [{ text: "\ud800" }, "test.Everything.text wants well-formed Unicode"],
    [{ data: "a*" }, "test.Everything.data wants base64"],
    [{ flag: "true" }, "test.Everything.flag wants a boolean"],
    [{ wide: "1" }, "test.Everything.wide wants a number"],
    [{ signed: 2 ** 31 }, "test.Everything.signed wants an integer from -2147483648"],
    [{ unsigned: -1 }, "test.Everything.unsigned wants an integer from 0"],
    [{ unsigned: 1.5 }, "test.Everything.unsigned wants an integer from 0"],
    [{ longUnsigned: -1 }, "test.Everything.longUnsigned wants 0 to 18446744073709551615"],
    [{ longSigned: 2 ** 60 }, "test.Everything.longSigned wants an integer or its digits"],
    [{ longSigned: "1e3" }, "test.Everything.longSigned wants an integer or its digits"],
    [{ color: "PINK" }, "test.Everything.color wants one of RED, GREEN, BLUE"],
    [{ inner: [] }, "test.Everything.inner wants an object, not this array"],
    [{ inner: { text: null } }, "test.Everything.text wants a string, not this null"],
    [{ wait: "5" }, 'test.Everything.wait wants a duration like "5s"'],
    [{ wait: "1e-7s" }, 'test.Everything.wait wants a duration like "5s"'],
    [{ time: "yesterday" }, "test.Everything.time wants a time"],
    [{ any: {} }, 'test.Everything.any wants an object with "@type"'],
    [{ any: { "@type": "type.googleapis.com/no.Such" } }, 'test.Everything.any: there is no table of "no.Such"'],
    [{ any: kit.pack(Everything, { texts: "x" as never }) }, "test.Everything.texts wants an array"],
    [{ struct: [] }, "google.protobuf.Struct.fields wants an object"],
    [{ value: () => 1 }, "wants JSON, not this function"],
    [{ maybe: 1 }, "test.Everything.maybe wants a boolean"],
    [{ texts: "x" }, "test.Everything.texts wants an array"],
    [{ textMap: ["x"] }, "test.Everything.textMap wants an object"],
  ])("%j", (value, message) => {
    expect(() => encode(Everything, value as never)).toThrow(message);
    expect(() => encode(Everything, value as never)).toThrow(TypeError);
  });

  test("and an error of the compiler, where types reach", () => {
    const values: Everything[] = [
      // @ts-expect-error -- no such field
      { colour: "RED" },
      // @ts-expect-error -- a string
      { text: 1 },
      // @ts-expect-error -- no such color
      { color: "PINK" },
      // @ts-expect-error -- seconds
      { wait: "5ms" },
      // @ts-expect-error -- no such field of what is within
      { inner: { texts: ["a"], inners: [{ innerMap: { x: { txet: "" } } }] } },
      // @ts-expect-error -- an object with "@type"
      { any: { text: "x" } },
    ];
    for (const value of values) expect(() => encode(Everything, value)).toThrow(TypeError);
    // @ts-expect-error -- no such field of the message
    expect(() => encode(Everything, { any: kit.pack(Everything, { txet: "" }) })).toThrow(TypeError);
  });

  test("so is one that holds itself", () => {
    const value: Record<string, unknown> = {};
    value.inner = value;
    expect(() => encode(Everything, value)).toThrow("test.Everything is nested deeper than 100");
  });

  test("and none of its bytes are in what is written next", () => {
    const wanted = encode(Everything, { text: "x" });
    expect(() => encode(Everything, { text: 1 as never, texts: ["y"] })).toThrow(TypeError);
    expect(encode(Everything, { text: "x" })).toEqual(wanted);
  });
});

const Narrow = kit.message("test.Narrow", { flag: kit.bool(3), texts: kit.repeated(kit.string(21)) });
const Wrong = kit.message("test.Wrong", { text: kit.bool(1), texts: kit.uint32(21) });

describe("decoding", () => {
  test("skips what the table does not name, and what is of another wire type", () => {
    fc.assert(
      fc.property(anything, ({ ours }) => {
        const { flag, texts } = ours;
        const bytes = encode(Everything, ours);
        expect(decode(Narrow, bytes)).toEqual({ ...(flag !== undefined && { flag }), ...(texts && { texts }) });
        expect(decode(Wrong, bytes)).toEqual({});
      }),
    );
  });

  test("gives numbers of enumerations that have no name, and takes them", () => {
    const bytes = encode(Everything, { color: 5, colors: ["GREEN", 6] });
    expect(decode(Everything, bytes)).toEqual({ color: 5, colors: ["GREEN", 6] });
  });

  test("takes packed and single numbers alike", () => {
    expect(decode(Everything, Buffer.from([0xb0, 0x01, 0x05, 0xb2, 0x01, 0x01, 0x06]))).toEqual({ numbers: [5, 6] });
  });

  test("lets the last of a field count", () => {
    const bytes = Buffer.concat([encode(Everything, { text: "a" }), encode(Everything, { text: "b" })]);
    expect(decode(Everything, bytes)).toEqual({ text: "b" });
  });

  test("takes entries of maps without key or value for their defaults, and any name for a key", () => {
    expect(decode(Everything, Buffer.from([0xd2, 0x01, 0x00]))).toEqual({ textMap: { "": "" } });
    expect(decode(Everything, Buffer.from([0xda, 0x01, 0x00]))).toEqual({ numberMap: { "": 0 } });
    const textMap = JSON.parse('{"__proto__": "x"}') as Record<string, string>;
    const decoded = decode(Everything, encode(Everything, { textMap }));
    expect(Object.entries(decoded.textMap ?? {})).toEqual([["__proto__", "x"]]);
    expect(decoded.textMap?.constructor).toBeUndefined();
  });
});

describe("Any", () => {
  test("holds types whose JSON is no object under value", () => {
    const any = { "@type": "type.googleapis.com/google.protobuf.Duration", value: "1.500s" };
    const struct = { "@type": "type.googleapis.com/google.protobuf.Struct", value: { a: ["b".repeat(200)] } };
    expect(decode(Everything, encode(Everything, { any }))).toEqual({ any });
    expect(decode(Everything, encode(Everything, { any: struct }))).toEqual({ any: struct });
  });

  test("is unpacked as its own type only", () => {
    const any = kit.pack(Everything, { text: "x" });
    expect(kit.unpack(Everything, any)).toEqual({ text: "x" });
    expect(kit.unpack(Narrow, any)).toBeUndefined();
    expect(kit.unpack(Everything, undefined)).toBeUndefined();
    expect(kit.unpack(Everything, kit.rawAny(Everything, Buffer.alloc(0)))).toBeUndefined();
  });

  test("without a table keeps its bytes, also as JSON", () => {
    const any = new kit.EncodedAny("x.y/unknown.Type", Buffer.from("abc"));
    expect(decode(Everything, encode(Everything, { any }))).toEqual({ any });
    expect(kit.toJson(Everything, { any })).toEqual({ any: { "@type": "x.y/unknown.Type", value: "YWJj" } });
  });
});

test("what is absent or undefined is not written, what is at its default is", () => {
  expect(encode(Everything, { text: undefined, inner: {} })).toEqual(Buffer.from([0x62, 0x00]));
  expect(encode(Everything, { text: "", flag: false, unsigned: 0, texts: [], textMap: {} })).toEqual(
    Buffer.from([0x0a, 0x00, 0x18, 0x00, 0x38, 0x00]),
  );
});

test("messages larger than the writer's memory are written whole", () => {
  const texts = Array.from({ length: 3000 }, (_, index) => `${index}`.padStart(1000, "ü"));
  expect(decode(Everything, encode(Everything, { texts }))).toEqual({ texts });
});

test("a name or number is given once", () => {
  expect(() => kit.message("test.Everything", {})).toThrow("there is a table of test.Everything already");
  const Twice = kit.message("test.Twice", { a: kit.bool(1), b: kit.bool(1) });
  expect(() => encode(Twice, { a: true })).toThrow("test.Twice.b: number 1 is taken");
});

/** A tag of one byte, or `tag`, and a length. */
function varint(tag: number, length: number, bytes = [tag]): Buffer {
  const size = [];
  for (let rest = length; ; rest >>>= 7) {
    if (rest < 0x80) return Buffer.from([...bytes, ...size, rest]);
    size.push((rest & 0x7f) | 0x80);
  }
}

function lengthOf(value: Buffer): number {
  return varint(0x0a, value.length).length;
}
