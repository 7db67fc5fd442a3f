import { once } from "node:events";
import http from "node:http";
import http2 from "node:http2";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import WebSocket, { WebSocketServer } from "ws";
import type { Session } from "../../../model/index.ts";
import { KINDS, SLOT } from "../../figures.ts";
import { echo, freePort, startHttpApp, startTcpApp } from "../../testing/apps.ts";
import { ask, echoed, RawClient } from "../../testing/clients.ts";
import { grpcClient, startGrpcApp, unary } from "../../testing/grpc-app.ts";
import { startOtlpCollector } from "../../testing/otlp-collector.ts";
import { startRig, until, type PlaneOptions, type Rig } from "../../testing/rig.ts";
import { byHost, byPort } from "../../testing/table-builder.ts";
import { ALLOW } from "../../testing/test-gatekeeper.ts";
import { startTestPlane } from "../testing/start-plane.ts";

const HOST = "nb.localhost";
const KEY = "local/nb/web";
const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN = "00f067aa0ba902b7";
const SESSION: Session = {
  id: "s1",
  principal: { realm: "local", name: "ada", groups: [], admin: false },
  service: KEY,
  expiresAt: Date.now() + 3_600_000,
  renewAt: Date.now() + 3_600_000,
};

let folder: string;
let file: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "taskgate-observed-"));
  file = join(folder, "access.log");
});

afterEach(() => rm(folder, { recursive: true }));

interface Line extends Readonly<Record<string, unknown>> {
  readonly kind: string;
}

/** Lines of the access log, once there are so many. */
async function lines(count: number): Promise<Line[]> {
  const read = async () =>
    (await readFile(file, "utf8"))
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as Line);
  await expect.poll(async () => (await read()).length, { timeout: 5000 }).toBe(count);
  return read();
}

async function serving(
  app: { readonly address: { readonly ip: string; readonly port: number } },
  observe: PlaneOptions["observe"] = { accessLog: { mode: "full", file } },
): Promise<Rig> {
  const rig = await startRig(startTestPlane, { observe });
  rig.table.service({ key: KEY, matches: [byHost(HOST)], endpoints: [app.address] });
  await rig.publish();
  return rig;
}

test("logs a request when it is over: who, what, whither, how much, how long; and no secret", async () => {
  await using app = await startHttpApp(echo);
  await using rig = await serving(app);
  rig.gatekeeper.checking = () => ({ ...ALLOW, session: SESSION });
  const headers = {
    authorization: "Bearer s3cret",
    cookie: "a=s3cret",
    "x-request-id": "mine",
    traceparent: `00-${TRACE}-${SPAN}-01`,
  };
  const reply = await ask(rig.port, HOST, { method: "POST", path: "/a/b?token=s3cret", headers, body: "12345" });
  const [line] = await lines(1);
  expect(line).toEqual({
    time: expect.stringMatching(/^\d{4}-.*Z$/) as string,
    ...{ kind: "http", protocol: "HTTP/1.1", client: "127.0.0.1", requestId: "mine" },
    ...{ method: "POST", host: HOST, path: "/a/b?", status: 200, source: "app", service: KEY },
    ...{ endpoint: `127.0.0.1:${String(app.address.port)}`, principal: "local/ada" },
    ...{ bytesIn: 5, bytesOut: reply.body.length, traceId: TRACE },
    durationMs: expect.any(Number) as number,
    firstByteMs: expect.any(Number) as number,
  });
  expect(await readFile(file, "utf8")).not.toContain("s3cret");
});

test("keeps queries and leaves names out where the configuration says so", async () => {
  await using app = await startHttpApp(echo);
  await using rig = await serving(app, { accessLog: { mode: "full", file, query: true, principal: false } });
  rig.gatekeeper.checking = () => ({ ...ALLOW, session: SESSION });
  await ask(rig.port, HOST, { path: "/a?b=c" });
  const [line] = await lines(1);
  expect(line?.path).toBe("/a?b=c");
  expect(line).not.toHaveProperty("principal");
});

test("logs what a sample leaves out where it fails, and nothing when it is off", async () => {
  await using app = await startHttpApp(echo);
  await using rig = await serving(app, { accessLog: { mode: "sampled", sample: 0, file } });
  for (let at = 0; at < 20; at += 1) await ask(rig.port, HOST);
  rig.table.service({ key: "local/gone/web", matches: [byHost("gone.localhost")], endpoints: [] });
  await rig.publish();
  await ask(rig.port, "gone.localhost");
  const [line] = await lines(1);
  expect(line).toMatchObject({ status: 503, source: "gate", code: "starting", service: "local/gone/web" });
  await using quiet = await serving(app, {});
  await ask(quiet.port, HOST);
  await lines(1);
});

