import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import http from "node:http";
import http2 from "node:http2";
import net from "node:net";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startHttpApp } from "../src/dataplanes/testing/apps.ts";
import { digest } from "../src/dataplanes/testing/digest.ts";
import { byHost } from "../src/dataplanes/testing/table-builder.ts";
import { startPlaneProcess, type PlaneProcess } from "./support/plane-process.ts";
import { until } from "./support/gate.ts";
import { readAnswers } from "./support/raw.ts";

/** The plane reads bodies into memory that it uses again for others: nobody may ever get a byte of them. */

const MiB = 1024 * 1024;
/** No two places of it are alike. */
const CONTENT = randomBytes(12 * MiB);
const VISITORS = 16;
const REQUESTS = 12;

/** Answers GET with the part that its path names, by length or in chunks, and POST with the digest of what came. */
const app = await startHttpApp((req, res) => {
  req.on("error", () => undefined);
  if (req.method === "POST") {
    void digest(req, null).then(
      (seen) => res.end(seen),
      () => res.destroy(),
    );
    return;
  }
  const [from = 0, to = 0, chunked = 0] = (req.url ?? "").slice(1).split("-").map(Number);
  if (chunked === 0) res.setHeader("content-length", to - from);
  void pipeline(pieces(CONTENT.subarray(from, to)), res).catch(() => undefined);
});
let plane: PlaneProcess;

beforeAll(async () => {
  plane = await startPlaneProcess();
  await plane.service({ key: "local/a/web", matches: [byHost("a.localhost")], endpoints: [app.address] });
});
afterAll(async () => {
  await plane[Symbol.asyncDispose]();
  await app[Symbol.asyncDispose]();
});

function* pieces(content: Buffer): Iterable<Buffer> {
  for (let at = 0; at < content.length; at += 100_000) yield content.subarray(at, at + 100_000);
}

const hashOf = (content: Buffer) => createHash("sha256").update(content).digest("hex");

const RESTS = { everyBytes: MiB, ms: 5 };

/** Parts of the content from 1 byte to 4 MiB. */
function part(seed: number): { readonly from: number; readonly to: number } {
  const random = (seed * 48_271 * 7919) % 2_147_483_647;
  const length = seed % 4 === 0 ? 1 + (random % 70_000) : 1 + (random % (4 * MiB));
  const from = (random * 31) % (CONTENT.length - length);
  return { from, to: from + length };
}

async function visitHttp1(visitor: number): Promise<void> {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  const headers = { host: "a.localhost" };
  const options = { port: plane.port, host: "127.0.0.1", agent };
  for (let at = 0; at < REQUESTS; at += 1) {
    const seed = visitor * 100 + at;
    const { from, to } = part(seed);
    const content = CONTENT.subarray(from, to);
    const upload = seed % 3 === 0;
    const length = upload && seed % 2 === 0 ? { "content-length": content.length } : {};
    const path = `/${String(from)}-${String(to)}-${String(seed % 2)}`;
    const method = upload ? "POST" : "GET";
    const request = http.request({ ...options, path, method, headers: { ...headers, ...length } });
    request.on("error", () => undefined);
    if (upload) void pipeline(pieces(content), request).catch(() => undefined);
    else request.end();
    const [response] = (await once(request, "response")) as [http.IncomingMessage];
    if (!upload && seed % 11 === 0) {
      response.once("data", () => response.destroy()); // leaves in the midst of it
      await once(response, "close");
      continue;
    }
    if (upload) expect(await textOf(response)).toBe(hashOf(content));
    else expect(await digest(response, visitor % 2 === 0 ? RESTS : null)).toBe(hashOf(content));
  }
  agent.destroy();
}

async function visitHttp2(visitor: number): Promise<void> {
  const session = http2.connect(`http://127.0.0.1:${String(plane.port)}`);
  const requests = Array.from({ length: REQUESTS }, async (_, at) => {
    const seed = visitor * 100 + at;
    const { from, to } = part(seed);
    const content = CONTENT.subarray(from, to);
    const upload = seed % 3 === 0;
    const stream = session.request({
      ":method": upload ? "POST" : "GET",
      ":path": `/${String(from)}-${String(to)}-${String(seed % 2)}`,
      ":authority": "a.localhost",
    });
    if (upload) void pipeline(pieces(content), stream, { end: true }).catch(() => undefined);
    else stream.end();
    const expected = hashOf(content);
    if (upload) expect(await textOf(stream)).toBe(expected);
    else expect(await digest(stream, visitor % 2 === 0 ? RESTS : null)).toBe(expected);
  });
  await Promise.all(requests);
  session.destroy();
}

/** Uploads that come without waiting for answers, so that one read brings the end of one and the beginning of the next. */
async function visitPipelined(visitor: number): Promise<void> {
  const parts = Array.from({ length: 4 * REQUESTS }, (_, at) => {
    const from = (visitor * 977 + at * 131_071) % (CONTENT.length - 200_000);
    return CONTENT.subarray(from, from + 10_000 + ((at * 48_271) % 180_000));
  });
  const socket = net.connect({ port: plane.port, host: "127.0.0.1" });
  const sent = parts.flatMap((content, at) => {
    const head = `POST / HTTP/1.1\r\nHost: a.localhost\r\n`;
    if (at % 2 === 0) return [Buffer.from(`${head}Content-Length: ${String(content.length)}\r\n\r\n`), content];
    const [first, rest] = [content.subarray(0, 5000), content.subarray(5000)];
    const framed = [first, rest].flatMap((one) => [`${one.length.toString(16)}\r\n`, one, "\r\n"]);
    return [`${head}Transfer-Encoding: chunked\r\n\r\n`, ...framed, "0\r\n\r\n"].map((one) => Buffer.from(one));
  });
  socket.write(Buffer.concat(sent));
  let received = "";
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    received += chunk.toString("latin1");
    if (readAnswers(received).whole.length === parts.length) break;
  }
  expect(readAnswers(received).whole.map(({ body }) => body)).toEqual(parts.map(hashOf));
}

async function textOf(from: Readable): Promise<string> {
  let text = "";
  for await (const chunk of from as AsyncIterable<Buffer>) text += chunk.toString();
  return text;
}

test("every body arrives as it was sent, down and up, by length and in chunks, to fast and slow visitors, among some that leave", async () => {
  const visits = Array.from({ length: VISITORS }, (_, at) => (at % 4 === 3 ? visitHttp2(at) : visitHttp1(at)));
  await Promise.all(visits);
  await until(async () => (await plane.held()).flows === 0, "all flows to end");
}, 60_000);

test("so does every body of requests that come one right behind the other", async () => {
  await Promise.all(Array.from({ length: VISITORS }, (_, at) => visitPipelined(at)));
  await until(async () => (await plane.held()).flows === 0, "all flows to end");
}, 60_000);
