import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { endpointKey } from "../src/dataplanes/dataplane.ts";
import { histogramOf, SLOT } from "../src/dataplanes/figures.ts";
import { type App, freePort, startHttpApp } from "../src/dataplanes/testing/apps.ts";
import { ask, RawClient } from "../src/dataplanes/testing/clients.ts";
import { byHost, byPort, TableBuilder } from "../src/dataplanes/testing/table-builder.ts";
import type { Opened } from "../src/dataplanes/testing/test-gatekeeper.ts";
import type { Route } from "../src/model/index.ts";
import { ROOT, until } from "./support/gate.ts";
import { type OpenFlow, OpenFlows } from "./support/open-flows.ts";
import { type Led, WatchedEnvoy, WatchingGate } from "./support/watched-envoy.ts";

/** From the moment at which the gate wants something ended. */
const PROMISED_MS = 2000;
/** RFC 8441 leaves it out; Envoy takes it from the visitor for a job that speaks HTTP/1.1, or from its configuration. */
const WEBSOCKET_KEY = { "sec-websocket-key": Buffer.alloc(16).toString("base64") };
const PLAIN = "plain.localhost";
const GONE = "gone.localhost";

let job: ChildProcess;
let app: App;
/** Where nobody listens, until a test does. */
let gonePort: number;
let envoy: WatchedEnvoy;
let gate: WatchingGate;

/** Routes of the services of test/support/endless.mjs, and of one that answers at once. */
function led(port: number, ports: readonly number[]): readonly Led[] {
  const table = new TableBuilder();
  const raw = byPort(1);
  const add = (task: string, service: string, match = byHost(hostOf(task, service))): Route => {
    table.service({ key: `local/${task}/${service}`, matches: [match], endpoints: [] });
    return table.commit().diff.routes.set[0]!;
  };
  const [web = 0, api = 0, tcp = 0, plain = 0, gone = 0] = ports;
  const tasks = ["lenient", "strict"].flatMap((task) => {
    const of = (service: string, port: number, http2 = false): Omit<Led, "cluster"> => ({
      ...{ route: add(task, service), port, http2, strict: task === "strict" },
    });
    return [of("web", web), of("api", api, true), of("raw", tcp)];
  });
  return [
    ...tasks.map((each) => ({ ...each, cluster: `tg/${hostIn(each.route)}:${String(port)}` })),
    { cluster: "port/1", route: add("lenient", "raw", raw), port: tcp },
    { cluster: `tg/${PLAIN}`, route: add("plain", "web", byHost(PLAIN)), port: plain },
    { cluster: `tg/${GONE}`, route: add("gone", "web", byHost(GONE)), port: gone },
  ];
}

function hostOf(task: string, service: string): string {
  return `${service === "web" ? "" : `${service}-`}${task}.localhost`;
}

function hostIn({ match }: Route): string {
  return match.by === "host" ? match.host : "";
}

function same(map: ReadonlyMap<string, number>, record: Readonly<Record<string, number>>): boolean {
  return map.size === Object.keys(record).length && [...map].every(([key, value]) => record[key] === value);
}

async function openAll(task: string): Promise<Readonly<Record<string, OpenFlow>>> {
  const flows = new OpenFlows({ file: () => ({ port: envoy.port }), environment: {} }, task);
  return {
    "a download": await flows.download({}),
    "a WebSocket": await flows.webSocket({}),
    "an HTTP/2 stream": await flows.http2({}),
    "a WebSocket over HTTP/2": await flows.webSocketOverHttp2(WEBSOCKET_KEY),
    "a gRPC stream": await flows.grpc({}),
    "a tunnel": await flows.connect({}),
    "a tunnel over HTTP/2": await flows.connectOverHttp2({}),
  };
}

function openOf(task: string): readonly Opened[] {
  return gate.gatekeeper.open.filter(({ route }) => route.service.startsWith(`local/${task}/`));
}

beforeAll(async () => {
  const ports = await Promise.all([freePort(), freePort(), freePort()]);
  const named = Object.fromEntries(ports.map((port, at) => [`TASKGATE_PORT_${String(at)}`, String(port)]));
  job = spawn(process.execPath, [join(ROOT, "test", "support", "endless.mjs")], { env: { ...process.env, ...named } });
  app = await startHttpApp((req, res) => {
    const chunks: Buffer[] = [];
    req.on("data", (chunk: Buffer) => chunks.push(chunk));
    req.on("end", () => res.end("x".repeat(Number(new URL(req.url ?? "/", "http://x").searchParams.get("bytes")))));
  });
  gonePort = await freePort();
  envoy = await WatchedEnvoy.start((port) => led(port, [...ports, app.address.port, gonePort]));
});
afterAll(async () => {
  await envoy[Symbol.asyncDispose]();
  await app[Symbol.asyncDispose]();
  job.kill();
});
beforeEach(async () => {
  gate = await WatchingGate.start(envoy);
  // Envoy has lost a gate in the test before, and tries again with growing pauses.
  await until(
    async () => {
      await ask(envoy.port, PLAIN, { path: "/?bytes=1" });
      return gate.gatekeeper.seen.length > 0;
    },
    "Envoy to find the gate",
    20_000,
  );
});
afterEach(() => gate[Symbol.asyncDispose]());

