import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import http2 from "node:http2";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import grpc from "@grpc/grpc-js";
import WebSocket, { WebSocketServer } from "ws";
import { freePort, startHttpApp, startTcpApp } from "../src/dataplanes/testing/apps.ts";
import { RawClient } from "../src/dataplanes/testing/clients.ts";
import { grpcClient, startGrpcApp, unary } from "../src/dataplanes/testing/grpc-app.ts";
import { startOtlpCollector, type OtlpCollector } from "../src/dataplanes/testing/otlp-collector.ts";
import { enter } from "./support/enter.ts";
import { startTestGate, until, type TestGate } from "./support/gate.ts";

const scope = new AsyncDisposableStack();
let gate: TestGate;
let folder: string;
let collector: OtlpCollector;
let tcpPort: number;

interface Line extends Readonly<Record<string, unknown>> {
  readonly service?: string;
}

const lines = (): Line[] =>
  readFileSync(join(folder, "access.log"), "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Line);

const lineOf = (service: string) => lines().find((line) => line.service === service);

async function scrape(): Promise<string> {
  const answer = await fetch(`http://${gate.file().adminAddress ?? ""}/metrics`);
  expect(answer.status).toBe(200);
  return answer.text();
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "taskgate-seen-"));
  scope.defer(() => rm(folder, { recursive: true }));
  collector = scope.use(await startOtlpCollector());
  const web = scope.use(await startHttpApp((req, res) => res.end(JSON.stringify(req.headers))));
  const sockets = new WebSocketServer({ server: web.server });
  sockets.on("connection", (socket) => socket.on("message", (data) => socket.send(data as Buffer)));
  const rpc = scope.use(await startGrpcApp());
  const tcp = scope.use(await startTcpApp((socket) => void socket.pipe(socket)));
  tcpPort = await freePort();
  const service = (name: string, port: number, more: object = {}) => ({
    ...{ name, services: [{ name: "it", endpoints: [`127.0.0.1:${String(port)}`], ...more }] },
  });
  const tasks = [
    service("web", web.address.port, { access: "public" }),
    service("closed", web.address.port),
    service("rpc", rpc.address.port, { protocol: "grpc" }),
    service("raw", tcp.address.port, { protocol: "tcp", guard: "self", access: "public", port: tcpPort }),
    service("dead", await freePort(), { access: "public" }),
  ];
  writeFileSync(join(folder, "tasks.yaml"), JSON.stringify({ tasks }));
  const config = {
    files: [{ name: "lab", path: "tasks.yaml", allowLoopback: true }],
    tcp: { ports: `${String(tcpPort)}-${String(tcpPort)}` },
    accessLog: { mode: "full", file: "access.log" },
    tracing: { otlp: collector.url, sample: 1 },
    metrics: { services: 3 },
  };
  writeFileSync(join(folder, "gate.yaml"), JSON.stringify(config));
  gate = scope.use(await startTestGate({ config: join(folder, "gate.yaml") }));
  await until(async () => (await gate.ask("web.localhost", "/")).status === 200, "the tasks");
}, 60_000);

afterAll(() => scope.disposeAsync());

