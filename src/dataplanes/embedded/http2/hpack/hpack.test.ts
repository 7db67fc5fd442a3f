import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { HpackDecoder, HpackError } from "./decoder.ts";
import { encoded, HpackEncoder } from "./encoder.ts";
import { decodeHuffman } from "./huffman.ts";

const BOUNDS = { tableBytes: 4096, listBytes: 65_536, listFields: 100 };
const hex = (text: string) => Buffer.from(text.replaceAll(/\s/g, ""), "hex");
const pairs = (fields: readonly string[]) =>
  fields.filter((_, at) => at % 2 === 0).map((name, at) => `${name}: ${fields[at * 2 + 1] ?? ""}`);

function decode(decoder: HpackDecoder, bytes: Buffer): readonly string[] {
  return pairs(decoder.decode(bytes, 0, bytes.length).fields);
}

/** Blocks of one connection, in order, with what they say. */
type Connection = readonly (readonly [block: string, fields: readonly string[]])[];

const GETS = [
  [":method: GET", ":scheme: http", ":path: /", ":authority: www.example.com"],
  [":method: GET", ":scheme: http", ":path: /", ":authority: www.example.com", "cache-control: no-cache"],
  [
    ...[":method: GET", ":scheme: https", ":path: /index.html", ":authority: www.example.com"],
    "custom-key: custom-value",
  ],
] as const;
const DATES = ["Mon, 21 Oct 2013 20:13:21 GMT", "Mon, 21 Oct 2013 20:13:22 GMT"] as const;
const ANSWERS = [
  [":status: 302", "cache-control: private", `date: ${DATES[0]}`, "location: https://www.example.com"],
  [":status: 307", "cache-control: private", `date: ${DATES[0]}`, "location: https://www.example.com"],
  [
    ...[":status: 200", "cache-control: private", `date: ${DATES[1]}`, "location: https://www.example.com"],
    ...["content-encoding: gzip", "set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1"],
  ],
] as const;

describe("the examples of RFC 7541, Appendix C", () => {
  test.each<readonly [string, number, Connection]>([
    [
      "C.2.1",
      4096,
      [["400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572", ["custom-key: custom-header"]]],
    ],
    ["C.2.2", 4096, [["040c 2f73 616d 706c 652f 7061 7468", [":path: /sample/path"]]]],
    ["C.2.3", 4096, [["1008 7061 7373 776f 7264 0673 6563 7265 74", ["password: secret"]]]],
    ["C.2.4", 4096, [["82", [":method: GET"]]]],
    [
      "C.3: requests without Huffman",
      4096,
      [
        ["8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d", GETS[0]],
        ["8286 84be 5808 6e6f 2d63 6163 6865", GETS[1]],
        ["8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65", GETS[2]],
      ],
    ],
    [
      "C.4: requests with Huffman",
      4096,
      [
        ["8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff", GETS[0]],
        ["8286 84be 5886 a8eb 1064 9cbf", GETS[1]],
        ["8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf", GETS[2]],
      ],
    ],
    [
      "C.5: answers without Huffman, in a table of 256 bytes",
      256,
      [
        [
          `4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120 474d
           546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d`,
          ANSWERS[0],
        ],
        ["4803 3330 37c1 c0bf", ANSWERS[1]],
        [
          `88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738 666f
           6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b
           2076 6572 7369 6f6e 3d31`,
          ANSWERS[2],
        ],
      ],
    ],
    [
      "C.6: answers with Huffman, in a table of 256 bytes",
      256,
      [
        [
          `4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7
           8f0b 97c8 e9ae 82ae 43d3`,
          ANSWERS[0],
        ],
        ["4883 640e ffc1 c0bf", ANSWERS[1]],
        [
          `88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335
           dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07`,
          ANSWERS[2],
        ],
      ],
    ],
  ])("%s", (_what, tableBytes, connection) => {
    const decoder = new HpackDecoder({ ...BOUNDS, tableBytes });
    for (const [block, fields] of connection) expect(decode(decoder, hex(block))).toEqual(fields);
  });

  test("Huffman's code of every byte", () => {
    // C.4 to C.6 use only a part of them: this is Appendix B's of the first, the last and the longest.
    expect(decodeHuffman(hex("ffc7"), 0, 2)).toBe("\0");
    expect(decodeHuffman(hex("fffffbbf"), 0, 4)).toBe("\xff");
    expect(decodeHuffman(hex("fffffff3"), 0, 4)).toBe("\n");
  });
});

describe("blocks that cannot be read", () => {
  test.each([
    ["index 0", "80"],
    ["an index beyond the table", "be"],
    ["a name beyond the table", "7f 00 01 61"],
    ["an integer without an end", "ff ff ff ff ff ff ff"],
    ["an integer that is cut off", "ff"],
    ["a string that is cut off", "40 05 61"],
    ["a field that is cut off", "40 01 61"],
    ["a table larger than it may be", "3f e2 1f"],
    ["a change of the table behind a field", "82 20"],
    ["padding that is not all ones", "00 81 18 00"],
    ["padding of a byte and more", "00 82 1f ff 00"],
    ["the end of string within one", "00 84 ff ff ff ff 00"],
  ])("%s", (_what, block) => {
    expect(() => decode(new HpackDecoder(BOUNDS), hex(block))).toThrow(HpackError);
  });
});

