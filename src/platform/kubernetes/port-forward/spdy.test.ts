import { inflateSync, constants } from "node:zlib";
import { describe, expect, test } from "vitest";
import { dataFrame, pingFrame, type SpdyFrame, SpdyOpener, SpdyReader } from "./spdy.ts";

const GO_AWAY = Buffer.from("80030007000000080000000100000000", "hex");
const RESET = Buffer.from("80030003000000080000000300000005", "hex");
const SYN_REPLY = Buffer.from("800300020000000400000003", "hex");

const all = Buffer.concat([
  dataFrame(3, Buffer.from("one")),
  pingFrame(7),
  SYN_REPLY,
  dataFrame(1, Buffer.alloc(0), true),
  RESET,
  GO_AWAY,
]);
const READ = [
  { kind: "data", stream: 3, bytes: Buffer.from("one"), isLast: false },
  { kind: "ping", id: 7 },
  { kind: "other" },
  { kind: "data", stream: 1, bytes: Buffer.alloc(0), isLast: true },
  { kind: "reset", stream: 3 },
  { kind: "goAway" },
] satisfies readonly SpdyFrame[];

describe("frames of SPDY", () => {
  test.each([1, 2, 3, 7, 8, 9, 1000])("are the same in pieces of %i bytes", (size) => {
    const reader = new SpdyReader();
    const read: SpdyFrame[] = [];
    for (let at = 0; at < all.length; at += size) read.push(...reader.push(all.subarray(at, at + size)));
    expect(read).toEqual(READ);
  });

  test("that are larger than any server's end the reading", () => {
    const head = Buffer.from("0000000300ffffff", "hex");
    expect(() => [...new SpdyReader().push(head)]).toThrow(RangeError);
  });

  test("begin streams with headers that zlib reads, one after the other", () => {
    const opener = new SpdyOpener();
    const [one, two] = [opener.open(1, { port: "80", streamtype: "error" }), opener.open(3, { port: "80" })];
    expect([one.readUInt32BE(0), one.readUIntBE(5, 3), one.readUInt32BE(8)]).toEqual([0x80030001, one.length - 8, 1]);
    const options = { finishFlush: constants.Z_SYNC_FLUSH };
    const text = inflateSync(Buffer.concat([one.subarray(18), two.subarray(18)]), options).toString();
    expect(text).toBe(
      "\0\0\0\x02\0\0\0\x04port\0\0\0\x0280\0\0\0\x0astreamtype\0\0\0\x05error\0\0\0\x01\0\0\0\x04port\0\0\0\x0280",
    );
  });
});