test("marks the gate's own answers in header, figures and log by one code, and no job can fake them", async () => {
  await using app = await startHttpApp((_req, res) => {
    res.setHeader("X-Taskgate-Error", "unreachable");
    res.setHeader("Proxy-Status", ["Taskgate; error=connection_refused", 'other; details="x"']);
    res.writeHead(502).end("mine");
  });
  await using rig = await serving(app);
  rig.table.service({
    key: "local/dead/web",
    matches: [byHost("dead.localhost")],
    endpoints: [{ ip: "127.0.0.1", port: await freePort() }],
  });
  await rig.publish();
  const faked = await ask(rig.port, HOST);
  expect(faked.headers).not.toHaveProperty("x-taskgate-error");
  expect(faked.headers["proxy-status"] ?? "").not.toMatch(/taskgate/i);
  const real = await ask(rig.port, "dead.localhost", { headers: { accept: "application/json" } });
  expect(real.headers["x-taskgate-error"]).toBe("unreachable");
  expect(real.headers["proxy-status"]).toBe('taskgate; error=connection_refused; details="unreachable"');
  const [job, own] = await lines(2);
  expect(job).toMatchObject({ status: 502, source: "app" });
  expect(job).not.toHaveProperty("code");
  expect(own).toMatchObject({
    status: 502,
    source: "gate",
    code: "unreachable",
    requestId: real.headers["x-request-id"],
  });
  expect(JSON.parse(real.body)).toMatchObject({ error: { code: "unreachable", requestId: own?.requestId } });
  const figures = await rig.plane.figures();
  expect(new Map(figures.answers)).toEqual(
    new Map([
      ["http 502 app", 1],
      ["http 502 gate", 1],
    ]),
  );
  expect(figures.refusals).toEqual([["unreachable", 1]]);
  const dead = new Map(figures.services).get("local/dead/web");
  expect([dead?.[SLOT.connectFailed], dead?.[SLOT.gate + 4], dead?.[SLOT.app + 4]]).toEqual([1, 1, 0]);
});

test("logs requests that are none, or of nobody, too", async () => {
  await using app = await startHttpApp(echo);
  await using rig = await serving(app);
  await ask(rig.port, "nobody.localhost");
  using client = await RawClient.connect(rig.port, "GET / HTTP/1.1\r\nHost: a b\r\n\r\n");
  await until(() => client.over);
  const [unknown, broken] = await lines(2);
  expect(unknown).toMatchObject({ status: 404, source: "gate", code: "unknown_host", host: "nobody.localhost" });
  expect(unknown).not.toHaveProperty("service");
  expect(broken).toMatchObject({ status: 400, source: "gate", code: "bad_request", client: "127.0.0.1" });
});

test("says that a visitor left before its answer was whole", async () => {
  await using app = await startHttpApp((_req, res) => void res.write("begun"));
  await using rig = await serving(app);
  using client = await RawClient.connect(rig.port, `GET / HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`);
  await until(() => client.received.includes("begun"));
  client[Symbol.dispose]();
  const [line] = await lines(1);
  expect(line).toMatchObject({ status: 200, aborted: true });
  const http = (await rig.plane.figures()).kinds[KINDS.indexOf("http")];
  expect([http?.[SLOT.open], http?.[SLOT.aborted]]).toEqual([0, 1]);
});

test("logs WebSockets and TCP connections at their end, with all that went through", async () => {
  await using app = await startHttpApp(() => undefined);
  const sockets = new WebSocketServer({ server: app.server });
  sockets.on("connection", (socket) => socket.on("message", (data) => socket.send(data as Buffer)));
  await using tcp = await startTcpApp((socket) => void socket.pipe(socket));
  await using rig = await serving(app);
  const port = await freePort();
  rig.table.service({ key: "local/db/sql", protocol: "tcp", matches: [byPort(port)], endpoints: [tcp.address] });
  await rig.publish();
  const socket = new WebSocket(`ws://127.0.0.1:${String(rig.port)}/`, { headers: { host: HOST } });
  await once(socket, "open");
  socket.send("hello");
  await once(socket, "message");
  socket.close();
  await once(socket, "close");
  const [web] = await lines(1);
  expect(web).toMatchObject({ kind: "websocket", status: 101, source: "app", service: KEY });
  expect(web?.bytesIn).toBeGreaterThanOrEqual(11);
  using client = await RawClient.connect(port, "12345");
  await until(() => client.received === "12345");
  client.socket.end();
  const [, raw] = await lines(2);
  expect(raw).toMatchObject({ kind: "tcp", protocol: "TCP", service: "local/db/sql", bytesIn: 5, bytesOut: 5 });
  const figures = await rig.plane.figures();
  expect(figures.kinds.map((block) => block[SLOT.open])).toEqual(KINDS.map(() => 0));
});

