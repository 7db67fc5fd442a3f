import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startTestPlane } from "../src/dataplanes/embedded/testing/start-plane.ts";
import { startHttpApp, type App } from "../src/dataplanes/testing/apps.ts";
import { fieldBlock, FLAG, frame, FRAME, RawHttp2, uint32 } from "../src/dataplanes/testing/http2-frames.ts";
import { startRig, until, type Rig } from "../src/dataplanes/testing/rig.ts";
import { byHost } from "../src/dataplanes/testing/table-builder.ts";

/** What RFC 9113 calls an error of the connection or of a stream, always asked; h2spec.test.ts asks more where h2spec is there. */
const HOST = "nb.localhost";
const REQUEST = { ":method": "GET", ":scheme": "http", ":path": "/", ":authority": HOST };
const POST = { ...REQUEST, ":method": "POST" };
const WHOLE = FLAG.endStream | FLAG.endHeaders;
const PUSH_PROMISE = 5;
/** RFC 9113 §7. */
const [FLOW_CONTROL, STREAM_CLOSED] = [3, 5];

let app: App;
let rig: Rig;
/** Requests that came whole. */
let whole = 0;

beforeAll(async () => {
  app = await startHttpApp((req, res) => {
    req.resume();
    req.once("end", () => {
      whole += 1;
      if (req.url !== "/hold") res.end("served");
    });
  });
  rig = await startRig(startTestPlane);
  rig.table.service({ key: "local/nb/web", matches: [byHost(HOST)], endpoints: [app.address] });
  await rig.publish();
});

afterAll(async () => {
  await rig[Symbol.asyncDispose]();
  await app[Symbol.asyncDispose]();
});

const setting = (id: number, value: number) =>
  frame(FRAME.settings, 0, 0, Buffer.concat([Buffer.from([0, id]), uint32(value)]));
const begun = (fields: Readonly<Record<string, string>> = POST) =>
  frame(FRAME.headers, FLAG.endHeaders, 1, fieldBlock(fields));

