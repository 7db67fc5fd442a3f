import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import WebSocket from "ws";
import type { AuditLine } from "../src/model/index.ts";
import { startExampleTasks } from "./support/example-tasks.ts";
import { ROOT, startTestGate, type TestGate } from "./support/gate.ts";

const CONFIG = "audit:\n  visitIdle: 1s\n  streamAfter: 1s\n";

/** Lines that match, as `taskgate audit --json` prints them. */
async function audited(gate: TestGate, ...options: readonly string[]): Promise<AuditLine[]> {
  const ran = await gate.cli("audit", "--json", ...options);
  if (ran.code !== 0) throw new Error(ran.stderr);
  return ran.stdout
    .split("\n")
    .filter((text) => text !== "")
    .map((text) => JSON.parse(text) as AuditLine);
}

/** Waits until the log holds a line like this. */
async function expectLine(gate: TestGate, line: Partial<AuditLine>, ...options: readonly string[]): Promise<void> {
  const look = () => audited(gate, ...options);
  await expect.poll(look, { timeout: 20_000, interval: 300 }).toContainEqual(expect.objectContaining(line));
}

async function openChat(gate: TestGate, token: string): Promise<WebSocket> {
  const { port } = gate.file();
  const socket = new WebSocket(`ws://127.0.0.1:${String(port)}/?secret=querysecret`, {
    headers: { host: `chat.localhost:${String(port)}`, "x-taskgate-authorization": `Bearer ${token}` },
  });
  socket.on("error", () => undefined); // "close" follows
  await once(socket, "open");
  return socket;
}

describe.each([0, 1])("a gate with %i workers", (workers) => {
  let folder: string;
  let gate: TestGate;
  let user: string;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "tg-audit-"));
    const config = join(folder, "gate.yaml");
    writeFileSync(config, `workers: ${String(workers)}\n${CONFIG}`);
    gate = await startTestGate({ config });
    await startExampleTasks(gate);
    user = (await gate.task("hello")).owner ?? "";
  });
  afterAll(async () => {
    await gate[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  });

  test("keeps who visited what as one visit, with its requests and bytes", async () => {
    for (let at = 0; at < 5; at += 1) await gate.ask("hello.localhost", "/?token=querysecret");
    const who = { realm: "local", user, proof: "tokens", peer: "127.0.0.1", outcome: "allowed" } as const;
    const where = { kind: "http", service: "local/hello/main", task: "local/hello", owner: `local/${user}` } as const;
    await expectLine(gate, { ...who, ...where, event: "start" });
    await expectLine(gate, { ...who, ...where, event: "end" }, "--service", "hello/main");
    const ends = (await audited(gate, "--task", "hello", "--kind", "http")).filter(({ event }) => event === "end");
    expect(ends.reduce((sum, { requests = 0 }) => sum + requests, 0)).toBeGreaterThanOrEqual(5);
    expect(ends.at(-1)?.bytesOut).toBeGreaterThan(0);
  });

  test("keeps refusals, with what is known of who was refused", async () => {
    await gate.ask("hello.localhost", "/", { anonymous: true });
    await gate.ask("nothing.localhost", "/evil%0a%1b[2J", { anonymous: true });
    await gate.ask("hello.localhost", "/", {
      anonymous: true,
      headers: { authorization: "Bearer tg_aaaaaaaaaaaa_wrong" },
    });
    const refused = ["--outcome", "refused"];
    await expectLine(gate, { code: "unauthenticated", service: "local/hello/main", peer: "127.0.0.1" }, ...refused);
    await expectLine(
      gate,
      { code: "unknown_host", host: expect.stringContaining("nothing.localhost") as string },
      ...refused,
    );
  });

  test("keeps changes by the API: tokens, tasks, logins; and refused ones", async () => {
    const { id, token } = await gate.json<{ id: string; token: string }>("token", "create", "ci");
    await expectLine(gate, { kind: "api", operation: "createToken", object: id, user, outcome: "allowed" });
    const socket = await openChat(gate, token);
    await expectLine(gate, { kind: "websocket", event: "start", credential: id, service: "local/chat/main" });
    const closed = once(socket, "close");
    await gate.cli("token", "revoke", id);
    await closed;
    await expectLine(gate, { operation: "revokeToken", object: id, outcome: "allowed" });
    await expectLine(gate, { kind: "websocket", event: "end", outcome: "cut", code: "revoked", credential: id });
    await gate.cli("restart", "hello");
    await expectLine(
      gate,
      { operation: "restartTask", task: "local/hello", owner: `local/${user}` },
      "--task",
      "hello",
    );
    const gateHost = gate.file().gateHost;
    await gate.ask(gateHost, "/.taskgate/api/v1/login", { method: "POST", body: '{"code":"wrong"}', anonymous: true });
    await expectLine(gate, { kind: "login", operation: "redeemCode", peer: "127.0.0.1", outcome: "refused" });
  });

  test("keeps TCP connections from their start to their end", async () => {
    const task = await gate.task("raw");
    const port = task.services[0]?.port ?? 0;
    const socket = connect(port, "127.0.0.1");
    await once(socket, "connect");
    socket.write("hello");
    await once(socket, "data");
    await expectLine(gate, { kind: "tcp", event: "start", service: "local/raw/main", peer: "127.0.0.1" });
    socket.end();
    await expectLine(gate, { kind: "tcp", event: "end", outcome: "allowed", bytesIn: 5, bytesOut: 5 });
  });

  test("holds no secret, is its owner's alone, and each line follows from the one before", async () => {
    const audit = join(gate.home, "audit");
    for (const name of readdirSync(audit)) {
      expect(statSync(join(audit, name)).mode & 0o777).toBe(0o600);
      const text = readFileSync(join(audit, name), "utf8");
      expect(text).not.toContain(gate.token().slice(-30));
      expect(text).not.toContain("querysecret");
      // Nothing but line ends steers whatever shows it.
      expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028-\u202e]/);
    }
    const ran = await gate.cli("audit", "--verify");
    expect(ran.stdout).toMatch(/each follows from the one before/);
  });

  test("prints it for people, and says what it does not know", async () => {
    const ran = await gate.cli("audit", "--user", user, "--since", "1h");
    expect(ran.stdout).toMatch(new RegExp(`websocket start +allowed +local/${user} .*local/chat/main`));
    expect((await gate.cli("audit", "--since", "yesterday")).stderr).toContain('"yesterday" is no time');
  });
});

test("is followed through a kill of the gate, which takes no line that was told a second before", async () => {
  await using gate = await startTestGate();
  const following = spawn(join(ROOT, "bin", "taskgate"), ["audit", "--follow", "--json", "--kind", "api"], {
    env: { ...gate.environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let seen = "";
  following.stdout.on("data", (chunk: Buffer) => (seen += chunk.toString()));
  await gate.json("token", "create", "first");
  await expect.poll(() => seen, { timeout: 20_000 }).toContain('"name":"first"');
  await gate.json("token", "create", "second");
  await new Promise((resolve) => setTimeout(resolve, 1000));
  await gate.kill("SIGKILL");
  await gate.up();
  await gate.json("token", "create", "third");
  await expect.poll(() => seen, { timeout: 20_000 }).toContain('"name":"third"');
  const names = seen.split("\n").flatMap((text) => /"after":\{"name":"([^"]+)"/.exec(text)?.[1] ?? []);
  expect(names).toEqual(["first", "second", "third"]);
  following.kill("SIGINT");
  const [code] = (await once(following, "exit")) as [number | null];
  expect(code).toBe(0);
  expect((await gate.cli("audit", "--verify")).code).toBe(0);
});
