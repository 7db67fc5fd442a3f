import fc from "fast-check";
import { expect, test } from "vitest";
import { proxyHeader, readProxyHeader, type ConnectionEnds } from "./proxy-protocol.ts";

const V4: ConnectionEnds = { source: { ip: "192.0.2.7", port: 5000 }, destination: { ip: "192.0.2.1", port: 443 } };
const V6: ConnectionEnds = { source: { ip: "2001:db8::7", port: 1 }, destination: { ip: "::1", port: 65_535 } };
const SIGNATURE = Buffer.from("0d0a0d0a000d0a515549540a", "hex");
const v2 = (command: number, family: number, body: Buffer = Buffer.alloc(0), length = body.length) =>
  Buffer.concat([SIGNATURE, Buffer.from([command, family, length >> 8, length & 0xff]), body]);

test("spells the headers of the specification", () => {
  expect(proxyHeader("v1", V4).toString()).toBe("PROXY TCP4 192.0.2.7 192.0.2.1 5000 443\r\n");
  expect(proxyHeader("v1", V6).toString()).toBe("PROXY TCP6 2001:db8::7 ::1 1 65535\r\n");
  expect(proxyHeader("v1", null).toString()).toBe("PROXY UNKNOWN\r\n");
  expect(proxyHeader("v2", V4).toString("hex")).toBe("0d0a0d0a000d0a515549540a2111000cc0000207c0000201138801bb");
  expect(proxyHeader("v2", null).toString("hex")).toBe("0d0a0d0a000d0a515549540a20000000");
});

test("reads back what it writes, at every cut, and says how long it was", () => {
  const mixed = { source: V4.source, destination: V6.destination };
  const cases = [V4, V6, null].flatMap((ends) => (["v1", "v2"] as const).map((version) => [version, ends] as const));
  for (const [version, ends] of cases) {
    const bytes = proxyHeader(version, ends);
    for (let length = 0; length < bytes.length; length++) {
      expect(readProxyHeader(bytes.subarray(0, length)).kind, `${version} ${String(length)}`).toBe("more");
    }
    const followed = Buffer.concat([bytes, Buffer.from("GET / HTTP/1.1\r\n")]);
    expect(readProxyHeader(followed)).toEqual({ kind: "header", length: bytes.length, ends });
  }
  for (const version of ["v1", "v2"] as const) {
    const read = readProxyHeader(proxyHeader(version, mixed));
    expect(read).toMatchObject({ ends: { source: { port: 5000 }, destination: { ip: "::1" } } });
  }
});

test("reads version 2 with fields that it does not know, and without an address", () => {
  const addresses = Buffer.from("c0000207c0000201138801bb", "hex");
  const fields = Buffer.concat([addresses, Buffer.from([0x04, 0, 2, 1, 2])]);
  expect(readProxyHeader(v2(0x21, 0x11, fields))).toEqual({ kind: "header", length: 33, ends: V4 });
  expect(readProxyHeader(v2(0x21, 0x00))).toMatchObject({ kind: "header", ends: null });
  expect(readProxyHeader(v2(0x20, 0x11, addresses))).toMatchObject({ kind: "header", ends: null });
  expect(readProxyHeader(Buffer.from("PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n"))).toMatchObject({ ends: null });
});

test.each([
  ["no header", Buffer.from("GET / HTTP/1.1\r\n")],
  ["a TLS hello", Buffer.from([22, 3, 1])],
  ["lower case", Buffer.from("proxy TCP4 192.0.2.7 192.0.2.1 1 2\r\n")],
  ["a name", Buffer.from("PROXY TCP4 localhost 192.0.2.1 1 2\r\n")],
  ["another family", Buffer.from("PROXY TCP4 ::1 ::1 1 2\r\n")],
  ["a family that is none", Buffer.from("PROXY UDP4 192.0.2.7 192.0.2.1 1 2\r\n")],
  ["two spaces", Buffer.from("PROXY TCP4  192.0.2.7 192.0.2.1 1 2\r\n")],
  ["a port with a zero before it", Buffer.from("PROXY TCP4 192.0.2.7 192.0.2.1 01 2\r\n")],
  ["a port out of range", Buffer.from("PROXY TCP4 192.0.2.7 192.0.2.1 1 65536\r\n")],
  ["a line without end", Buffer.from(`PROXY UNKNOWN ${"x".repeat(100)}`)],
  ["a bare LF", Buffer.from(`PROXY UNKNOWN\n${"x".repeat(100)}`)],
  ["version 3", v2(0x31, 0x11, Buffer.alloc(12))],
  ["a command that is none", v2(0x22, 0x11, Buffer.alloc(12))],
  ["addresses cut short", v2(0x21, 0x11, Buffer.alloc(11))],
  ["UDP", v2(0x21, 0x12, Buffer.alloc(12))],
  ["a header of 64 KiB", v2(0x21, 0x11, Buffer.alloc(12), 65_535)],
])("refuses %s", (_what, bytes) => {
  expect(readProxyHeader(bytes)).toEqual({ kind: "malformed" });
});

test("never throws, whatever comes", () => {
  const starts = [Buffer.from("PROXY TCP6 "), SIGNATURE, Buffer.concat([SIGNATURE, Buffer.from([0x21, 0x21, 0, 36])])];
  fc.assert(
    fc.property(fc.constantFrom(...starts), fc.uint8Array({ maxLength: 80 }), (start, rest) => {
      expect(["header", "more", "malformed"]).toContain(readProxyHeader(Buffer.concat([start, rest])).kind);
    }),
    { numRuns: 2000 },
  );
});
