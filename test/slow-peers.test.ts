import { once } from "node:events";
import http from "node:http";
import http2 from "node:http2";
import type { AddressInfo } from "node:net";
import type { Readable, Writable } from "node:stream";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startHttpApp } from "../src/dataplanes/testing/apps.ts";
import { byHost } from "../src/dataplanes/testing/table-builder.ts";
import { startPlaneProcess, type PlaneProcess } from "./support/plane-process.ts";
import { until } from "./support/gate.ts";

/** One side is slow, the other fast, and much is to be moved: what lies between them is bounded, and every byte arrives. */

const MiB = 1024 * 1024;
const PEERS = 8;
const EACH = 16 * MiB;
const PIECE = Buffer.alloc(64 * 1024, "a");
/** Held in the plane for all peers while the slow side reads nothing. */
const BUFFERS_MAX = PEERS * 2 * MiB;
/** More than before, at any moment: a fraction of what is moved. */
const RSS_MAX = 96 * MiB;

let plane: PlaneProcess;
const moved = { written: 0, read: 0 };
/** Whether the job reads or lets it lie. */
let reading = Promise.withResolvers<undefined>();

/** What speaks HTTP/2 itself: a gRPC service. */
const calls = http2.createServer({ settings: { initialWindowSize: 1024 * 1024 } }).on("stream", (stream, headers) => {
  stream.on("error", () => undefined);
  stream.respond({ ":status": 200 });
  if (headers[":method"] === "GET") {
    stream.resume(); // node resets a stream whose request nobody read, and an end that has to wait for room with it
    void pour(stream);
  } else void reading.promise.then(() => sip(stream)).then(() => stream.end("ok"));
});

const app = await startHttpApp((req, res) => {
  if (req.method === "GET") {
    void pour(res);
    return;
  }
  void reading.promise.then(() => sip(req)).then(() => res.end("ok"));
});

beforeAll(async () => {
  plane = await startPlaneProcess();
  await plane.service({ key: "local/a/web", matches: [byHost("a.localhost")], endpoints: [app.address] });
  calls.listen(0, "127.0.0.1");
  await once(calls, "listening");
  const { port } = calls.address() as AddressInfo;
  const endpoints = [{ ip: "127.0.0.1", port }];
  await plane.service({ key: "local/b/api", protocol: "grpc", matches: [byHost("b.localhost")], endpoints });
});
afterAll(async () => {
  await plane[Symbol.asyncDispose]();
  await app[Symbol.asyncDispose]();
  calls.close();
});

/** Writes it all, as fast as it is taken. */
async function pour(out: Writable): Promise<void> {
  out.on("error", () => undefined);
  for (let sent = 0; sent < EACH; sent += PIECE.length) {
    if (!out.write(PIECE)) await once(out, "drain");
    moved.written += PIECE.length;
  }
  out.end();
}

/** Reads it all, a piece at a time. */
async function sip(from: Readable): Promise<void> {
  for await (const piece of from as AsyncIterable<Buffer>) {
    moved.read += piece.length;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

interface Moving {
  /** Begins all transfers; the slow side reads nothing yet. */
  readonly begin: () => void;
  /** Lets the slow side read; resolves when all is moved. */
  readonly finish: () => Promise<unknown>;
}

async function expectFlat({ begin, finish }: Moving): Promise<void> {
  moved.written = 0;
  moved.read = 0;
  reading = Promise.withResolvers<undefined>();
  const before = await plane.held();
  begin();
  await stalled();
  const { buffers } = await plane.held();
  expect(moved.written).toBeLessThan(PEERS * EACH);
  expect(buffers - before.buffers).toBeLessThan(BUFFERS_MAX);
  let most = 0;
  const finished = finish();
  await until(async () => {
    most = Math.max(most, await plane.rss());
    return moved.read >= PEERS * EACH;
  }, "all of it to arrive");
  await finished;
  expect(moved).toEqual({ written: PEERS * EACH, read: PEERS * EACH });
  expect(most - before.rss).toBeLessThan(RSS_MAX);
  await until(async () => (await plane.held()).flows === 0, "all flows to end");
  const after = await plane.held();
  expect(after.buffers - before.buffers).toBeLessThan(4 * MiB);
}

/** The fast side stands still: all room between the two is full. */
async function stalled(): Promise<void> {
  let last = -1;
  let same = 0;
  await until(() => {
    same = moved.written === last && last > 0 ? same + 1 : 0;
    last = moved.written;
    return same >= 6;
  }, "the fast side to stand still");
}

const each = <T>(make: (at: number) => T) => Array.from({ length: PEERS }, (_, at) => make(at));
const ask = (method: string) =>
  http.request({ port: plane.port, host: "127.0.0.1", method, headers: { host: "a.localhost" }, agent: false });

async function answerTo(request: http.ClientRequest): Promise<http.IncomingMessage> {
  const [response] = (await once(request, "response")) as [http.IncomingMessage];
  return response;
}

test("a slow HTTP/1.1 client of a fast job: memory is flat, and all of it arrives", async () => {
  let answers: Promise<http.IncomingMessage>[] = [];
  await expectFlat({
    begin: () => (answers = each(() => answerTo(ask("GET").end()))),
    finish: async () => Promise.all((await Promise.all(answers)).map(sip)),
  });
});

test("a fast HTTP/1.1 client of a slow job: memory is flat, and all of it arrives", async () => {
  let answers: Promise<http.IncomingMessage>[] = [];
  const begin = () => {
    answers = each(() => {
      const request = ask("POST");
      void pour(request);
      return answerTo(request);
    });
  };
  await expectFlat({
    begin,
    finish: async () => {
      reading.resolve(undefined);
      for (const answer of await Promise.all(answers)) answer.resume();
    },
  });
});

test.each([
  ["job", "a.localhost"],
  ["gRPC service", "b.localhost"],
])("a slow HTTP/2 client of a fast %s: memory is flat, and all of it arrives", async (_what, host) => {
  const session = http2.connect(`http://127.0.0.1:${String(plane.port)}`, { settings: { initialWindowSize: 4 * MiB } });
  let streams: http2.ClientHttp2Stream[] = [];
  await expectFlat({
    begin: () => (streams = each(() => session.request({ ":path": "/", ":authority": host }))),
    finish: () => Promise.all(streams.map(sip)),
  });
  session.destroy();
});

test.each([
  ["job", "a.localhost"],
  ["gRPC service", "b.localhost"],
])("a fast HTTP/2 client of a slow %s: memory is flat, and all of it arrives", async (_what, host) => {
  const session = http2.connect(`http://127.0.0.1:${String(plane.port)}`);
  let ends: Promise<unknown>[] = [];
  const begin = () => {
    ends = each(() => {
      const stream = session.request({ ":method": "POST", ":path": "/", ":authority": host });
      void pour(stream);
      stream.resume();
      return once(stream, "end");
    });
  };
  await expectFlat({
    begin,
    finish: () => {
      reading.resolve(undefined);
      return Promise.all(ends);
    },
  });
  session.destroy();
});
