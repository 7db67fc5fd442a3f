import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect } from "vitest";
import { HpackDecoder } from "../src/dataplanes/embedded/http2/hpack/decoder.ts";
import { HTTP2_JOBS } from "../src/dataplanes/envoy/testing/differences/suites.ts";
import { startTcpApp } from "../src/dataplanes/testing/apps.ts";
import { CODE, fieldBlock, FLAG, frame, FRAME, RawHttp2, uint32 } from "../src/dataplanes/testing/http2-frames.ts";
import { startRig, until, type Rig } from "../src/dataplanes/testing/rig.ts";
import { byHost } from "../src/dataplanes/testing/table-builder.ts";
import { playOn, startPlane } from "./support/test-plane.ts";

/** Jobs of HTTP/2 that do to the gate whatever they like: it harms nobody but their own visitors, and those get no false answer. */

const HOST = "calls.localhost";
const MIB = 1024 * 1024;
const PUSH_PROMISE = 5;
const WHOLE = FLAG.endStream | FLAG.endHeaders;
const setting = (id: number, value: number) => Buffer.concat([Buffer.from([0, id]), uint32(value)]);
const head = (stream: number, fields: Readonly<Record<string, string>>, flags = 0) =>
  frame(FRAME.headers, FLAG.endHeaders | flags, stream, fieldBlock(fields));
const OK = { ":status": "200" };

type Answer = (stream: number) => readonly Buffer[];

const test = playOn("http2-hostile-jobs", HTTP2_JOBS, {
  async silent(_start, _what: string, answer: Answer) {
    await using job = await startJob((session, stream) => session.send(...answer(stream)), undefined, 300);
    using client = await RawHttp2.connect(rig.port);
    client.send(client.request(1, HOST));
    await until(() => isOver(client, 1));
    expect([statusOf(client, 1), client.on(FRAME.headers, 1).length <= 3, client.goaway]).toEqual(["504", true, null]);
    expect(job.asked()).toBe(1);
  },
  async noStreams() {
    await using job = await startJob(() => undefined, setting(3, 0), 300);
    using client = await RawHttp2.connect(rig.port);
    client.send(client.request(1, HOST));
    await until(() => isOver(client, 1));
    expect([statusOf(client, 1), job.asked() <= 1]).toEqual(["504", true]); // Envoy asks before it hears how many there may be
  },
  async floods(_start, _what: string, make: (stream: number) => Buffer) {
    await using job = await startJob((session, stream) => session.send(head(stream, OK, FLAG.endStream)));
    using client = await RawHttp2.connect(rig.port);
    client.send(client.request(1, HOST));
    await until(() => client.ended(1));
    const [session] = job.sessions;
    if (session === undefined) throw new Error("there is no session");
    const held = await rig.held();
    const many = Buffer.concat(Array.from({ length: 1000 }, () => make(1)));
    for (let round = 0; round < 100 && !session.closed; round += 1) {
      session.send(many);
      await sleep(2);
    }
    client.send(client.request(3, HOST));
    await until(() => isOver(client, 3));
    expect([statusOf(client, 3), client.goaway]).toEqual(["200", null]);
    expect((await rig.held()) - held).toBeLessThan(4 * MIB);
  },
});

let rig: Rig;
beforeAll(async () => {
  rig = await startRig(startPlane, { limits: { connectTime: 500, upstreamSessions: 2, tries: 2 } });
});
afterAll(() => rig[Symbol.asyncDispose]());

interface Job extends AsyncDisposable {
  /** Its sessions, in order. */
  readonly sessions: readonly RawHttp2[];
  /** Requests that came whole or in part. */
  asked(): number;
}