describe("HTTP/2 that breaks the rules of its connection ends it", () => {
  test.each<readonly [string, readonly Buffer[]]>([
    ["DATA on stream 0 (§6.1)", [frame(FRAME.data, 0, 0, Buffer.from("x"))]],
    ["DATA on an idle stream (§5.1)", [frame(FRAME.data, 0, 1, Buffer.from("x"))]],
    ["DATA with more padding than there is (§6.1)", [begun(), frame(FRAME.data, 8, 1, Buffer.from([9, 0]))]],
    ["DATA with nothing where the length of its padding should be (§6.1)", [begun(), frame(FRAME.data, 8, 1)]],
    ["HEADERS with more padding than there is (§6.2)", [frame(FRAME.headers, WHOLE | 8, 1, Buffer.from([9, 0]))]],
    ["HEADERS on stream 0 (§6.2)", [frame(FRAME.headers, WHOLE, 0, fieldBlock(REQUEST))]],
    ["HEADERS on a stream of the server's (§5.1.1)", [frame(FRAME.headers, WHOLE, 2, fieldBlock(REQUEST))]],
    [
      "a field that is nowhere in the table (RFC 7541 §2.3.3)",
      [frame(FRAME.headers, WHOLE, 1, Buffer.from([0xff, 0x7f]))],
    ],
    [
      "another frame within a head (§6.2)",
      [frame(FRAME.headers, 0, 1, fieldBlock(REQUEST)), frame(FRAME.ping, 0, 0, Buffer.alloc(8))],
    ],
    ["CONTINUATION of nothing (§6.10)", [frame(FRAME.continuation, FLAG.endHeaders, 1, fieldBlock(REQUEST))]],
    ["RST_STREAM on an idle stream (§6.4)", [frame(FRAME.reset, 0, 1, uint32(8))]],
    ["RST_STREAM on stream 0 (§6.4)", [frame(FRAME.reset, 0, 0, uint32(8))]],
    ["RST_STREAM of 3 bytes (§6.4)", [begun(), frame(FRAME.reset, 0, 1, Buffer.alloc(3))]],
    ["PRIORITY of 4 bytes (§6.3)", [begun(), frame(FRAME.priority, 0, 1, Buffer.alloc(4)), frame(FRAME.data, 1, 1)]],
    ["PRIORITY on stream 0 (§6.3)", [frame(FRAME.priority, 0, 0, Buffer.from([0, 0, 0, 1, 0]))]],
    [
      "PRIORITY of a stream on itself (h2spec http2/5.3.1)",
      [frame(FRAME.priority, 0, 1, Buffer.from([0, 0, 0, 1, 0]))],
    ],
    [
      "a stream below one that was opened (§5.1.1)",
      [
        frame(FRAME.headers, FLAG.endHeaders, 5, fieldBlock(POST)),
        frame(FRAME.headers, FLAG.endHeaders, 3, fieldBlock(POST)),
      ],
    ],
    [
      "DATA behind a reset of one's own (§5.1)",
      [begun(), frame(FRAME.reset, 0, 1, uint32(8)), frame(FRAME.data, FLAG.endStream, 1, Buffer.from("late"))],
    ],
    ["HEADERS behind a reset of one's own (§5.1)", [begun(), frame(FRAME.reset, 0, 1, uint32(8)), begun()]],
    ["SETTINGS on a stream (§6.5)", [frame(FRAME.settings, 0, 1)]],
    ["SETTINGS of 5 bytes (§6.5)", [frame(FRAME.settings, 0, 0, Buffer.alloc(5))]],
    ["an answer to SETTINGS that says something (§6.5)", [frame(FRAME.settings, FLAG.ack, 0, Buffer.alloc(6))]],
    ["ENABLE_PUSH of 2 (§6.5.2)", [setting(2, 2)]],
    ["INITIAL_WINDOW_SIZE beyond 2^31-1 (§6.5.2)", [setting(4, 0x8000_0000)]],
    ["MAX_FRAME_SIZE below 2^14 (§6.5.2)", [setting(5, 100)]],
    ["MAX_FRAME_SIZE beyond 2^24-1 (§6.5.2)", [setting(5, 0x0100_0000)]],
    ["PUSH_PROMISE from a client (§8.4)", [begun(), frame(PUSH_PROMISE, FLAG.endHeaders, 1, uint32(3))]],
    ["PING on a stream (§6.7)", [frame(FRAME.ping, 0, 1, Buffer.alloc(8))]],
    ["PING of 7 bytes (§6.7)", [frame(FRAME.ping, 0, 0, Buffer.alloc(7))]],
    ["GOAWAY on a stream (§6.8)", [frame(FRAME.goaway, 0, 1, Buffer.alloc(8))]],
    ["WINDOW_UPDATE of nothing (§6.9)", [frame(FRAME.windowUpdate, 0, 0, uint32(0))]],
    ["WINDOW_UPDATE of 3 bytes (§6.9)", [frame(FRAME.windowUpdate, 0, 0, Buffer.alloc(3))]],
    ["WINDOW_UPDATE on an idle stream (§5.1)", [frame(FRAME.windowUpdate, 0, 1, uint32(1))]],
    ["a window beyond 2^31-1 (§6.9.1)", [frame(FRAME.windowUpdate, 0, 0, uint32(0x7fff_ffff))]],
    ["a frame that is longer than frames may be (§4.2)", [begun(), frame(FRAME.data, 0, 1, Buffer.alloc(16_385))]],
  ])("%s", async (_what, frames) => {
    using client = await RawHttp2.connect(rig.port);
    const before = whole;
    client.send(...frames);
    await until(() => client.closed);
    expect(client.goaway).not.toBe(0);
    expect(whole).toBe(before);
  });
});

