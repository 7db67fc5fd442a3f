import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { collectHead, HeadParts } from "./head-collector.ts";
import { Refusal } from "./head-fields.ts";
import { ChunkedReader, LengthReader, type BodyReader } from "./read-body.ts";

const BOUNDS = { fields: 5, lineBytes: 100, trailerBytes: 200 };

interface Read {
  readonly body: string;
  readonly trailers: readonly string[];
  /** What came after the body. */
  readonly rest: string;
  readonly done: boolean;
}

function readAll(reader: BodyReader, pieces: readonly Buffer[]): Read | string {
  let body = "";
  let rest = "";
  for (const piece of pieces) {
    const read = reader.read(piece, 0, { data: (chunk) => (body += chunk.toString("latin1")) });
    if (read instanceof Refusal) return read.reason;
    rest += piece.toString("latin1", read);
  }
  return { body, rest, done: reader.done, trailers: reader.trailers?.flat ?? [] };
}

function cut(text: string, places: readonly number[]): Buffer[] {
  const bytes = Buffer.from(text, "latin1");
  const at = [0, ...places.map((place) => place % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  return at.slice(1).map((end, index) => bytes.subarray(at[index], end));
}

const chunked = (text: string, places: readonly number[] = []) => readAll(new ChunkedReader(BOUNDS), cut(text, places));

describe("a body in chunks", () => {
  test.each<[string, Read]>([
    ["0\r\n\r\n", { body: "", rest: "", done: true, trailers: [] }],
    ["3\r\nabc\r\n0\r\n\r\nGET", { body: "abc", rest: "GET", done: true, trailers: [] }],
    ["00A\r\n0123456789\r\n0\r\n\r\n", { body: "0123456789", rest: "", done: true, trailers: [] }],
    ['1;a;b=c;d="x;\\"y"\r\n\r\r\n0;x\r\n\r\n', { body: "\r", rest: "", done: true, trailers: [] }],
    ["1\r\na\r\n0\r\nX: 1\r\ny:\r\n\r\n!", { body: "a", rest: "!", done: true, trailers: ["X", "1", "y", ""] }],
    ["5\r\nab", { body: "ab", rest: "", done: false, trailers: [] }],
  ])("%j", (text, read) => {
    expect(chunked(text)).toEqual(read);
    const property = fc.property(fc.array(fc.nat()), (places) => {
      expect(chunked(text, places)).toEqual(read);
    });
    fc.assert(property);
  });

  test.each([
    "\r\n",
    ";x\r\n",
    "-1\r\n",
    "+1\r\n",
    "0x1\r\na\r\n",
    " 1\r\na\r\n",
    "1 \r\na\r\n",
    "1\t\r\na\r\n",
    "1\na\n",
    "1\r\r\na\r\n",
    "g\r\n",
    "1000000000000\r\n",
    "fffffffffffffffff\r\n",
    "1\r\nab\r\n",
    "1\r\na\n0\r\n\r\n",
    "1\r\na0\r\n\r\n",
    "1 ;x\r\na\r\n",
    "1; x\r\na\r\n",
    "1;\r\na\r\n",
    "1;x=\r\na\r\n",
    '1;x="\r\na\r\n',
    "1;x\n\r\n",
    "1;x\0\r\n",
    `1;${"x".repeat(300)}\r\n`,
    `1;${"x".repeat(200)}\r\na\r\n`.repeat(100),
    "0\r\nX : 1\r\n\r\n",
    "0\r\nX: 1\n\r\n\r\n",
    "0\r\nX: \0\r\n\r\n",
    "0\r\n\n",
    "0\r\n x: 1\r\n\r\n",
    `0\r\nX: ${"x".repeat(90)}\r\nX: ${"x".repeat(90)}\r\nX: ${"x".repeat(90)}\r\n\r\n`,
    `0\r\n${"X: 1\r\n".repeat(6)}\r\n`,
  ])("is refused: %j", (text) => {
    expect(chunked(text)).toBeTypeOf("string");
    const property = fc.property(fc.array(fc.nat()), (places) => {
      expect(chunked(text, places)).toBeTypeOf("string");
    });
    fc.assert(property, { numRuns: 20 });
  });
});

test("a body with a length ends where it says, however it is cut", () => {
  const property = fc.property(fc.array(fc.nat()), fc.nat(12), (places, length) => {
    const read = readAll(new LengthReader(length), cut("0123456789", places));
    const body = "0123456789".slice(0, length);
    expect(read).toEqual({ body, rest: "0123456789".slice(length), done: length <= 10, trailers: [] });
  });
  fc.assert(property);
});

describe("a head", () => {
  const collect = (text: string, places: readonly number[]) => {
    let begun: HeadParts | null = null;
    let head: string | null = null;
    let rest = "";
    for (const piece of cut(text, places)) {
      if (head !== null) {
        rest += piece.toString("latin1");
        continue;
      }
      const before: number = begun?.length ?? 0;
      const taken: ReturnType<typeof collectHead> = collectHead(begun, piece, 0, 60);
      if (taken instanceof Refusal) return taken.status;
      if (taken instanceof HeadParts) {
        begun = taken;
        continue;
      }
      head = taken;
      rest = piece.toString("latin1", taken.length - before);
    }
    return head === null ? null : [head, rest];
  };

  test.each<[string, unknown]>([
    ["GET / HTTP/1.1\r\nHost: x\r\n\r\nrest\r\n\r\n", ["GET / HTTP/1.1\r\nHost: x\r\n\r\n", "rest\r\n\r\n"]],
    ["GET / HTTP/1.1\r\nHost: x\r\n", null],
    ["GET / HTTP/1.1\nHost: x\n\n", 400],
    ["GET / HTTP/1.1\rHost: x", 400],
    [
      `GET / HTTP/1.1\r\nX: ${"x".repeat(36)}\r\n\r\n`,
      [`GET / HTTP/1.1\r\nX: ${"x".repeat(36)}\r\n\r\n`.slice(0, 60), ""],
    ],
    [`GET / HTTP/1.1\r\nX: ${"x".repeat(40)}\r\n\r\n`, 431],
    [`GET / HTTP/1.1\r\nX: ${"x".repeat(4000)}`, 431],
  ])("%j is put together the same way however it is cut", (text, expected) => {
    expect(collect(text, [])).toEqual(expected);
    const property = fc.property(fc.array(fc.nat(), { maxLength: 20 }), (places) => {
      expect(collect(text, places)).toEqual(expected);
    });
    fc.assert(property);
  });
});