/** A job at HOST; `answer` is called with each request's stream. `idleTimeoutMs`: of its service. */
async function startJob(
  answer: (job: RawHttp2, stream: number) => void,
  settings?: Buffer,
  idleTimeoutMs?: number,
): Promise<Job> {
  const sessions: RawHttp2[] = [];
  const seen = new Map<RawHttp2, Set<number>>();
  const app = await startTcpApp((socket) => {
    const job = RawHttp2.accept(socket, settings);
    const streams = new Set<number>();
    sessions.push(job);
    seen.set(job, streams);
    socket.on("data", () => {
      for (const { type, stream } of job.frames) {
        if (type !== FRAME.headers || streams.has(stream)) continue;
        streams.add(stream);
        answer(job, stream);
      }
    });
  });
  const service = { key: "local/c/api", protocol: "grpc", matches: [byHost(HOST)], endpoints: [app.address] } as const;
  rig.table.service({ ...service, ...(idleTimeoutMs !== undefined && { policy: { idleTimeoutMs } }) });
  await rig.publish();
  return {
    sessions,
    asked: () => [...seen.values()].reduce((sum, streams) => sum + streams.size, 0),
    [Symbol.asyncDispose]: () => app[Symbol.asyncDispose](),
  };
}

/** `:status` of a stream's answer, of the last of several; null: none came. */
function statusOf(client: RawHttp2, stream: number): string | null {
  const decoder = new HpackDecoder({ tableBytes: 4096, listBytes: MIB, listFields: 1000 });
  const heads = client.frames.filter(({ type }) => type === FRAME.headers);
  const blocks = heads.map((one) => [one.stream, decoder.decode(one.payload, 0, one.payload.length).fields] as const);
  const ours = blocks.filter(([of, fields]) => of === stream && fields[0] === ":status");
  return ours.at(-1)?.[1][1] ?? null;
}

const isOver = (client: RawHttp2, stream: number) =>
  client.ended(stream) || client.resetOf(stream) !== null || client.closed;