test("tells fields that no field may be like, also where the table has them", () => {
  const decoder = new HpackDecoder(BOUNDS);
  const said = (block: string) => decoder.decode(hex(block), 0, hex(block).length).fault;
  expect(said("40 01 41 01 62")).toBe("malformed"); // A: b
  expect(said("be")).toBe("malformed");
  expect(said("00 01 61 01 0a")).toBe("malformed");
  expect(said("00 01 61 02 20 62")).toBe("malformed");
  expect(said("00 00 01 62")).toBe("malformed");
  expect(said("00 01 61 01 62")).toBe(null);
});

test("takes no more than its bounds, however little is said, and reads on behind it", () => {
  const decoder = new HpackDecoder({ ...BOUNDS, listBytes: 10_000 });
  const large = Buffer.concat([hex("40 01 78 7f a1 1e"), Buffer.alloc(4000, "y")]); // x: 4,000 of y
  expect(decoder.decode(large, 0, large.length).fault).toBe(null);
  const bomb = Buffer.alloc(10_000, 0xbe);
  const block = decoder.decode(bomb, 0, bomb.length);
  expect([block.fault, block.fields.length]).toEqual(["large", 4]);
  expect(decode(decoder, hex("be"))).toHaveLength(1);
});

test("gives the same object for the same block, for as long as it means the same", () => {
  const decoder = new HpackDecoder(BOUNDS);
  const again = () => decoder.decode(hex("82be"), 0, 2);
  decode(decoder, hex("400161 0162"));
  const first = again();
  expect(first.again).toBe(false);
  expect(again()).toBe(first);
  expect(first.again).toBe(true);
  decode(decoder, hex("400161 0163"));
  expect(pairs(again().fields)).toEqual([":method: GET", "a: c"]);
});

describe("what is written", () => {
  const write = (encoder: HpackEncoder, fields: readonly string[]) =>
    Buffer.from(encoded.subarray(0, encoder.encode(fields)));

  test("says repeated fields by their number, secrets never", () => {
    const encoder = new HpackEncoder();
    const fields = [":method", "POST", "User-Agent", "x".repeat(50), "authorization", "Bearer y", "x-own", "z"];
    const first = write(encoder, fields).length;
    const second = write(encoder, fields);
    expect(first).toBeGreaterThan(70);
    expect(second.length).toBe(1 + 1 + 11 + 1);
    expect(second[2]).toBe(0x1f); // RFC 7541 §6.2.3
  });

  test.each(["Cookie", "set-cookie", "x-api-key", "X-Auth-Token", "private-token", "x_secret", "x-session-id"])(
    "puts no %s into the table that others share",
    (name) => {
      const encoder = new HpackEncoder();
      expect(write(encoder, [name, "y"]).length).toBe(write(encoder, [name, "y"]).length);
      expect(write(encoder, [name, "y"])[0]).toBe(name.toLowerCase().endsWith("cookie") ? 0x1f : 0x10);
    },
  );

  test.each([":authority", "content-type", "x-own"])("puts %s into it", (name) => {
    const encoder = new HpackEncoder();
    write(encoder, [name, "y"]);
    expect(write(encoder, [name, "y"]).length).toBe(1);
  });

  test("keeps to a smaller table, and says so", () => {
    const encoder = new HpackEncoder();
    write(encoder, ["a", "b", "c", "d"]);
    encoder.limit(0);
    encoder.limit(100);
    const block = write(encoder, ["a", "b"]);
    expect(block.subarray(0, 3)).toEqual(hex("20 3f45"));
    const decoder = new HpackDecoder({ ...BOUNDS, tableBytes: 100 });
    expect(decode(decoder, block)).toEqual(["a: b"]);
    expect(decode(decoder, write(encoder, ["a", "b"]))).toEqual(["a: b"]);
  });

  test("is read again as it was, whatever came before", () => {
    const name = fc.stringMatching(/^[a-z][a-z0-9-]{0,20}$/);
    const value = fc.stringMatching(/^([!-~]([ -~]{0,60}[!-~])?)?$/);
    const list = fc.array(fc.tuple(fc.oneof(name, fc.constantFrom("x-a", "x-b", "date", "cookie", ":path")), value));
    const step = fc.oneof(list, fc.nat(5000));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const encoder = new HpackEncoder();
        const decoder = new HpackDecoder({ ...BOUNDS, listFields: 1000 });
        for (const one of steps) {
          if (typeof one === "number") encoder.limit(one);
          else expect(decode(decoder, write(encoder, one.flat()))).toEqual(pairs(one.flat()));
        }
      }),
      { numRuns: 300 },
    );
  });
});