describe("what lasts, through a real Envoy", () => {
  test("is known while it is open, and ends when the gate wants it", async () => {
    const flows = await openAll("lenient");
    await until(() => openOf("lenient").length === 7, "all to be held", 3000);
    expect(
      openOf("lenient")
        .map(({ use }) => use.kind)
        .sort(),
    ).toEqual(
      ["forward", "forward", "grpc", "http", "http", "websocket", "websocket"], // prettier-ignore
    );
    const held = openOf("lenient");
    const from = performance.now();
    for (const { use, cut } of held) {
      use.cutFor = "revoked";
      cut();
    }
    for (const [way, flow] of Object.entries(flows)) {
      const ms = (await Promise.race([flow.ended, sleep(3 * PROMISED_MS, Infinity)])) - from;
      expect.soft(ms, way).toBeLessThan(PROMISED_MS);
      expect.soft(flow.said, way).not.toBe("whole");
      flow[Symbol.dispose]();
    }
    await until(() => openOf("lenient").length === 0, "their entries", 5000);
    expect(gate.watch.unheld.size).toBe(0);
  });

  test("lives on when the gate that held it is gone, and the next gate lists it; what is strict ends", async () => {
    const lenient = await openAll("lenient");
    const strict = await openAll("strict");
    await until(() => openOf("lenient").length + openOf("strict").length === 14, "all to be held", 3000);
    expect(gate.watch.unheld.size).toBe(0);
    await gate[Symbol.asyncDispose]();
    for (const [way, flow] of Object.entries(strict)) {
      expect.soft(await Promise.race([flow.ended.then(() => "ended"), sleep(PROMISED_MS)]), way).toBe("ended");
    }
    await expect(new OpenFlows({ file: () => ({ port: envoy.port }), environment: {} }, "strict").webSocket({})).rejects.toThrow(/50\d/); // prettier-ignore
    gate = await WatchingGate.start(envoy);
    const services = { "local/lenient/web": 4, "local/lenient/api": 1, "local/lenient/raw": 2 };
    await until(() => same(gate.watch.unheld, services), "what outlived its gate to be listed", 25_000);
    for (const [way, flow] of Object.entries(lenient)) expect.soft(flow.open, way).toBe(true);
    for (const { cut } of openOf("lenient")) cut();
    for (const flow of [...Object.values(lenient), ...Object.values(strict)]) flow[Symbol.dispose]();
    await until(() => gate.watch.unheld.size === 0 && openOf("lenient").length === 0, "all to be over", 15_000);
  });
});

test("a gate that takes what it is told and says nothing holds no traffic back", async () => {
  await gate[Symbol.asyncDispose]();
  const mute = createServer((socket) => {
    socket.on("error", () => undefined).pause();
    sockets.push(socket);
  });
  const sockets: Socket[] = [];
  await once(mute.listen(envoy.socket), "listening");
  try {
    const from = performance.now();
    for (let count = 0; count < 300; count += 1) {
      expect((await ask(envoy.port, PLAIN, { path: "/?bytes=1000" })).body).toHaveLength(1000);
    }
    expect((performance.now() - from) / 300).toBeLessThan(20);
    const flows = new OpenFlows({ file: () => ({ port: envoy.port }), environment: {} }, "lenient");
    const opening = performance.now();
    using socket = await flows.webSocket({});
    expect(performance.now() - opening).toBeLessThan(PROMISED_MS);
    expect(socket.open).toBe(true);
    expect(sockets.length).toBeGreaterThan(0);
  } finally {
    for (const socket of sockets) socket.destroy();
    mute.close();
  }
  gate = await WatchingGate.start(envoy);
});

