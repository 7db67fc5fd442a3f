import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { freePort, startTcpApp, type App } from "../src/dataplanes/testing/apps.ts";
import { RawClient } from "../src/dataplanes/testing/clients.ts";
import { startEnvoyGate } from "./support/envoy-gate.ts";
import { enter } from "./support/enter.ts";
import { type Answer, ROOT, type TestGate, until } from "./support/gate.ts";
import { PAGE } from "./support/hostile.ts";
import { type OpenFlow, OpenFlows } from "./support/open-flows.ts";

// The gate is gone, its Envoy is not: who is in stays in, and who is not is told of an outage, not of a denial.

let folder: string;
let gate: TestGate;
let raw: App;
let flows: OpenFlows;
let rawPort: number;
/** Sessions, NAME=VALUE, of the task's two hosts. */
let web: string;
let rpc: string;
let before: Readonly<Record<string, OpenFlow>>;

const HELLO = [process.execPath, join(ROOT, "examples/services/hello.mjs")];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "tg-outage-"));
  raw = await startTcpApp((socket) => void socket.pipe(socket));
  rawPort = await freePort();
  const config = join(folder, "config.yaml");
  const tasks = join(folder, "tasks.yaml");
  const endpoints = [`127.0.0.1:${String(raw.address.port)}`];
  const service = { name: "raw", protocol: "tcp", endpoints, port: rawPort, access: "public" };
  writeFileSync(tasks, JSON.stringify({ tasks: [{ name: "port", services: [service] }] }));
  const tcp = { ports: `${String(rawPort)}-${String(rawPort)}` };
  writeFileSync(config, JSON.stringify({ tcp, files: [{ name: "crew", path: tasks, allowLoopback: true }] }));
  gate = await startEnvoyGate({ config });
  flows = new OpenFlows(gate, "endless");
  const services = ["web=http", "api=grpc", "raw=tcp"].flatMap((each) => ["--service", each]);
  await gate.json("run", "--name", "endless", ...services, "--", process.execPath, join(ROOT, "test/support/endless.mjs")); // prettier-ignore
  await gate.json("run", "--name", "open", "--service", "web=http", "--access", "public", "--", ...HELLO);
  for (const host of [flows.host("web"), "open.localhost"])
    await until(async () => (await gate.ask(host, "/")).status === 200, host);
  web = await enter(gate, flows.host("web"));
  rpc = await enter(gate, flows.host("api"));
  expect((await visit({ cookie: web })).status).toBe(200);
  before = await openAll();
  await gate.kill("SIGKILL");
}, 180_000);
afterAll(async () => {
  for (const flow of Object.values(before)) flow[Symbol.dispose]();
  await gate[Symbol.asyncDispose]();
  await raw[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

const visit = (headers: Readonly<Record<string, string>>, host = flows.host("web")): Promise<Answer> =>
  gate.ask(host, "/", { anonymous: true, headers });

/** Everything that somebody with a session can open, as the pages of the service itself do it. */
async function openAll(): Promise<Readonly<Record<string, OpenFlow>>> {
  const page = { cookie: web, "sec-fetch-site": "same-origin" };
  return {
    download: await flows.download(page),
    webSocket: await flows.webSocket(page),
    http2: await flows.http2(page),
    webSocketOverHttp2: await flows.webSocketOverHttp2(page),
    grpc: await flows.grpc({ ...page, cookie: rpc }),
  };
}

const openOf = (all: Readonly<Record<string, OpenFlow>>) =>
  Object.entries(all).flatMap(([kind, { open }]) => (open ? [kind] : []));

describe("while the gate is gone", () => {
  test("who has a session works on, by all that they could do before", async () => {
    for (let times = 0; times < 5; times += 1) expect((await visit({ cookie: web })).status).toBe(200);
    const fresh = await openAll();
    await sleep(500);
    expect(openOf(fresh)).toEqual(Object.keys(fresh));
    for (const flow of Object.values(fresh)) flow[Symbol.dispose]();
  });

  test("what was open stays open", () => {
    expect(openOf(before)).toEqual(Object.keys(before));
  });

  test("what is public needs no gate, and a port of its own neither", async () => {
    expect((await visit({}, "open.localhost")).status).toBe(200);
    using client = await RawClient.connect(rawPort, "echo");
    await until(() => client.received === "echo", "the echo", 5000);
  });

  test.each<[string, () => Promise<Answer>]>([
    ["a first visit", () => visit({})],
    ["a first visit of a browser", () => visit(PAGE)],
    ["a token", () => gate.ask(flows.host("web"), "/")],
    ["a session of another host", () => visit({ cookie: web }, flows.host("api"))],
    ["a session that somebody made up", () => visit({ cookie: `${web.slice(0, -4)}AAAA` })],
    ["a host that is nobody's", () => visit({ cookie: web }, "nobody.localhost")],
    ["the gate's own page", () => visit({}, "taskgate.localhost")],
  ])("%s is told of an outage, and when to come again", async (_who, ask) => {
    const answer = await ask();
    expect([answer.status, answer.headers["x-taskgate-error"]]).toEqual([503, "gate_unreachable"]);
    expect(Number(answer.headers["retry-after"])).toBeGreaterThan(0);
    expect(answer.headers["set-cookie"]).toBeUndefined();
    if (_who.includes("browser")) expect(answer.body).toContain("<!doctype html>");
  });
});

test("the next gate has everybody as they were, and says which connections nobody can end", async () => {
  await gate.up();
  await until(
    async () => (await gate.ask("taskgate.localhost", "/.taskgate/api/v1/version")).status === 200,
    "the gate",
  );
  expect((await visit({})).status).toBe(401);
  expect((await visit({ cookie: web })).status).toBe(200);
  expect(openOf(before)).toEqual(Object.keys(before));
  await until(async () => (await gate.ask("taskgate.localhost", "/.taskgate/api/v1/problems")).body.includes("unheld_connections"), "the list", 20_000); // prettier-ignore
});
