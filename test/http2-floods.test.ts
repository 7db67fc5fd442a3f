import { createHash } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import http2, { type ClientHttp2Session } from "node:http2";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect } from "vitest";
import { HTTP2_FLOODS } from "../src/dataplanes/envoy/testing/differences/suites.ts";
import { startHttpApp, type App } from "../src/dataplanes/testing/apps.ts";
import { ask } from "../src/dataplanes/testing/clients.ts";
import { CODE, fieldBlock, FLAG, frame, FRAME, RawHttp2, uint32 } from "../src/dataplanes/testing/http2-frames.ts";
import { heldBytes } from "../src/dataplanes/testing/memory.ts";
import { startRig, until, type Rig } from "../src/dataplanes/testing/rig.ts";
import { byHost } from "../src/dataplanes/testing/table-builder.ts";
import { PLANE } from "./support/gate.ts";
import { playOn, startPlane } from "./support/test-plane.ts";

const HOST = "nb.localhost";
const MIB = 1024 * 1024;
const REQUEST = { ":method": "GET", ":scheme": "http", ":path": "/", ":authority": HOST };
const ROUNDS = 50;
const LARGE = Buffer.alloc(64 * MIB);

let app: App;
let rig: Rig;
/** Somebody else, who is served all the while. */
let calm: ClientHttp2Session | undefined;
let requests = 0;
/** Large answers under way. */
let answering = 0;

beforeAll(async () => {
  app = await startHttpApp((req, res) => {
    requests += 1;
    if (req.url === "/large") {
      answering += 1;
      res.end(LARGE).once("close", () => (answering -= 1));
    } else if (req.url === "/hold") res.write("held");
    else {
      req.resume();
      req.once("end", () => res.end("served"));
    }
  });
  rig = await startRig(startPlane, {
    limits: { http2Streams: 100, http2Resets: 200, http2ControlFrames: 200, keepAlive: 1500 },
  });
  rig.table.service({ key: "local/nb/web", matches: [byHost(HOST)], endpoints: [app.address] });
  await rig.publish();
});

afterAll(async () => {
  calm?.destroy();
  await rig[Symbol.asyncDispose]();
  await app[Symbol.asyncDispose]();
});

/** One request of the other visitor, on the connection that it keeps; on a new one where that was just being closed as idle. */
async function serves(): Promise<void> {
  const answer = (await askCalmly()) ?? (await askCalmly());
  expect(answer).toBe("served");
}

/** null: refused, nobody looked at it. */
async function askCalmly(): Promise<string | null> {
  if (calm === undefined || calm.closed || calm.destroyed) {
    calm = http2.connect(`http://127.0.0.1:${String(rig.port)}`);
    calm.on("error", () => undefined);
  }
  const stream = calm.request({ ":path": "/", ":authority": HOST });
  stream.on("error", () => undefined);
  let text = "";
  stream.on("data", (part: Buffer) => (text += part.toString()));
  await until(() => stream.closed);
  return stream.rstCode === http2.constants.NGHTTP2_REFUSED_STREAM ? null : text;
}

/** RFC 6455 §4.2.2. */
const acceptKey = (key = ""): string =>
  createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");

/** Sends `round` after round, until the connection is ended or all were sent; another visitor is served in between. */
async function flood(client: RawHttp2, round: (at: number) => readonly Buffer[]): Promise<void> {
  await serves();
  for (let at = 0; at < ROUNDS && !client.closed; at += 1) {
    client.send(...round(at));
    if (at % 10 === 0) await serves();
    await sleep(2);
  }
  await sleep(50);
  await serves();
}

const test = playOn("http2-floods", HTTP2_FLOODS, {
  async calm(_start, _what: string, make: () => Buffer) {
    using client = await RawHttp2.connect(rig.port);
    const held = await rig.held();
    await flood(client, () => times(50, make));
    expect([client.closed, client.goaway]).toEqual([false, null]);
    expect((await rig.held()) - held).toBeLessThan(4 * MIB);
  },
  async streams() {
    using client = await RawHttp2.connect(rig.port);
    const before = requests;
    await flood(client, (round) => times(20, (at) => hold(client, (round * 20 + at) * 2 + 1)));
    expect(requests - before).toBeLessThanOrEqual(100 + 10);
    expect([client.closed, client.resetOf(2 * 150 + 1)]).toEqual([false, CODE.refused]);
    client.socket.destroy();
    await until(() => rig.gatekeeper.open.length === 0);
  },
  async halfHeads(start, _what: string, first: () => Buffer[]) {
    await using own = await startRig(start, { limits: { headerTime: 300, keepAlive: 400 } });
    using client = await RawHttp2.connect(own.port);
    client.send(...first());
    await until(() => client.closed);
  },
  async goodbye(start) {
    await using own = await startRig(start);
    let finish = (): void => undefined;
    await using slow = await startHttpApp((_req, res) => {
      res.write("begun");
      finish = () => res.end(" and whole");
    });
    own.table.service({ key: "local/nb/web", matches: [byHost(HOST)], endpoints: [slow.address] });
    await own.publish();
    using client = await RawHttp2.connect(own.port);
    client.send(client.request(1, HOST));
    await until(() => client.on(FRAME.data, 1).length > 0);
    const drained = own.plane.drain(Date.now() + 10_000);
    finish();
    await until(() => client.ended(1));
    await drained;
    expect(client.resetOf(1)).toBe(null);
    await until(() => client.closed);
  },
});