test("tells HTTP/2 and gRPC apart, and what they were answered", async () => {
  await using app = await startHttpApp(echo);
  await using rpc = await startGrpcApp();
  await using rig = await serving(app);
  rig.table.service({
    key: "local/rpc/api",
    protocol: "grpc",
    matches: [byHost("rpc.localhost")],
    endpoints: [rpc.address],
  });
  await rig.publish();
  const session = http2.connect(`http://127.0.0.1:${String(rig.port)}`);
  const stream = session.request({ ":path": "/two", ":authority": HOST });
  stream.resume();
  await once(stream, "close");
  session.close();
  const [two] = await lines(1);
  expect(two).toMatchObject({ kind: "http", protocol: "HTTP/2", path: "/two", status: 200 });
  using client = grpcClient(rig.port, "rpc.localhost");
  await unary(client, "hi");
  const [, call] = await lines(2);
  expect(call).toMatchObject({
    kind: "grpc",
    protocol: "HTTP/2",
    path: "/test.Echo/Unary",
    status: 200,
    service: "local/rpc/api",
  });
});

test("gives the job the id that the log has: the visitor's where it is one, else a new one each time", async () => {
  await using app = await startHttpApp(echo);
  await using rig = await serving(app);
  const idOf = async (fields: string[]) => echoed(await ask(rig.port, HOST, { fields })).all("x-request-id");
  expect(await idOf(["X-Request-Id", "build-7"])).toEqual(["build-7"]);
  const made = [
    await idOf([]),
    await idOf(["X-Request-Id", "a b"]),
    await idOf(["X-Request-Id", "a", "X-Request-Id", "b"]),
  ].flat();
  expect(new Set(made).size).toBe(3);
  expect((await lines(4)).map((line) => line.requestId)).toEqual(["build-7", ...made]);
  await using strict = await serving(app, { requestId: "replace" });
  const replaced = echoed(await ask(strict.port, HOST, { fields: ["X-Request-Id", "build-7"] })).all("x-request-id");
  expect(replaced).toHaveLength(1);
  expect(replaced).not.toEqual(["build-7"]);
});

test("passes trace context on as it came, and drops what is malformed", async () => {
  await using app = await startHttpApp(echo);
  await using rig = await serving(app, {});
  const seen = async (fields: string[]) => {
    const got = echoed(await ask(rig.port, HOST, { fields }));
    return [got.all("traceparent"), got.all("tracestate")];
  };
  const parent = `00-${TRACE}-${SPAN}-01`;
  expect(await seen(["traceparent", parent, "tracestate", "a=1,b=2"])).toEqual([[parent], ["a=1,b=2"]]);
  expect(await seen(["traceparent", "nonsense", "tracestate", "a=1"])).toEqual([[], []]);
  expect(await seen(["traceparent", parent, "tracestate", "???"])).toEqual([[parent], []]);
  expect(await seen(["traceparent", parent, "traceparent", parent])).toEqual([[], []]);
  expect(await seen([])).toEqual([[], []]);
});

test("sends one server span of each request, between its visitor's and its job's", async () => {
  await using collector = await startOtlpCollector();
  await using app = await startHttpApp(echo);
  let parent = "";
  {
    await using rig = await serving(app, {
      tracing: { otlp: collector.url, sample: 1, serviceName: "gate-7" },
      accessLog: { mode: "full", file },
    });
    const headers = { traceparent: `00-${TRACE}-${SPAN}-01`, tracestate: "a=1" };
    const got = echoed(await ask(rig.port, HOST, { path: "/p?q=s3cret", headers }));
    parent = got.header("traceparent") ?? "";
    expect(got.header("tracestate")).toBe("a=1");
    await ask(rig.port, "nobody.localhost");
    expect((await lines(2))[0]?.traceId).toBe(TRACE);
  }
  expect(collector.spans).toHaveLength(2);
  const [span, refused] = collector.spans;
  expect(span).toMatchObject({ traceId: TRACE, parentSpanId: SPAN, kind: 2, name: `GET ${KEY}` });
  expect(parent).toBe(`00-${TRACE}-${span?.spanId ?? ""}-01`);
  expect(span?.attributes).toMatchObject({
    ...{ "http.request.method": "GET", "url.path": "/p?", "http.response.status_code": 200, "server.address": HOST },
    ...{
      "network.protocol.version": "1.1",
      "taskgate.service": KEY,
      "taskgate.source": "app",
      "client.address": "127.0.0.1",
    },
  });
  expect(span?.resource).toMatchObject({ "service.name": "gate-7" });
  expect(JSON.stringify(collector.spans)).not.toContain("s3cret");
  expect(Number(span?.endTimeUnixNano)).toBeGreaterThanOrEqual(Number(span?.startTimeUnixNano));
  expect(Math.abs(Number(span?.startTimeUnixNano) / 1e6 - Date.now())).toBeLessThan(60_000);
  expect(refused?.attributes).toMatchObject({ "taskgate.code": "unknown_host", "http.response.status_code": 404 });
  expect(refused?.parentSpanId ?? "").toBe("");
});

