import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type App, freePort, startHttpApp } from "../src/dataplanes/testing/apps.ts";
import { ask } from "../src/dataplanes/testing/clients.ts";
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

let job: ChildProcess;
let app: App;
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
  const [web = 0, api = 0, tcp = 0, plain = 0] = ports;
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
  ];
}

function hostOf(task: string, service: string): string {
  return `${service === "web" ? "" : `${service}-`}${task}.localhost`;
}

function hostIn({ match }: Route): string {
  return match.by === "host" ? match.host : "";
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
  envoy = await WatchedEnvoy.start((port) => led(port, [...ports, app.address.port]));
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
    await until(() => Promise.resolve(openOf("lenient").length === 7), "all to be held", 3000);
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
    await until(() => Promise.resolve(openOf("lenient").length === 0), "their entries", 5000);
    expect(gate.watch.unheld.size).toBe(0);
  });
});