describe("what is over, through a real Envoy", () => {
  test("is one use each, with the bytes of both ways, to the byte", async () => {
    const sent = "y".repeat(70_001);
    const reply = await ask(envoy.port, PLAIN, { method: "POST", path: "/?bytes=123456", body: sent });
    expect(reply.body).toHaveLength(123_456);
    const isIt = ({ use }: Opened): boolean => use.head?.method === "POST";
    await until(() => gate.gatekeeper.seen.some(isIt), "its entry", 5000);
    const [{ use, route, bytes } = {}, ...more] = gate.gatekeeper.seen.filter(isIt);
    expect(more).toEqual([]);
    expect(route?.service).toBe("local/plain/web");
    expect(bytes).toEqual({ in: 70_001, out: 123_456 });
    expect(use).toMatchObject({ kind: "http", peer: "127.0.0.1", status: 200, code: null, source: "app", tries: 1 });
    expect(use?.head).toMatchObject({ method: "POST", host: PLAIN, path: "/?bytes=123456" });
    expect(use!.until! - use!.since!).toBeGreaterThan(0);
    expect(Math.abs(Date.now() - use!.until!)).toBeLessThan(5000);
  });

  test("counts raw connections from their first moment, and their bytes", async () => {
    const visitor = await RawClient.connect(envoy.tcpPort, "z".repeat(1234));
    await until(() => visitor.received.length === 1234, "the echo", 3000);
    await until(() => openOf("lenient").length === 1, "it to be known", 5000);
    expect(openOf("lenient")[0]?.use.kind).toBe("tcp");
    expect(gate.watch.unheld.size).toBe(0);
    visitor[Symbol.dispose]();
    await until(() => openOf("lenient").length === 0, "its end", 5000);
    expect(gate.gatekeeper.seen.at(-1)?.bytes).toEqual({ in: 1234, out: 1234 });
  });

  test("that Envoy refused by itself is told as refused, with a code", async () => {
    await ask(envoy.port, "nobody.localhost");
    await until(() => gate.gatekeeper.refusals.length > 0, "the refusal", 5000);
    const [{ use, route } = {}] = gate.gatekeeper.refusals;
    expect(route).toBeNull();
    expect(use).toMatchObject({ code: "unknown_host", status: 503 });
    expect(use?.head?.host).toBe("nobody.localhost");
  });

  test("is in the figures and in the access log as on the embedded plane", async () => {
    const log = join(envoy.folder, "access.log");
    await gate[Symbol.asyncDispose]();
    gate = await WatchingGate.start(envoy, log);
    await until(
      async () => {
        await ask(envoy.port, PLAIN, { path: "/?bytes=5" });
        return gate.gatekeeper.seen.length > 0;
      },
      "Envoy to find the gate",
      20_000,
    );
    const { services, answers, kinds } = await gate.watch.figures();
    const count = gate.gatekeeper.seen.length;
    expect(answers).toContainEqual(["http 200 app", count]);
    const own = services.find(([service]) => service === "local/plain/web")?.[1] ?? [];
    for (const block of [own, kinds[0] ?? []]) {
      expect(block[SLOT.bytesOut]).toBe(gate.gatekeeper.seen.reduce((sum, { bytes }) => sum + (bytes?.out ?? 0), 0));
      expect(block[SLOT.open]).toBe(0);
      expect(histogramOf(block, SLOT.duration).sum).toBeGreaterThan(0);
    }
    expect(histogramOf(kinds[0] ?? [], SLOT.firstByte).sum).toBeGreaterThan(0);
    await gate[Symbol.asyncDispose]();
    const lines = readFileSync(log, "utf8").trim().split("\n");
    expect(lines).toHaveLength(gate.gatekeeper.seen.length);
    const line = JSON.parse(lines.at(-1) ?? "") as Record<string, unknown>;
    expect(line).toMatchObject({
      ...{ kind: "http", protocol: "HTTP/1.1", client: "127.0.0.1", method: "GET", host: PLAIN, path: "/?" },
      ...{ status: 200, source: "app", service: "local/plain/web", bytesIn: 0, bytesOut: 5 },
      endpoint: `127.0.0.1:${String(app.address.port)}`,
    });
    expect(line.requestId).toMatch(/^[0-9a-f-]{36}$/);
  });

  test("says which endpoints cannot be reached, and which can again", async () => {
    const key = endpointKey("local/gone/web", `127.0.0.1:${String(gonePort)}`);
    for (let count = 0; count < 2; count += 1) expect((await ask(envoy.port, GONE)).status).toBe(503);
    await until(() => gate.watch.endpoints.get(key) === "unhealthy", "it to be unhealthy", 5000);
    const { upstreams } = await gate.watch.figures();
    expect(upstreams[SLOT.connectFailed]).toBe(2);
    expect(gate.gatekeeper.seen.at(-1)?.use).toMatchObject({ status: 503, code: "unreachable" });
    await using back = await startHttpApp((_req, res) => res.end("back"), gonePort);
    expect((await ask(envoy.port, GONE)).body).toBe("back");
    await until(() => gate.watch.endpoints.get(key) === "healthy", "it to be well", 5000);
    expect(histogramOf((await gate.watch.figures()).upstreams, SLOT.connect).sum).toBeGreaterThan(0);
    expect(back.connections()).toBe(1);
  });
});