const hold = (client: RawHttp2, stream: number) => client.request(stream, HOST, { ":path": "/hold" });
const times = (count: number, make: (at: number) => Buffer): Buffer[] =>
  Array.from({ length: count }, (_, at) => make(at));

describe("floods of HTTP/2 end their own connection and nobody else's", () => {
  test("streams that are broken off as soon as they are opened (CVE-2023-44487)", async () => {
    using client = await RawHttp2.connect(rig.port);
    const before = requests;
    await flood(client, (round) =>
      times(100, (at) => {
        const stream = (round * 100 + at) * 2 + 1;
        return Buffer.concat([client.request(stream, HOST), frame(FRAME.reset, 0, stream, uint32(CODE.cancel))]);
      }),
    );
    await until(() => client.closed);
    expect(client.goaway).not.toBe(null);
    expect(client.goaway).not.toBe(CODE.none);
    expect(requests - before).toBeLessThan(500);
    await until(() => rig.gatekeeper.open.length === 0);
  });

  const post = (stream: number, more: Readonly<Record<string, string>> = {}) =>
    frame(FRAME.headers, FLAG.endHeaders, stream, fieldBlock({ ...REQUEST, ":method": "POST", ...more }));
  const trailers = (stream: number, fields: Readonly<Record<string, string>>, flags: number) =>
    frame(FRAME.headers, FLAG.endHeaders | flags, stream, fieldBlock(fields));

  test.each<readonly [string, (stream: number) => readonly Buffer[]]>([
    ["a window of nothing", (stream) => [post(stream), frame(FRAME.windowUpdate, 0, stream, uint32(0))]],
    ["a window beyond all", (stream) => [post(stream), frame(FRAME.windowUpdate, 0, stream, uint32(0x7fff_ffff))]],
    ["trailers that are no end", (stream) => [post(stream), trailers(stream, { "x-a": "1" }, 0)]],
    ["trailers with pseudo fields", (stream) => [post(stream), trailers(stream, { ":path": "/" }, FLAG.endStream)]],
    ["trailers that no field may be", (stream) => [post(stream), trailers(stream, { "X-A": "1" }, FLAG.endStream)]],
    [
      "a body beyond its length",
      (stream) => [post(stream, { "content-length": "1" }), frame(FRAME.data, 0, stream, Buffer.alloc(2))],
    ],
    [
      "an end before its length",
      (stream) => [post(stream, { "content-length": "1" }), frame(FRAME.data, FLAG.endStream, stream)],
    ],
    [
      "DATA behind the end",
      (stream) => [post(stream), frame(FRAME.data, FLAG.endStream, stream), frame(FRAME.data, 0, stream)],
    ],
  ])("streams that it makes the gate break off (CVE-2025-8671), by %s", async (_what, make) => {
    using client = await RawHttp2.connect(rig.port);
    const before = requests;
    await flood(client, (round) => times(100, (at) => Buffer.concat(make((round * 100 + at) * 2 + 1))));
    await until(() => client.closed);
    expect(client.goaway).not.toBe(CODE.none);
    expect(requests - before).toBeLessThan(500);
    await until(() => rig.gatekeeper.open.length === 0);
  });

  test.each([
    ["PING", () => frame(FRAME.ping, 0, 0, Buffer.alloc(8))],
    ["SETTINGS", () => frame(FRAME.settings, 0, 0)],
    ["SETTINGS that say something", () => frame(FRAME.settings, 0, 0, Buffer.from([0, 4, 0, 0, 255, 255]))],
  ])("%s, also where the answers are read", async (_what, make) => {
    using client = await RawHttp2.connect(rig.port);
    await flood(client, () => times(50, make));
    await until(() => client.closed);
    expect(client.goaway).toBe(CODE.calm);
  });

  test("PING whose answers nobody reads", async () => {
    using client = await RawHttp2.connect(rig.port);
    client.socket.pause();
    const held = await rig.held();
    await flood(client, () => times(1000, () => frame(FRAME.ping, 0, 0, Buffer.alloc(8))));
    client.socket.resume();
    await until(() => client.closed);
    expect((await rig.held()) - held).toBeLessThan(4 * MIB);
  });

  test("SETTINGS with more in one frame than there is to say", async () => {
    using client = await RawHttp2.connect(rig.port);
    const one = Buffer.from([0, 4, 0, 0, 255, 255]);
    client.send(frame(FRAME.settings, 0, 0, Buffer.concat(times(100, () => one))));
    await until(() => client.closed);
    expect(client.goaway).not.toBe(CODE.none);
    await serves();
  });

  test("CONTINUATION without an end (CVE-2024-27316)", async () => {
    using client = await RawHttp2.connect(rig.port);
    const held = await rig.held();
    client.send(frame(FRAME.headers, FLAG.endStream, 1, fieldBlock(REQUEST)));
    await flood(client, (round) =>
      times(20, (at) =>
        frame(FRAME.continuation, 0, 1, fieldBlock({ [`x-${String(round)}-${String(at)}`]: "y".repeat(1000) })),
      ),
    );
    await until(() => client.closed);
    expect(client.goaway).not.toBe(CODE.none);
    expect((await rig.held()) - held).toBeLessThan(4 * MIB);
  });

  test("empty CONTINUATION", async () => {
    using client = await RawHttp2.connect(rig.port);
    client.send(frame(FRAME.headers, FLAG.endStream, 1, fieldBlock(REQUEST)));
    await flood(client, () => times(20, () => frame(FRAME.continuation, 0, 1)));
    await until(() => client.closed);
  });

  test("empty DATA frames (CVE-2019-9518)", async () => {
    using client = await RawHttp2.connect(rig.port);
    const head = fieldBlock({ ...REQUEST, ":method": "POST" });
    client.send(frame(FRAME.headers, FLAG.endHeaders, 1, head));
    await flood(client, () => times(100, () => frame(FRAME.data, 0, 1)));
    await until(() => client.closed);
    await until(() => rig.gatekeeper.open.length === 0);
  });

  test("a head that is larger than heads may be, also by reference (a bomb of HPACK)", async () => {
    using client = await RawHttp2.connect(rig.port);
    const large = fieldBlock({ "x-large": "y".repeat(4000) });
    large[0] = 0x40; // with indexing: what follows refers to it
    const reference = Buffer.alloc(12_000, 0x80 | 62);

    client.send(frame(FRAME.headers, FLAG.endStream | FLAG.endHeaders, 1, Buffer.concat([fieldBlock(REQUEST), large])));
    const held = await rig.held();
    const before = requests;
    for (let stream = 3; stream < 203; stream += 2) {
      client.send(
        frame(FRAME.headers, FLAG.endStream | FLAG.endHeaders, stream, Buffer.concat([fieldBlock(REQUEST), reference])),
      );
    }
    await until(() => client.closed || client.resetOf(201) !== null);

    expect(requests - before).toBeLessThanOrEqual(1);
    expect((await rig.held()) - held).toBeLessThan(8 * MIB);
    await serves();
  });

  test("more streams than there may be", async () => {
    using client = await RawHttp2.connect(rig.port);
    const before = requests;
    await flood(client, (round) => times(20, (at) => hold(client, (round * 20 + at) * 2 + 1)));
    await until(() => client.closed);
    expect(requests - before).toBeLessThanOrEqual(100 + 10);
    await until(() => rig.gatekeeper.open.length === 0);
  });
});