describe("requests of HTTP/2 that are malformed reach no job (§8.1.1)", () => {
  const block = (...fields: readonly (readonly [string, string])[]) =>
    Buffer.concat(fields.map(([name, value]) => fieldBlock({ [name]: value })));
  const all = Object.entries(REQUEST);
  test.each<readonly [string, Buffer]>([
    ["a name in upper case", block(...all, ["X-Upper", "1"])],
    ["Connection", block(...all, ["connection", "close"])],
    ["Transfer-Encoding", block(...all, ["transfer-encoding", "chunked"])],
    ["Keep-Alive", block(...all, ["keep-alive", "1"])],
    ["Upgrade", block(...all, ["upgrade", "websocket"])],
    ["TE that is more than trailers", block(...all, ["te", "gzip"])],
    ["no :method", block(...all.filter(([name]) => name !== ":method"))],
    ["no :scheme", block(...all.filter(([name]) => name !== ":scheme"))],
    ["no :path", block(...all.filter(([name]) => name !== ":path"))],
    ["an empty :path", fieldBlock({ ...REQUEST, ":path": "" })],
    ["two :method", block(...all, [":method", "GET"])],
    ["two :path", block(...all, [":path", "/other"])],
    ["two :authority", block(...all, [":authority", "other.localhost"])],
    ["a pseudo field behind others", block(["x", "1"], ...all)],
    ["a pseudo field that is none", block(...all, [":x", "1"])],
    ["a pseudo field of answers", block(...all, [":status", "200"])],
    [":protocol without CONNECT", block(...all, [":protocol", "websocket"])],
    ["CONNECT with a path and no :protocol", fieldBlock({ ...REQUEST, ":method": "CONNECT" })],
    ["a Host that disagrees", block(...all, ["host", "other.localhost"])],
    ["no host at all", block(...all.filter(([name]) => name !== ":authority"))],
    ["a :path that is no path", fieldBlock({ ...REQUEST, ":path": "nb" })],
    ["a :path with a space", fieldBlock({ ...REQUEST, ":path": "/a b" })],
    ["a length that is none", block(...all, ["content-length", "x"])],
    ["two lengths", block(...all, ["content-length", "0"], ["content-length", "1"])],
    ["a length and no body", block(...all, ["content-length", "5"])],
    // §8.2.1: the whole request, not only the field
    ["an empty name", block(...all, ["", "odd"])],
    ["a line break in a value", block(...all, ["x-odd", "1\r\nhost: other"])],
    ["NUL in a value", block(...all, ["x-odd", "a\0b"])],
    ["a space in a name", block(...all, ["x odd", "1"])],
    ["a space before a value", block(...all, ["x-odd", " 1"])],
    ["a tab behind a value", block(...all, ["x-odd", "1\t"])],
    ["a method that is none", fieldBlock({ ...REQUEST, ":method": "G T" })],
    ["a line break in :method", fieldBlock({ ...REQUEST, ":method": "GET / HTTP/1.1\r\nx: y\r\n\r\nGET" })],
    ["a line break in :path", fieldBlock({ ...REQUEST, ":path": "/ HTTP/1.1\r\nx: y" })],
    ["NUL in :path", fieldBlock({ ...REQUEST, ":path": "/a\0b" })],
    ["a fragment in :path", fieldBlock({ ...REQUEST, ":path": "/a#b" })],
    ["a URL as :path", fieldBlock({ ...REQUEST, ":path": `http://${HOST}/` })],
    ["* for GET", fieldBlock({ ...REQUEST, ":path": "*" })],
    ["a line break in :authority", fieldBlock({ ...REQUEST, ":authority": `${HOST}\r\nx: y` })],
    ["a user in :authority", fieldBlock({ ...REQUEST, ":authority": `user@${HOST}` })],
    ["a path in :authority", fieldBlock({ ...REQUEST, ":authority": `${HOST}/a` })],
    ["an empty :authority", fieldBlock({ ...REQUEST, ":authority": "" })],
    ["a :scheme that is none", fieldBlock({ ...REQUEST, ":scheme": "http://other/" })],
    ["two Hosts", block(...all.filter(([name]) => name !== ":authority"), ["host", HOST], ["host", HOST])],
    ["a colon in a name", block(...all, ["x:odd", "1"])],
    ["a byte beyond ASCII in a name", block(...all, ["x-\xe4", "1"])],
    ["DEL in a value", block(...all, ["x-odd", "a\x7fb"])],
    ["Proxy-Connection", block(...all, ["proxy-connection", "close"])],
    ["a length with a sign", block(...all, ["content-length", "+0"])],
    ["a length that is a list", block(...all, ["content-length", "0, 0"])],
    [
      "extended CONNECT without a path",
      block([":method", "CONNECT"], [":protocol", "websocket"], [":scheme", "http"], [":authority", HOST]),
    ],
    [
      "extended CONNECT to another protocol",
      block(...Object.entries({ ...REQUEST, ":method": "CONNECT" }), [":protocol", "other"]),
    ],
    ["CONNECT without an authority", block([":method", "CONNECT"])],
  ])("%s", async (_what, malformed) => {
    using client = await RawHttp2.connect(rig.port);
    const before = whole;
    client.send(frame(FRAME.headers, WHOLE, 1, malformed));
    const answered = () => client.frames.find(({ type, stream }) => type === FRAME.headers && stream === 1);
    await until(() => client.closed || client.resetOf(1) !== null || answered() !== undefined);
    expect(whole).toBe(before);
  });

  test.each([
    ["more than its length", "abcdef"],
    ["less than its length", "abc"],
  ])("a body of %s", async (_what, body) => {
    using client = await RawHttp2.connect(rig.port);
    const before = whole;
    client.send(begun({ ...POST, "content-length": "5" }), frame(FRAME.data, FLAG.endStream, 1, Buffer.from(body)));
    await until(() => client.closed || client.resetOf(1) !== null);
    await until(() => rig.gatekeeper.open.length === 0);
    expect(whole).toBe(before);
  });
});