test("tells of HTTP/1.1, HTTP/2, gRPC, WebSocket and TCP in metrics, log and spans alike", async () => {
  const { port } = gate.file();
  const url = `http://127.0.0.1:${String(port)}`;
  await gate.ask("web.localhost", "/one?code=s3cret", { headers: { "x-request-id": "mine-1" } });
  const session = http2.connect(url);
  const stream = session.request({ ":path": "/two", ":authority": "web.localhost" });
  stream.resume();
  await once(stream, "close");
  session.close();
  const metadata = new grpc.Metadata();
  metadata.set("x-taskgate-authorization", `Bearer ${gate.token()}`);
  using client = grpcClient(port, "rpc.localhost");
  expect(String(await unary(client, "hi", metadata))).toBe("hi");
  const socket = new WebSocket(`${url.replace("http", "ws")}/ws`, { headers: { host: "web.localhost" } });
  await once(socket, "open");
  socket.send("hello");
  await once(socket, "message");
  expect(await scrape()).toContain('taskgate_open_connections{kind="websocket"} 1\n');
  socket.close();
  await once(socket, "close");
  using raw = await RawClient.connect(tcpPort, "12345");
  await until(() => raw.received === "12345", "the echo");
  raw.socket.end();

  const wanted = [
    {
      kind: "http",
      protocol: "HTTP/1.1",
      path: "/one?",
      requestId: "mine-1",
      status: 200,
      principal: expect.any(String) as string,
    },
    { kind: "http", protocol: "HTTP/2", path: "/two", status: 200 },
    { kind: "grpc", protocol: "HTTP/2", path: "/test.Echo/Unary", service: "lab/rpc/it", status: 200 },
    { kind: "websocket", path: "/ws", status: 101, service: "lab/web/it" },
    { kind: "tcp", service: "lab/raw/it", bytesIn: 5, bytesOut: 5 },
  ];
  await expect
    .poll(lines, { timeout: 5000 })
    .toEqual(expect.arrayContaining(wanted.map((line) => expect.objectContaining(line) as unknown)));
  const told = await scrape();
  expect(told).toMatch(/taskgate_requests_total\{kind="http",status="200",source="app"\} \d+\n/);
  expect(told).toContain('taskgate_requests_total{kind="grpc",status="200",source="app"} 1\n');
  expect(told).toContain('taskgate_requests_total{kind="websocket",status="101",source="app"} 1\n');
  expect(told).toContain('taskgate_bytes_total{kind="tcp",direction="in"} 5\n');
  await expect.poll(scrape).toContain('taskgate_open_connections{kind="tcp"} 0\n');
  await expect.poll(() => collector.spans.length, { timeout: 15_000 }).toBeGreaterThanOrEqual(4);
  const span = collector.spans.find(({ attributes }) => attributes["taskgate.request_id"] === "mine-1");
  expect(span?.attributes).toMatchObject({ "url.path": "/one?", "http.response.status_code": 200 });
  expect(lines().find(({ requestId }) => requestId === "mine-1")?.traceId).toBe(span?.traceId);
});

test("tells of every request whose session it came with, also where that is known by then", async () => {
  const cookie = await enter(gate, "closed.localhost");
  const ids = ["session-1", "session-2", "session-3"];
  for (const id of ids) {
    const headers = { cookie: `${cookie}; theme=dark`, "x-request-id": id };
    expect((await gate.ask("closed.localhost", "/", { anonymous: true, headers })).status).toBe(200);
  }
  const told = () => lines().filter(({ requestId }) => ids.includes(String(requestId)));
  await expect.poll(() => told().length, { timeout: 5000 }).toBe(3);
  const [first] = told();
  expect(first?.principal).toEqual(expect.any(String));
  expect(told().map(({ principal }) => principal)).toEqual(ids.map(() => first?.principal));
});

test("marks its own failures by one code in the answer, the log and the metrics", async () => {
  const answer = await gate.ask("dead.localhost", "/");
  expect(answer.headers["proxy-status"]).toBe(
    `taskgate; error=connection_refused; details="${String(answer.headers["x-taskgate-error"])}"`,
  );
  await expect
    .poll(() => lineOf("lab/dead/it"))
    .toMatchObject({
      ...{
        status: 502,
        source: "gate",
        code: answer.headers["x-taskgate-error"],
        requestId: answer.headers["x-request-id"],
      },
    });
  const told = await scrape();
  expect(told).toContain(`taskgate_refusals_total{code="${String(answer.headers["x-taskgate-error"])}"} 1\n`);
  expect(told).toMatch(/taskgate_connect_failures_total\{reason="failed"\} [1-9]/);
});

test("keeps credentials and queries out of the log and the spans", () => {
  const log = readFileSync(join(folder, "access.log"), "utf8") + JSON.stringify(collector.spans);
  expect(log).not.toContain(gate.token());
  expect(log).not.toContain("s3cret");
});

test("has figures of three services and the rest together, and none of a service that went away", async () => {
  const services = async () => new Set([...(await scrape()).matchAll(/service="([^"]+)"/g)].map(([, name]) => name));
  expect((await services()).size).toBe(4);
  expect(await services()).toContain("other");
  writeFileSync(join(folder, "tasks.yaml"), JSON.stringify({ tasks: [] }));
  await expect
    .poll(async () => [...(await services())].some((name) => name?.startsWith("lab/")), { timeout: 10_000 })
    .toBe(false);
});