describe("visitors of HTTP/2 that are slow on purpose hold little", () => {
  test("large answers that nobody reads", async () => {
    const window = Buffer.concat([Buffer.from([0, 4]), uint32(0x7fff_ffff)]);
    await using own = await startRig(startPlane);
    own.table.service({ key: "local/nb/web", matches: [byHost(HOST)], endpoints: [app.address] });
    await own.publish();
    using client = await RawHttp2.connect(own.port, window);
    client.send(frame(FRAME.windowUpdate, 0, 0, uint32(0x7fff_0000)));
    const held = await own.held();
    client.socket.pause();
    client.send(...times(100, (at) => client.request(at * 2 + 1, HOST, { ":path": "/large" })));
    await until(() => answering === 100);
    await sleep(1500);
    expect((await own.held()) - held).toBeLessThan(PLANE === "envoy" ? 128 * MIB : 64 * MIB); // a hundred windows, here and there
    expect((await ask(own.port, HOST)).body).toBe("served");
    client.socket.destroy();
    await until(() => answering === 0);
  });

  test("answers to a window of nothing", async () => {
    using client = await RawHttp2.connect(rig.port, Buffer.concat([Buffer.from([0, 4]), uint32(0)]));
    client.send(...times(100, (at) => client.request(at * 2 + 1, HOST)));
    await until(() => client.count(FRAME.headers) === 100);
    expect(client.count(FRAME.data)).toBe(0);
    await serves();
    client.socket.destroy();
    await until(() => rig.gatekeeper.open.length === 0);
  });

  test("bodies that no job reads are taken in up to the windows", async () => {
    await using deaf = await startHttpApp((req) => req.pause());
    const key = "local/deaf/web";
    rig.table.service({ key, matches: [byHost("deaf.localhost")], endpoints: [deaf.address] });
    await rig.publish();
    const client = http2.connect(`http://127.0.0.1:${String(rig.port)}`);
    client.on("error", () => undefined);
    const held = await rig.held();
    const chunk = Buffer.alloc(MIB);
    for (let at = 0; at < 20; at += 1) {
      const stream = client.request({ ":method": "POST", ":path": "/", ":authority": "deaf.localhost" });
      stream.on("error", () => undefined);
      for (let piece = 0; piece < 4; piece += 1) stream.write(chunk);
    }
    await until(() => rig.gatekeeper.open.length === 20);
    await sleep(1000);
    expect((await rig.held()) - held).toBeLessThan(40 * MIB);
    await serves();
    client.destroy();
    await until(() => rig.gatekeeper.open.length === 0);
    rig.table.remove(key);
    await rig.publish();
  });

  test("tunnels that are filled byte by byte while their job does not read", async () => {
    await using deaf = await startHttpApp(() => undefined);
    deaf.server.on("upgrade", (req: IncomingMessage, socket: Duplex) => {
      socket.on("error", () => undefined).pause();
      socket.write(
        `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
          `Sec-WebSocket-Accept: ${acceptKey(req.headers["sec-websocket-key"])}\r\n\r\n`,
      );
    });
    const key = "local/deaf/web";
    rig.table.service({ key, matches: [byHost("deaf.localhost")], endpoints: [deaf.address] });
    await rig.publish();
    using client = await RawHttp2.connect(rig.port);
    const ask = { ":method": "CONNECT", ":protocol": "websocket", ":scheme": "http", ":path": "/" };
    client.send(frame(FRAME.headers, FLAG.endHeaders, 1, fieldBlock({ ...ask, ":authority": "deaf.localhost" })));
    await until(() => client.on(FRAME.headers, 1).length === 1);
    // Until the systems between take no more.
    let took = -1;
    while (took !== client.count(FRAME.windowUpdate)) {
      took = client.count(FRAME.windowUpdate);
      client.send(...times(33, () => frame(FRAME.data, 0, 1, Buffer.alloc(16_000))));
      await sleep(100);
    }
    const heap = () => (PLANE === "envoy" ? rig.held() : process.memoryUsage().heapUsed);
    const before = await heap();
    client.send(Buffer.concat(times(400_000, () => frame(FRAME.data, 0, 1, Buffer.alloc(1)))));
    client.send(frame(FRAME.ping, 0, 0, Buffer.alloc(8)));
    await until(() => client.count(FRAME.ping) === 1 || client.closed);
    heldBytes(); // collects garbage
    expect((await heap()) - before).toBeLessThan(16 * MIB);
    client.socket.destroy();
    rig.table.remove(key);
    await rig.publish();
  });

  test("answers that nobody takes end after the idle time", async () => {
    await using own = await startRig(startPlane, { limits: { idleTime: 300, keepAlive: 400 } });
    own.table.service({ key: "local/nb/web", matches: [byHost(HOST)], endpoints: [app.address] });
    await own.publish();
    using client = await RawHttp2.connect(own.port, Buffer.concat([Buffer.from([0, 4]), uint32(0)]));
    client.send(client.request(1, HOST));
    await until(() => client.on(FRAME.headers, 1).length === 1);
    await until(() => client.resetOf(1) !== null);
    await until(() => client.closed);
  });

  test("uploads that are broken off with their connection leave nothing behind", async () => {
    await using own = await startRig(startPlane);
    own.table.service({ key: "local/nb/web", matches: [byHost(HOST)], endpoints: [app.address] });
    await own.publish();
    own.gatekeeper.checking = () => ({ kind: "ask" });
    own.gatekeeper.admitting = () => new Promise(() => undefined); // so that what comes has to wait
    const head = fieldBlock({ ...REQUEST, ":method": "POST" });
    const upload = async () => {
      using client = await RawHttp2.connect(own.port);
      for (let stream = 1; stream < 12; stream += 2) {
        client.send(frame(FRAME.headers, FLAG.endHeaders, stream, head));
        client.send(...times(60, () => frame(FRAME.data, 0, stream, Buffer.alloc(16_000))));
      }
      client.send(frame(FRAME.ping, 0, 0, Buffer.alloc(8)));
      await until(() => client.count(FRAME.ping) === 1);
    };
    for (let at = 0; at < 10; at += 1) await upload();
    await sleep(50);
    const held = await own.held();
    for (let at = 0; at < 30; at += 1) await upload();
    await sleep(50);
    expect((await own.held()) - held).toBeLessThan(MIB);
  });

  test.each([
    ["nothing but a preface", () => []],
    ["a head that never ends", () => [frame(FRAME.headers, FLAG.endStream, 1, fieldBlock(REQUEST))]],
    ["half a frame", () => [frame(FRAME.headers, FLAG.endStream, 1, fieldBlock(REQUEST)).subarray(0, 20)]],
  ])("%s ends after the idle time, though pings come", async (what, first) => {
    using client = await RawHttp2.connect(rig.port);
    client.send(...first());
    const pinging = setInterval(() => {
      if (what.startsWith("nothing")) client.send(frame(FRAME.ping, 0, 0, Buffer.alloc(8)));
    }, 200);
    await until(() => client.closed);
    clearInterval(pinging);
  });
});

test("keeps a connection whose pings go with what it asks for", async () => {
  using client = await RawHttp2.connect(rig.port);
  for (let at = 0; at < 400; at += 1) {
    client.send(
      frame(FRAME.ping, 0, 0, Buffer.alloc(8)),
      client.request(at * 2 + 1, HOST, { "x-fill": "f".repeat(300) }),
    );
    if (at % 40 === 39) await until(() => client.count(FRAME.headers) === at + 1);
  }
  await until(() => client.count(FRAME.headers) === 400);
  expect(client.goaway).toBe(null);
});

test("says goodbye on drain, lets what runs finish, and refuses what comes after", async () => {
  await using own = await startRig(startPlane);
  let finish = (): void => undefined;
  await using slow = await startHttpApp((_req, res) => {
    res.write("begun");
    finish = () => res.end(" and whole");
  });
  own.table.service({ key: "local/nb/web", matches: [byHost(HOST)], endpoints: [slow.address] });
  await own.publish();
  const client = http2.connect(`http://127.0.0.1:${String(own.port)}`);
  const stream = client.request({ ":path": "/", ":authority": HOST });
  let text = "";
  stream.on("data", (part: Buffer) => (text += part.toString()));
  await until(() => text === "begun");
  const goodbye = once(client, "goaway") as Promise<[number]>;
  const drained = own.plane.drain(Date.now() + 10_000);
  expect((await goodbye)[0]).toBe(http2.constants.NGHTTP2_NO_ERROR);
  finish();
  await once(stream, "close");
  expect([text, stream.rstCode]).toEqual(["begun and whole", http2.constants.NGHTTP2_NO_ERROR]);
  await drained;
  client.destroy();
});

test("drain breaks off nothing that runs, though requests with bodies were on their way", async () => {
  await using own = await startRig(startPlane);
  let finish = (): void => undefined;
  let asked = 0;
  await using slow = await startHttpApp((_req, res) => {
    asked += 1;
    res.write("begun");
    finish = () => res.end(" and whole");
  });
  own.table.service({ key: "local/nb/web", matches: [byHost(HOST)], endpoints: [slow.address] });
  await own.publish();
  using client = await RawHttp2.connect(own.port);
  client.send(client.request(1, HOST));
  await until(() => client.on(FRAME.data, 1).length > 0);
  const drained = own.plane.drain(Date.now() + 10_000);
  await until(() => client.goaway !== null);
  client.send(
    frame(FRAME.headers, FLAG.endHeaders, 3, fieldBlock({ ...REQUEST, ":method": "POST" })),
    frame(FRAME.data, 0, 3, Buffer.from("body")),
    frame(FRAME.windowUpdate, 0, 3, uint32(1)),
    frame(FRAME.reset, 0, 3, uint32(CODE.cancel)),
    frame(FRAME.ping, 0, 0, Buffer.alloc(8)),
  );
  await until(() => client.count(FRAME.ping) === 1);
  finish();
  await until(() => client.ended(1));
  expect([client.goaway, asked]).toEqual([CODE.none, 1]);
  await drained;
});
