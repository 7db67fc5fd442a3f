import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, type ExpectStatic, test } from "vitest";
import WebSocket from "ws";
import type { TaskView } from "../src/api/wire.ts";
import { pythonEnvironment } from "../testbed/python/environment.ts";
import { ROOT, startTestGate, type TestGate } from "./support/gate.ts";

const SERVICES = join(ROOT, "examples", "services");
const CONFIG = "cull:\n  warnBefore: 5s\n  background:\n    '*': ['GET /beat']\n";

async function startGate(folder: string, workers: number): Promise<TestGate> {
  const config = join(folder, `gate-${String(workers)}.yaml`);
  writeFileSync(config, `workers: ${String(workers)}\n${CONFIG}`);
  return startTestGate({ config });
}

async function start(gate: TestGate, name: string, idleStop: string, command: readonly string[]): Promise<TaskView> {
  return gate.json<TaskView>("run", "--name", name, "--idle-stop", idleStop, "--wait", "90s", "--", ...command);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Does something again and again until disposed. */
function repeat(everyMs: number, work: () => Promise<unknown>): AsyncDisposable {
  const state = { over: false };
  const loop = (async () => {
    while (!state.over) {
      await work().catch(() => undefined); // the task may be gone by now, which is what the test waits for
      await pause(everyMs);
    }
  })();
  return {
    async [Symbol.asyncDispose]() {
      state.over = true;
      await loop;
    },
  };
}

function expectCulled(expect: ExpectStatic, gate: TestGate, name: string, within = 40_000) {
  const look = async () => {
    const { state, reason } = await gate.task(name);
    return `${state}: ${reason ?? ""}`;
  };
  return expect.poll(look, { timeout: within, interval: 300 });
}

async function openSocket(gate: TestGate, host: string, path: string): Promise<WebSocket> {
  const { port } = gate.file();
  const socket = new WebSocket(`ws://127.0.0.1:${String(port)}${path}`, {
    headers: { host: `${host}:${String(port)}`, "x-taskgate-authorization": `Bearer ${gate.token()}` },
  });
  socket.on("error", () => undefined); // "close" follows
  await once(socket, "open");
  return socket;
}

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "tg-cull-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

// Each waits for most of its time.
describe.concurrent.each([0, 1])("a gate with %i workers", (workers) => {
  let gate: TestGate;
  beforeAll(async () => {
    gate = await startGate(folder, workers);
  });
  afterAll(() => gate[Symbol.asyncDispose]());

  test("keeps what is used, warns of what is not, and stops it with the reason", async ({ expect }) => {
    await start(gate, "hello", "12s", [process.execPath, join(SERVICES, "hello.mjs")]);
    await using beats = repeat(300, () => gate.ask("hello.localhost", "/beat"));
    {
      await using visits = repeat(300, () => gate.ask("hello.localhost", "/"));
      await pause(15_000);
      expect((await gate.task("hello")).state).toBe("running");
      await visits[Symbol.asyncDispose]();
    }
    const warned = async () =>
      (await gate.task("hello")).problems.map(({ code, message }) => `${code} ${message}`).join();
    await expect
      .poll(warned, { timeout: 30_000, interval: 100 })
      .toMatch(/idle_stop_soon .*last used at .* by local\/.*stopped at/);
    expect((await gate.cli("ps")).stdout).toContain("unless somebody does");
    const reason = /^finished: stopped after \d+ s without use; last used at 20\d\d-.* UTC by local\//;
    await expectCulled(expect, gate, "hello").toMatch(reason);
    const audited = async () => (await gate.cli("audit", "--kind", "gate", "--task", "hello", "--json")).stdout;
    await expect.poll(audited, { timeout: 10_000 }).toMatch(/"operation":"cull".*without use/);
    await gate.json("restart", "hello");
    expect((await gate.task("hello")).reason ?? "").not.toContain("without use");
    await gate.cli("rm", "hello");
    await beats[Symbol.asyncDispose]();
  });

  test("keeps a task whose visitor says something over its WebSocket, and stops one whose WebSocket is only open", async ({
    expect,
  }) => {
    await start(gate, "chat", "8s", [process.execPath, join(SERVICES, "chat.mjs")]);
    const socket = await openSocket(gate, "chat.localhost", "/");
    {
      await using talking = repeat(300, () => {
        socket.send("something that somebody says");
        return Promise.resolve();
      });
      await pause(12_000);
      expect((await gate.task("chat")).state).toBe("running");
      await talking[Symbol.asyncDispose]();
    }
    await using pinging = repeat(200, () => {
      socket.ping();
      socket.pong();
      return Promise.resolve();
    });
    await expectCulled(expect, gate, "chat").toMatch(/^finished: stopped after/);
    await pinging[Symbol.asyncDispose]();
    socket.terminate();
  });
});

describe.concurrent("a gate that starts anew", () => {
  test("does not stop at once what nobody could use meanwhile, and knows who used it last", async ({ expect }) => {
    await using gate = await startGate(folder, 0);
    await start(gate, "hello", "10s", [process.execPath, join(SERVICES, "hello.mjs")]);
    await pause(1500); // what is used in a task's first second is not told from its start
    await gate.ask("hello.localhost", "/");
    await gate.kill("SIGTERM");
    await pause(10_000);
    await gate.up();
    await gate.task("hello").then(({ state }) => expect(state).toBe("running"));
    await expectCulled(expect, gate, "hello").toMatch(/^finished: stopped after .*; last used at .* by local\//);
  }, 300_000);
});

describe.concurrent("JupyterLab", () => {
  /** What its page asks for while nobody touches it, as it was recorded (JupyterLab 4.6.6 in Chromium). */
  const POLLS = ["/api/kernels", "/api/sessions", "/api/terminals", "/api/contents?content=1&hash=0"];
  let gate: TestGate;
  let lab: readonly string[];
  beforeAll(async () => {
    const { bin } = await pythonEnvironment();
    gate = await startGate(folder, 0);
    // Two that look for a free port at the same time may find the same one.
    lab = [join(bin, "jupyter"), "lab", "--no-browser", "--allow-root", "--port=0", `--ServerApp.root_dir=${folder}`];
  }, 300_000);
  afterAll(() => gate[Symbol.asyncDispose]());

  function poll(name: string): AsyncDisposable {
    return repeat(500, () =>
      Promise.all(
        POLLS.map((path) =>
          gate.ask(`${name}.localhost`, `${path}${path.includes("?") ? "&" : "?"}${String(Date.now())}`),
        ),
      ),
    );
  }

  test("is stopped though its page polls, and its WebSockets are open", async ({ expect }) => {
    await start(gate, "idle", "10s", [...lab, "--IdentityProvider.token="]);
    await using polling = poll("idle");
    const events = await openSocket(gate, "idle.localhost", "/api/events/subscribe");
    await expectCulled(expect, gate, "idle").toMatch(/^finished: stopped after/);
    events.terminate();
    await polling[Symbol.asyncDispose]();
  });

  test("is kept while a kernel works, and stopped when it has done its work", async ({ expect }) => {
    await start(gate, "busy", "8s", [...lab, "--IdentityProvider.token=", "--ServerApp.disable_check_xsrf=True"]);
    const made = await gate.ask("busy.localhost", "/api/kernels", { method: "POST", body: "{}" });
    expect(made.status, made.body).toBe(201);
    const { id } = JSON.parse(made.body) as { id: string };
    const socket = await openSocket(gate, "busy.localhost", `/api/kernels/${id}/channels`);
    socket.send(executing("import time; time.sleep(45)"));
    await pause(2000);
    socket.terminate();
    await using polling = poll("busy");
    await pause(25_000);
    expect((await gate.task("busy")).state).toBe("running");
    await expectCulled(expect, gate, "busy", 120_000).toMatch(/^finished: stopped after/);
    await polling[Symbol.asyncDispose]();
  }, 300_000);
});

/** A message of Jupyter's protocol (version 5.4) that runs code. */
function executing(code: string): string {
  const header = { msg_id: "m1", session: "s1", username: "", msg_type: "execute_request", version: "5.4", date: "" };
  const content = { code, silent: false, store_history: false, user_expressions: {}, allow_stdin: false };
  return JSON.stringify({
    header: { ...header, date: new Date().toISOString() },
    parent_header: {},
    metadata: {},
    content,
    channel: "shell",
    buffers: [],
  });
}