describe("answers that are none become an error or a visible break, and never a whole answer", () => {
  test.each<readonly [string, (stream: number) => readonly Buffer[]]>([
    ["DATA before a head", (stream) => [frame(FRAME.data, FLAG.endStream, stream, Buffer.from("x"))]],
    ["an early word that ends it", (stream) => [head(stream, { ":status": "103" }, FLAG.endStream)]],
    ["no status", (stream) => [head(stream, { "x-a": "1" }, FLAG.endStream)]],
    ["a status that is none", (stream) => [head(stream, { ":status": "20" }, FLAG.endStream)]],
    ["101", (stream) => [head(stream, { ":status": "101" }, FLAG.endStream)]],
    [
      "two statuses",
      (stream) => [frame(FRAME.headers, WHOLE, stream, Buffer.concat([fieldBlock(OK), fieldBlock(OK)]))],
    ],
    ["a pseudo field of requests", (stream) => [head(stream, { ...OK, ":path": "/" }, FLAG.endStream)]],
    ["Connection", (stream) => [head(stream, { ...OK, connection: "close" }, FLAG.endStream)]],
    ["Transfer-Encoding", (stream) => [head(stream, { ...OK, "transfer-encoding": "chunked" }, FLAG.endStream)]],
    ["a name in upper case", (stream) => [head(stream, { ...OK, "X-A": "1" }, FLAG.endStream)]],
    ["a line break in a value", (stream) => [head(stream, { ...OK, "x-a": "1\r\nset-cookie: a=b" }, FLAG.endStream)]],
    ["a length and no body", (stream) => [head(stream, { ...OK, "content-length": "5" }, FLAG.endStream)]],
    [
      "two lengths",
      (stream) => [
        frame(
          FRAME.headers,
          WHOLE,
          stream,
          Buffer.concat([fieldBlock({ ...OK, "content-length": "0" }), fieldBlock({ "content-length": "0" })]),
        ),
      ],
    ],
    ["a reset", (stream) => [frame(FRAME.reset, 0, stream, uint32(2))]],
    [
      "early words without an end",
      (stream) => Array.from({ length: 100 }, () => head(stream, { ":status": "103", link: "</a>" })),
    ],
    [
      "PUSH_PROMISE",
      (stream) => [frame(PUSH_PROMISE, FLAG.endHeaders, stream, Buffer.concat([uint32(2), fieldBlock(OK)]))],
    ],
    ["an answer to nothing", () => [head(2, OK, FLAG.endStream)]],
    ["an answer to what was not asked yet", () => [head(101, OK, FLAG.endStream)]],
    [
      "a head beyond all bounds",
      (stream) => [
        frame(FRAME.headers, 0, stream, fieldBlock(OK)),
        ...Array.from({ length: 100 }, () =>
          frame(FRAME.continuation, 0, stream, fieldBlock({ "x-a": "y".repeat(16_000) })),
        ),
      ],
    ],
    [
      "a bomb of HPACK",
      (stream) => {
        const large = fieldBlock({ "x-large": "y".repeat(4000) });
        large[0] = 0x40;
        return [
          frame(FRAME.headers, WHOLE, stream, Buffer.concat([fieldBlock(OK), large, Buffer.alloc(12_000, 0x80 | 62)])),
        ];
      },
    ],
    ["a window beyond 2^31-1", () => [frame(FRAME.windowUpdate, 0, 0, uint32(0x7fff_ffff))]],
    ["SETTINGS that are none", () => [frame(FRAME.settings, 0, 0, setting(4, 0x8000_0000))]],
    ["a goodbye that looked at nothing", () => [frame(FRAME.goaway, 0, 0, Buffer.concat([uint32(0), uint32(0)]))]],
    [
      "a goodbye to an odd stream",
      () => [frame(FRAME.goaway, 0, 0, Buffer.concat([uint32(0xffff_fffe), uint32(0)])), frame(FRAME.data, 0, 0)],
    ],
    ["an end", () => []],
  ])("%s", async (what, answer) => {
    await using job = await startJob((session, stream) => {
      session.send(...answer(stream));
      if (what === "an end") session.socket.destroy();
    });
    using client = await RawHttp2.connect(rig.port);
    client.send(client.request(1, HOST));
    await until(() => isOver(client, 1));
    const words = client.on(FRAME.headers, 1).length;
    expect(words).toBeLessThanOrEqual(40);
    if (client.ended(1)) expect(["502", "503"]).toContain(statusOf(client, 1));
    expect(client.goaway).toBe(null);
    expect(job.asked()).toBeLessThanOrEqual(2);
    await until(() => rig.gatekeeper.open.length === 0);
  });

  test.each<readonly [string, (stream: number) => readonly Buffer[]]>([
    ["trailers with pseudo fields", (stream) => [head(stream, { ":status": "200" }, FLAG.endStream)]],
    ["trailers that are no end", (stream) => [head(stream, { "grpc-status": "0" })]],
    ["more than its length", (stream) => [frame(FRAME.data, FLAG.endStream, stream, Buffer.alloc(9))]],
    ["less than its length", (stream) => [frame(FRAME.data, FLAG.endStream, stream, Buffer.alloc(1))]],
    ["trailers before its length", (stream) => [head(stream, { "grpc-status": "0" }, FLAG.endStream)]],
    ["a reset", (stream) => [frame(FRAME.reset, 0, stream, uint32(0))]],
    [
      "a frame that is longer than its window",
      (stream) => Array.from({ length: 300 }, () => frame(FRAME.data, 0, stream, Buffer.alloc(16_384))),
    ],
  ])("%s, once it has begun", async (_what, rest) => {
    await using job = await startJob((session, stream) =>
      session.send(head(stream, { ...OK, "content-length": "5" }), ...rest(stream)),
    );
    using client = await RawHttp2.connect(rig.port);
    client.send(client.request(1, HOST));
    await until(() => isOver(client, 1));
    expect([client.ended(1), client.goaway, job.asked()]).toEqual([false, null, 1]);
    expect(client.resetOf(1)).not.toBe(null);
  });
});

test("sends nothing a second time that a job may have looked at", async () => {
  await using job = await startJob((session) => {
    session.send(frame(FRAME.goaway, 0, 0, Buffer.concat([uint32(1), uint32(2)])));
    session.socket.end();
  });
  using client = await RawHttp2.connect(rig.port);
  const post = { ":method": "POST", ":scheme": "http", ":path": "/", ":authority": HOST };
  client.send(frame(FRAME.headers, WHOLE, 1, fieldBlock(post)));
  await until(() => isOver(client, 1));
  expect(job.asked()).toBe(1);
});

test("a job that takes no streams is waited for, and no longer than connectTime", async () => {
  await using job = await startJob(() => undefined, setting(3, 0));
  using client = await RawHttp2.connect(rig.port);
  client.send(client.request(1, HOST), client.request(3, HOST));
  await until(() => isOver(client, 1) && isOver(client, 3));
  expect([statusOf(client, 1), job.asked(), job.sessions.length]).toEqual(["504", 0, 2]);
});

