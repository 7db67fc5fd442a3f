import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { JsonLines } from "./json-lines.ts";

describe("JSON lines", () => {
  test("are the same in whatever pieces they come", () => {
    fc.assert(
      fc.property(fc.array(fc.jsonValue()), fc.array(fc.nat({ max: 12 }), { minLength: 1 }), (values, sizes) => {
        const whole = Buffer.from(values.map((value) => `${JSON.stringify(value)}\n`).join(""));
        const lines = new JsonLines("WATCH", 1_000_000);
        const read: unknown[] = [];
        let at = 0;
        for (let turn = 0; at < whole.length; turn += 1) {
          const size = (sizes[turn % sizes.length] ?? 0) + 1;
          read.push(...lines.push(whole.subarray(at, at + size)));
          at += size;
        }
        expect(read).toEqual(values.map((value) => JSON.parse(JSON.stringify(value)) as unknown));
        expect(lines.isPartial).toBe(false);
      }),
    );
  });

  test("that are too long are refused before they are whole", () => {
    const lines = new JsonLines("WATCH /x", 10);
    expect(lines.push(Buffer.from("123456789\n"))).toEqual([123456789]);
    expect(lines.push(Buffer.from('"1234567'))).toEqual([]);
    expect(lines.isPartial).toBe(true);
    expect(() => lines.push(Buffer.from("89a"))).toThrow("WATCH /x: an event is larger than 10 bytes");
  });

  test("that are none are not quoted", () => {
    const lines = new JsonLines("WATCH /x", 1000);
    expect(() => lines.push(Buffer.from('{"password": hunter2}\n'))).toThrow(/^WATCH \/x: an event is no JSON$/);
  });
});