describe("HTTP/2 on streams that are closed", () => {
  const answered = (client: RawHttp2) =>
    client.frames.some(({ type, stream, flags }) => type === FRAME.data && stream === 1 && (flags & 1) === 1);

  test.each<readonly [string, Buffer]>([
    ["DATA", frame(FRAME.data, FLAG.endStream, 1, Buffer.from("late"))],
    ["HEADERS", frame(FRAME.headers, WHOLE, 1, fieldBlock(REQUEST))],
  ])("%s ends the connection (§5.1, h2spec http2/5.1)", async (_what, late) => {
    using client = await RawHttp2.connect(rig.port);
    client.send(client.request(1, HOST));
    await until(() => answered(client));
    const before = whole;
    client.send(late);
    await until(() => client.closed);
    expect([client.goaway, whole]).toEqual([STREAM_CLOSED, before]);
  });

  test("windows and resets that come late are of no consequence (§5.1)", async () => {
    using client = await RawHttp2.connect(rig.port);
    client.send(client.request(1, HOST));
    await until(() => answered(client));
    client.send(
      frame(FRAME.windowUpdate, 0, 1, uint32(1)),
      frame(FRAME.reset, 0, 1, uint32(8)),
      client.request(3, HOST),
    );
    await until(() => client.frames.some(({ type, stream }) => type === FRAME.data && stream === 3));
    expect(client.goaway).toBe(null);
  });

  test("DATA behind the end of a request breaks its stream off alone (§5.1)", async () => {
    using client = await RawHttp2.connect(rig.port);
    client.send(
      client.request(1, HOST, { ":path": "/hold" }),
      frame(FRAME.data, FLAG.endStream, 1, Buffer.from("more")),
    );
    await until(() => client.resetOf(1) !== null);
    expect([client.resetOf(1), client.goaway]).toEqual([STREAM_CLOSED, null]);
  });
});

test("a window beyond 2^31-1 breaks its stream off alone (§6.9.1)", async () => {
  using client = await RawHttp2.connect(rig.port);
  client.send(begun(), frame(FRAME.windowUpdate, 0, 1, uint32(0x7fff_ffff)));
  await until(() => client.resetOf(1) !== null);
  expect([client.resetOf(1), client.goaway]).toEqual([FLOW_CONTROL, null]);
});

test("an answer to a PING that was never sent is of no consequence (§6.7)", async () => {
  using client = await RawHttp2.connect(rig.port);
  client.send(frame(FRAME.ping, FLAG.ack, 0, Buffer.alloc(8)), client.request(1, HOST));
  await until(() => client.frames.some(({ type, stream }) => type === FRAME.data && stream === 1));
  expect(client.goaway).toBe(null);
});

test("frames of kinds and flags that nobody knows are read over (§5.5)", async () => {
  using client = await RawHttp2.connect(rig.port);
  client.send(frame(0xee, 0xff, 0, Buffer.from("whatever")), setting(0xee, 1), client.request(1, HOST));
  await until(() =>
    client.frames.some(({ type, stream, flags }) => type === FRAME.data && stream === 1 && (flags & 1) === 1),
  );
  expect(client.goaway).toBe(null);
});