test("keeps a trace where its sender does, and tells the job when it does not", async () => {
  await using collector = await startOtlpCollector();
  await using app = await startHttpApp(echo);
  {
    await using rig = await serving(app, { tracing: { otlp: collector.url, sample: 0 } });
    const parentOf = async (traceparent?: string) =>
      echoed(await ask(rig.port, HOST, { headers: traceparent === undefined ? {} : { traceparent } })).header(
        "traceparent",
      );
    expect(await parentOf(`00-${TRACE}-${SPAN}-00`)).toMatch(new RegExp(`^00-${TRACE}-[0-9a-f]{16}-00$`));
    expect(await parentOf(`00-${TRACE}-${SPAN}-01`)).toMatch(new RegExp(`^00-${TRACE}-[0-9a-f]{16}-01$`));
    expect(await parentOf()).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/);
  }
  expect(collector.spans).toHaveLength(1);
  {
    await using rig = await serving(app, { tracing: { otlp: collector.url, sample: 0, followParent: false } });
    await ask(rig.port, HOST, { headers: { traceparent: `00-${TRACE}-${SPAN}-01` } });
  }
  expect(collector.spans).toHaveLength(1);
});

test("marks spans of failures, and nobody notices a collector that is away", async () => {
  await using collector = await startOtlpCollector();
  await using app = await startHttpApp((_req, res) => res.writeHead(500).end());
  {
    await using rig = await serving(app, { tracing: { otlp: collector.url, sample: 1 } });
    expect((await ask(rig.port, HOST)).status).toBe(500);
  }
  expect(collector.spans[0]).toMatchObject({ status: { code: 2 }, attributes: { "error.type": "500" } });
  const away = `http://127.0.0.1:${String(await freePort())}/v1/traces`;
  const rig = await serving(app, { tracing: { otlp: away, sample: 1 } });
  for (let at = 0; at < 50; at += 1) expect((await ask(rig.port, HOST)).status).toBe(500);
  await rig[Symbol.asyncDispose]();
  expect((await rig.plane.figures()).dropped.spans).toBe(50);
});

test("counts retries, and what a service had ends with it while the sums stay", async () => {
  await using app = await startHttpApp(echo);
  await using rig = await serving(app, { accessLog: { mode: "full", file } });
  const dead = { ip: "127.0.0.1", port: await freePort() };
  rig.table.service({ key: KEY, matches: [byHost(HOST)], endpoints: [dead, app.address] });
  await rig.publish();
  let retried: readonly Line[] = [];
  // Among idle endpoints the lot decides.
  for (let asked = 1; retried.length === 0; asked += 1) {
    expect((await ask(rig.port, HOST)).status).toBe(200);
    retried = (await lines(asked)).filter((line) => line.retries === 1);
  }
  const before = await rig.plane.figures();
  expect(new Map(before.services).get(KEY)?.[SLOT.retries]).toBe(retried.length);
  rig.table.remove(KEY);
  await rig.publish();
  const after = await rig.plane.figures();
  expect(new Map(after.services).has(KEY)).toBe(false);
  expect(after.answers).toEqual(before.answers);
  expect(after.kinds[KINDS.indexOf("http")]?.[SLOT.retries]).toBe(retried.length);
});

test("keeps counting right through a thousand requests at once", async () => {
  await using app = await startHttpApp(echo);
  await using rig = await serving(app, {});
  const agent = new http.Agent({ keepAlive: true, maxSockets: 20 });
  await Promise.all(Array.from({ length: 1000 }, () => ask(rig.port, HOST, { agent })));
  agent.destroy();
  await until(() => rig.gatekeeper.open.length === 0);
  const figures = await rig.plane.figures();
  expect(figures.answers).toEqual([["http 200 app", 1000]]);
  const block = new Map(figures.services).get(KEY) ?? [];
  expect([block[SLOT.open], block[SLOT.app + 1]]).toEqual([0, 1000]);
  expect(block.slice(SLOT.duration + 1, SLOT.firstByte).reduce((sum, count) => sum + count, 0)).toBe(1000);
});
