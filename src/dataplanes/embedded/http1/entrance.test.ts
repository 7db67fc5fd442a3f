import { once } from "node:events";
import net, { type AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { LimitsConfig } from "../../../config/schema.ts";
import { systemClock } from "../../../platform/clock.ts";
import { silentLogger } from "../../../platform/logger.ts";
import { RawClient } from "../../testing/clients.ts";
import { until } from "../../testing/rig.ts";
import type { Exchange } from "../exchange.ts";
import { Http1Entrance } from "./entrance.ts";
import { Http1Exchange } from "./http1-exchange.ts";
import { Refusals } from "./refusals.ts";

interface Served extends AsyncDisposable {
  readonly port: number;
  readonly entrance: Http1Entrance;
  /** METHOD PATH BODY of each request that was whole. */
  readonly asked: string[];
  readonly refused: number[];
}

async function serve(
  limits: Partial<LimitsConfig> = {},
  handle: (exchange: Exchange, asked: string[]) => void = echo,
): Promise<Served> {
  const asked: string[] = [];
  const refused: number[] = [];
  const entrance = new Http1Entrance({
    limits: { ...LimitsConfig.parse({}), ...limits },
    clock: systemClock,
    refusals: new Refusals(silentLogger, systemClock),
    serve: (exchange) => handle(exchange, asked),
    tunnel: (exchange) => handle(exchange, asked),
    refused: ({ status }) => void refused.push(status),
  });
  const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    socket.on("error", () => undefined);
    entrance.take(socket, { peer: "127.0.0.1", secure: false });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    ...{ entrance, asked, refused, port: (server.address() as AddressInfo).port },
    [Symbol.asyncDispose]() {
      server.close();
      entrance[Symbol.dispose]();
      return Promise.resolve();
    },
  };
}

/** Reads the body and answers with what was asked. */
function echo(exchange: Exchange, asked: string[]): void {
  if (!(exchange instanceof Http1Exchange)) throw new Error("another exchange than one of HTTP/1.1");
  let body = "";
  exchange.watch({
    body: (chunk) => {
      body += chunk.toString("latin1");
      return true;
    },
    bodyEnded: (trailers) => {
      const text = `${exchange.head.method} ${exchange.head.path} ${body}`;
      asked.push(text);
      exchange.begin({ status: 200, message: "", fields: ["X-Trailers", trailers.join()], only: false });
      exchange.finish([]);
    },
    roomAgain: () => undefined,
    left: () => undefined,
  });
  exchange.startBody();
}

const HOST = "Host: a.localhost\r\n";
const CHUNKS = "3\r\nabc\r\n2;x=1\r\nde\r\n0\r\nX-Sum: 1\r\n\r\n";
const REQUESTS =
  `GET /1 HTTP/1.1\r\n${HOST}\r\n` +
  `POST /2 HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n${CHUNKS}` +
  `POST /3 HTTP/1.1\r\n${HOST}Content-Length: 5\r\n\r\nGET /` +
  `GET /4 HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`;

