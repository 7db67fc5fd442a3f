import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { startTestGate, type TestGate, until } from "./support/gate.ts";

const ROUNDS = 150;

let folder: string;
let tasksFile: string;
let gate: TestGate;
let healthy: Server;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "tg-bad-"));
  tasksFile = join(folder, "tasks.yaml");
  healthy = createServer((_request, response) => response.end("healthy"));
  const sockets = new WebSocketServer({ server: healthy });
  sockets.on("connection", (socket) => socket.on("message", (data: Buffer) => socket.send(data.toString())));
  await new Promise<void>((resolve) => healthy.listen(0, "127.0.0.1", resolve));
  save([good()]);
  const config = join(folder, "config.yaml");
  writeFileSync(config, JSON.stringify({ files: [{ path: tasksFile, allowLoopback: true }] }));
  gate = await startTestGate({ config });
  await until(async () => (await gate.ask("good.localhost", "/")).status === 200, "the healthy task");
});

afterAll(async () => {
  await gate[Symbol.asyncDispose]();
  healthy.closeAllConnections();
  healthy.close();
  rmSync(folder, { recursive: true, force: true });
});

function good(): unknown {
  const { port } = healthy.address() as AddressInfo;
  return { name: "good", services: [{ name: "web", protocol: "http", endpoints: [`127.0.0.1:${String(port)}`] }] };
}

function save(tasks: readonly unknown[]): void {
  saveText(JSON.stringify({ tasks }));
}

function saveText(text: string): void {
  writeFileSync(`${tasksFile}.new`, text);
  renameSync(`${tasksFile}.new`, tasksFile);
}

const hostile = fc.oneof(
  fc.constantFrom(
    "",
    "__proto__",
    "constructor",
    "good",
    "../../etc",
    "a".repeat(5000),
    "nb\r\nx: y",
    "\u0000",
    "taskgate",
    "xn--",
    "🦊",
  ),
  fc.string(),
  fc.integer(),
  fc.constant(null),
  fc.array(fc.string(), { maxLength: 3 }),
  fc.dictionary(fc.string(), fc.anything(), { maxKeys: 3 }),
);

const badTask = fc.record(
  {
    name: hostile,
    kind: hostile,
    owner: hostile,
    services: fc.oneof(
      hostile,
      fc.array(
        fc.record(
          {
            name: hostile,
            protocol: fc.oneof(fc.constantFrom("http", "tcp", "tls", "grpc", "udp"), hostile),
            endpoints: fc.oneof(
              hostile,
              fc.array(
                fc.oneof(
                  fc.constantFrom(
                    "169.254.169.254:80",
                    "127.0.0.1:0",
                    "0.0.0.0:1",
                    "host:80",
                    "[::ffff:169.254.169.254]:80",
                  ),
                  hostile,
                ),
              ),
            ),
            path: hostile,
            hostLabel: fc.oneof(fc.constantFrom("good", "taskgate", "paths"), hostile),
          },
          { requiredKeys: ["name"] },
        ),
        { maxLength: 4 },
      ),
    ),
  },
  { requiredKeys: ["name"] },
);

test("random bad tasks and broken files beside a healthy task: it answers all the time, and its WebSocket stays", async () => {
  const { address, port } = gate.file();
  const socket = new WebSocket(`ws://${address}:${String(port)}/`, {
    headers: { host: `good.localhost:${String(port)}`, "x-taskgate-authorization": `Bearer ${gate.token()}` },
  });
  await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
  const rounds = fc.sample(fc.tuple(fc.array(badTask, { minLength: 1, maxLength: 20 }), fc.boolean()), ROUNDS);
  for (const [tasks, broken] of rounds) {
    if (broken) saveText(`tasks: [\n${JSON.stringify(tasks).slice(0, -2)}`);
    else save([good(), ...tasks]);
    const answer = await gate.ask("good.localhost", "/");
    expect([answer.status, answer.body]).toEqual([200, "healthy"]);
  }
  save([
    good(),
    {
      name: "after",
      services: [
        { name: "web", protocol: "http", endpoints: [`127.0.0.1:${String((healthy.address() as AddressInfo).port)}`] },
      ],
    },
  ]);
  await until(async () => (await gate.ask("after.localhost", "/")).status === 200, "a good task after the bad ones");
  const echoed = new Promise((resolve) => socket.once("message", (data: Buffer) => resolve(data.toString())));
  socket.send("still here");
  expect(await echoed).toBe("still here");
  socket.close();
});