test("visitors who take nothing of their answers hold up nobody else's", async () => {
  const chunk = frame(FRAME.data, 0, 1, Buffer.alloc(16_000));
  await using job = await startJob((session, stream) => {
    session.send(head(stream, OK));
    const data = Buffer.from(chunk);
    data.writeUInt32BE(stream, 5);
    const large = session.on(FRAME.headers, stream)[0]?.payload.includes("/large") === true;
    // As far as the windows of one stream go.
    if (large) session.send(...Array.from({ length: Math.floor(windowOf(session) / 16_000) }, () => data));
    else session.send(frame(FRAME.data, FLAG.endStream, stream, Buffer.from("served")));
  });
  using deaf = await RawHttp2.connect(rig.port, setting(4, 0));
  for (let stream = 1; stream <= 39; stream += 2) {
    deaf.send(deaf.request(stream, HOST, { ":path": "/large" }));
    await until(() => deaf.on(FRAME.headers, stream).length > 0 || deaf.closed);
  }
  using other = await RawHttp2.connect(rig.port);
  other.send(other.request(1, HOST));
  await until(() => isOver(other, 1));
  expect([other.ended(1), other.resetOf(1), job.sessions.length]).toEqual([true, null, 1]);
  expect(deaf.closed).toBe(false);
  deaf.socket.destroy();
  await until(() => rig.gatekeeper.open.length === 0);
});

/** What the gate said it takes of each stream. */
function windowOf(job: RawHttp2): number {
  const payload = job.frames.find(({ type }) => type === FRAME.settings)?.payload ?? Buffer.alloc(0);
  for (let at = 0; at + 6 <= payload.length; at += 6)
    if (payload.readUInt16BE(at) === 4) return payload.readUInt32BE(at + 2);
  return 65_535;
}

test.each<readonly [string, (stream: number) => Buffer]>([
  ["PING", () => frame(FRAME.ping, 0, 0, Buffer.alloc(8))],
  ["SETTINGS", () => frame(FRAME.settings, 0, 0)],
  ["DATA for what is over", () => frame(FRAME.data, 0, 1)],
  ["heads for what is over", () => head(1, OK)],
  ["frames of kinds that nobody knows", () => frame(0xee, 0, 0)],
])("a flood of %s from a job ends its session", async (_what, make) => {
  await using job = await startJob((session, stream) => session.send(head(stream, OK, FLAG.endStream)));
  using client = await RawHttp2.connect(rig.port);
  client.send(client.request(1, HOST));
  await until(() => client.ended(1));
  const [session] = job.sessions;
  if (session === undefined) throw new Error("there is no session");
  const many = Buffer.concat(Array.from({ length: 1000 }, () => make(1)));
  for (let round = 0; round < 100 && session.goaway === null; round += 1) {
    session.send(many);
    await sleep(2);
  }
  await until(() => session.goaway !== null);
  expect(session.goaway).toBe(CODE.calm);
});

test("a job that asks and reads no answers holds little, whatever else it sends", async () => {
  await using job = await startJob((session, stream) => {
    session.send(head(stream, OK));
    session.socket.pause();
  });
  using client = await RawHttp2.connect(rig.port, setting(4, 0x7fff_ffff));
  client.send(frame(FRAME.windowUpdate, 0, 0, uint32(0x7fff_0000)), client.request(1, HOST));
  await until(() => client.on(FRAME.headers, 1).length > 0);
  const [session] = job.sessions;
  if (session === undefined) throw new Error("there is no session");
  const held = await rig.held();
  // Each PING is paid for by the DATA that comes with it.
  const round = Buffer.concat(
    Array.from({ length: 1000 }, () => [
      frame(FRAME.data, 0, 1, Buffer.alloc(100)),
      frame(FRAME.ping, 0, 0, Buffer.alloc(8)),
    ]).flat(),
  );
  for (let sent = 0; sent < 1500 && !session.closed; sent += 1) {
    session.send(round);
    await until(() => session.closed || session.socket.writableLength < MIB);
    client.frames.length = 0;
  }
  await sleep(100);
  expect((await rig.held()) - held).toBeLessThan(16 * MIB);
  client.socket.destroy();
  await until(() => rig.gatekeeper.open.length === 0);
}, 60_000);