describe("a visitor's connection", () => {
  test("reads the same requests however their bytes are cut, each after the answer before it", async () => {
    await using served = await serve();
    const cuts = fc.array(fc.nat(REQUESTS.length), { maxLength: 6 });
    const property = fc.asyncProperty(cuts, async (places) => {
      served.asked.length = 0;
      using client = await RawClient.connect(served.port);
      const at = [0, ...places.toSorted((a, b) => a - b), REQUESTS.length];
      for (const [index, end] of at.slice(1).entries()) {
        client.send(REQUESTS.slice(at[index], end));
        await sleep(1);
      }
      await until(() => client.over);
      expect(served.asked).toEqual(["GET /1 ", "POST /2 abcde", "POST /3 GET /", "GET /4 "]);
      expect(client.received.match(/^HTTP\/1\.1 200 OK\r$/gm)).toHaveLength(4);
      expect(client.received).toContain("X-Trailers: X-Sum,1\r\n");
    });
    await fc.assert(property, { numRuns: 40 });
  });

  test.each<[string, Partial<LimitsConfig>, string, number]>([
    [
      "a body beyond its bound, by its length",
      { bodyBytes: 4 },
      `POST / HTTP/1.1\r\n${HOST}Content-Length: 5\r\n\r\n`,
      413,
    ],
    [
      "a body beyond its bound, by its chunks",
      { bodyBytes: 4 },
      `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n${CHUNKS}`,
      413,
    ],
    ["too many fields", { headerFields: 10 }, `GET / HTTP/1.1\r\n${HOST}${"X: 1\r\n".repeat(10)}\r\n`, 431],
    ["a long line", { headerLine: 256 }, `GET / HTTP/1.1\r\n${HOST}X: ${"x".repeat(300)}\r\n\r\n`, 431],
    ["a long target", { headerLine: 256 }, `GET /${"x".repeat(300)} HTTP/1.1\r\n${HOST}\r\n`, 414],
    ["a head that is too large", { headerBytes: 4096 }, `GET / HTTP/1.1\r\n${HOST}X: ${"x".repeat(5000)}`, 431],
    ["a head that never ends", { headerTime: 100 }, `GET / HTTP/1.1\r\n${HOST}`, 408],
    ["a bad chunk", {}, `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\nx\r\n`, 400],
    ["another version", {}, `GET / HTTP/3.0\r\n${HOST}\r\n`, 505],
    ["another coding", {}, `GET / HTTP/1.1\r\n${HOST}Transfer-Encoding: gzip\r\n\r\n`, 501],
  ])("refuses %s, says so once and ends", async (_what, limits, bytes, status) => {
    await using served = await serve(limits);
    using client = await RawClient.connect(served.port, bytes);
    await until(() => client.over);
    expect(client.received).toMatch(new RegExp(`^HTTP/1\\.1 ${status} [^]*\r\nConnection: close\r\n`));
    expect(client.received.match(/^HTTP\/1\.1 /gm)).toHaveLength(1);
    expect(served.refused).toEqual([status]);
    expect(served.asked).toEqual([]);
  });

  test("takes no request for the one before it", async () => {
    await using served = await serve({}, (exchange, asked) => {
      asked.push(`${exchange.head.path} ${exchange.head.header("cookie") ?? ""}`);
      exchange.begin({ status: 204, message: "", fields: [], only: false });
      exchange.finish([]);
    });
    using client = await RawClient.connect(served.port);
    const asked = ["/a 1", "/a 1", "/b 1", "/b 2", "/b 1", "/b 1", "/c 1", "/c 22", "/c 22", "/c 22", "/c 2"];
    for (const [index, each] of asked.entries()) {
      client.send(`GET ${each.replace(" ", ` HTTP/1.1\r\n${HOST}Cookie: `)}\r\n\r\n`);
      await until(() => served.asked.length > index);
    }
    expect(served.asked).toEqual(asked);
  });

  test("reads a body behind the same fields again and again, and refuses a line that is none", async () => {
    await using served = await serve();
    using client = await RawClient.connect(served.port);
    for (const body of ["abcd", "efgh", "ijkl", "mnop"]) {
      client.send(`POST / HTTP/1.1\r\n${HOST}Content-Length: 4\r\n\r\n`);
      await sleep(5);
      client.send(body);
      await until(() => served.asked.at(-1)?.endsWith(body) === true);
    }
    client.send(`POST / HTTP/3.0\r\n${HOST}Content-Length: 4\r\n\r\n`);
    await until(() => client.over);
    expect(served.asked).toEqual(["POST / abcd", "POST / efgh", "POST / ijkl", "POST / mnop"]);
    expect(served.refused).toEqual([505]);
  });

  test("ends without a word where no HTTP is spoken at all", async () => {
    await using served = await serve();
    using client = await RawClient.connect(served.port, "INVALID CONNECTION PREFACE\r\n\r\n");
    await until(() => client.over);
    expect(client.received).toBe("");
  });

  test("ends when it is idle for too long, and when it is drained", async () => {
    await using served = await serve({ keepAlive: 100 });
    using idle = await RawClient.connect(served.port, `GET / HTTP/1.1\r\n${HOST}\r\n`);
    await until(() => idle.ended);
    expect(idle.received.match(/HTTP\/1\.1 /g)).toHaveLength(1);
    await using other = await serve();
    using drained = await RawClient.connect(other.port, `GET / HTTP/1.1\r\n${HOST}\r\n`);
    await until(() => drained.received.includes("200 OK"));
    other.entrance.drain();
    await until(() => drained.ended);
  });

  test("answers early, drops what is left of the request, and takes the next one", async () => {
    await using served = await serve({}, (exchange, asked) => {
      asked.push(exchange.head.path);
      exchange.begin({ status: 403, message: "", fields: ["Content-Length", "0"], only: true });
      exchange.finish([]);
      exchange.discard();
    });
    const upload = `POST /1 HTTP/1.1\r\n${HOST}Content-Length: 300000\r\n\r\n`;
    using client = await RawClient.connect(served.port, upload);
    await until(() => client.received.includes("403"));
    client.send(`${"x".repeat(300_000)}GET /2 HTTP/1.1\r\n${HOST}\r\n`);
    await until(() => served.asked.length === 2);
    expect(served.asked).toEqual(["/1", "/2"]);
  });

  test("aborts an exchange whose visitor left, once", async () => {
    const seen: string[] = [];
    await using served = await serve({}, (exchange) => {
      exchange.gone.addEventListener("abort", () => seen.push("gone"));
      exchange.onClose(() => seen.push(`closed, left: ${String(exchange.left)}`));
    });
    const client = await RawClient.connect(served.port, `GET / HTTP/1.1\r\n${HOST}\r\n`);
    await sleep(50);
    client.socket.resetAndDestroy();
    await until(() => seen.length === 2);
    await sleep(20);
    expect(seen).toEqual(["gone", "closed, left: true"]);
  });
});

test("says refusals in the log at a bounded rate, and how many it kept to itself", () => {
  let now = 1_000_000;
  const lines: string[] = [];
  const log = (_fields: object, message: string) => void lines.push(message);
  const logger = { ...silentLogger, info: log, warn: log } as typeof silentLogger;
  const refusals = new Refusals(logger, { ...systemClock, now: () => now });
  for (let count = 0; count < 50; count += 1) refusals.request("::1", { status: 400, message: "x" });
  expect(lines).toHaveLength(20);
  now += 10_000;
  refusals.answer("a/b/c", "x");
  expect(lines.slice(20)).toEqual(["more was refused than was logged", "answer of a job refused"]);
});
