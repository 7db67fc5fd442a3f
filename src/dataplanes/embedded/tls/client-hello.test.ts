import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";
import { connect } from "node:tls";
import fc from "fast-check";
import { expect, test } from "vitest";
import { HELLO_BYTES_MAX, readClientHello } from "./client-hello.ts";

/** What node's own client sends first. */
async function recordHello(servername: string | null): Promise<Buffer> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const accepted = once(server, "connection");
  const client = connect({ port, host: "127.0.0.1", ...(servername === null ? {} : { servername }) });
  client.on("error", () => undefined);
  const [socket] = (await accepted) as [NodeJS.ReadableStream];
  const [bytes] = (await once(socket, "data")) as [Buffer];
  client.destroy();
  server.close();
  return bytes;
}

const u16 = (value: number) => Buffer.from([value >> 8, value & 0xff]);
const vector = (width: 1 | 2, ...parts: readonly Buffer[]) => {
  const body = Buffer.concat(parts);
  return Buffer.concat([width === 1 ? Buffer.from([body.length]) : u16(body.length), body]);
};
const extension = (type: number, body: Buffer) => Buffer.concat([u16(type), vector(2, body)]);
const names = (...list: readonly string[]) =>
  vector(2, ...list.map((name) => Buffer.concat([Buffer.from([0]), vector(2, Buffer.from(name, "latin1"))])));

function hello(...extensions: readonly Buffer[]): Buffer {
  const body = Buffer.concat([
    Buffer.from([3, 3]),
    Buffer.alloc(32, 7),
    vector(1, Buffer.alloc(32)),
    vector(2, Buffer.from([0x13, 0x01])),
    vector(1, Buffer.from([0])),
    vector(2, ...extensions),
  ]);
  return Buffer.concat([Buffer.from([1, 0]), u16(body.length), body]);
}
const record = (message: Buffer) => Buffer.concat([Buffer.from([22, 3, 1]), u16(message.length), message]);

test("finds the server name that a real client sends, in lower case, and none where it sends none", async () => {
  expect(readClientHello(await recordHello("Db.TLS.localhost"))).toEqual({
    kind: "hello",
    serverName: "db.tls.localhost",
  });
  expect(readClientHello(await recordHello(null))).toEqual({ kind: "hello", serverName: null });
});

test("asks for more at every cut of a hello, never for more than there is", async () => {
  const bytes = await recordHello("db.tls.localhost");
  for (let length = 0; length < bytes.length; length++) {
    expect(readClientHello(bytes.subarray(0, length)).kind, String(length)).toBe("more");
  }
  const followed = Buffer.concat([bytes, Buffer.from("anything")]);
  expect(readClientHello(followed)).toEqual({ kind: "hello", serverName: "db.tls.localhost" });
});

test("reads a hello that is spread over records of one byte each", () => {
  const message = hello(extension(0, names("a.example")));
  const spread = Buffer.concat([...message].map((byte) => record(Buffer.from([byte]))));
  expect(readClientHello(spread)).toEqual({ kind: "hello", serverName: "a.example" });
  expect(readClientHello(spread.subarray(0, -1)).kind).toBe("more");
});

test.each([
  ["another record", Buffer.from([23, 3, 1, 0, 1, 0])],
  ["another version", Buffer.from([22, 2])],
  ["an empty record", Buffer.from([22, 3, 1, 0, 0])],
  ["a record that is too long", Buffer.from([22, 3, 1, 0x40, 1])],
  ["another message", record(Buffer.from([2, 0, 0, 0]))],
  ["a message that is too long", record(Buffer.from([1, 1, 0, 0]))],
  ["a hello that ends early", record(Buffer.from([1, 0, 0, 2, 3, 3]))],
  ["two server names", record(hello(extension(0, names("a.example")), extension(0, names("b.example"))))],
  ["two names in one extension", record(hello(extension(0, names("a.example", "b.example"))))],
  ["a list of no names", record(hello(extension(0, vector(2))))],
  ["a name that is longer than its list", record(hello(extension(0, Buffer.from([0, 4, 0, 0, 9, 97]))))],
  ["bytes behind the names", record(hello(extension(0, Buffer.concat([names("a.example"), Buffer.from([0])]))))],
  ["bytes behind the extensions", record(Buffer.concat([Buffer.from([1, 0, 0, 44]), hello().subarray(4), Buffer.from([0])]))], // prettier-ignore
])("takes %s for no hello", (_what, bytes) => {
  expect(readClientHello(bytes)).toEqual({ kind: "malformed" });
});

test.each(["", "a b", "a\0b.example", "é.example", "a..b", ".a", "a.", "x".repeat(254), "[::1]"])(
  "takes %j for no name of a host",
  (name) => {
    const read = readClientHello(record(hello(extension(0, names(name)))));
    expect(read).toEqual({ kind: "hello", serverName: null });
  },
);

test("gives up a hello that never ends, and never throws whatever comes", () => {
  const endless = Buffer.concat(Array.from({ length: HELLO_BYTES_MAX / 6 + 1 }, () => record(Buffer.from([1]))));
  expect(readClientHello(endless)).toEqual({ kind: "malformed" });
  const good = record(hello(extension(0, names("a.example")), extension(16, vector(2, vector(1, Buffer.from("h2"))))));
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { maxLength: 4 }), (changes) => {
      const bytes = Buffer.from(good);
      for (const [at, byte] of changes) bytes[at] = byte;
      expect(["hello", "more", "malformed"]).toContain(readClientHello(bytes).kind);
    }),
    { numRuns: 3000 },
  );
});
