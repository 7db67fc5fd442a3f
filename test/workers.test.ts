import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import WebSocket from "ws";
import { startExampleTasks } from "./support/example-tasks.ts";
import { startTestGate, type TestGate, until } from "./support/gate.ts";

const WORKERS = 2;
/** Of processes that have done nothing yet. */
const GATE_MIB = 120;
const WORKER_MIB = 60;

let gate: TestGate;

beforeAll(async () => {
  gate = await startTestGate({ environment: { TASKGATE_WORKERS: String(WORKERS), TASKGATE_WORKER_GRACE: "20s" } });
  await startExampleTasks(gate);
});

afterAll(() => gate[Symbol.asyncDispose]());

/** Worker processes of the gate that runs now. */
function workers(pid = gate.file().pid): number[] {
  const children = readFileSync(`/proc/${String(pid)}/task/${String(pid)}/children`, "utf8")
    .trim()
    .split(" ");
  return children.map(Number).filter((child) => child > 0 && commandOf(child).includes("plane-worker"));
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${String(pid)}/cmdline`, "utf8");
  } catch {
    return "";
  }
}

function memoryOf(pid: number): { readonly rss: number; readonly own: number } {
  const text = readFileSync(`/proc/${String(pid)}/smaps_rollup`, "utf8");
  const mib = (key: string): number =>
    Math.round(Number(new RegExp(`^${key}:\\s+(\\d+)`, "m").exec(text)?.[1]) / 102.4) / 10;
  return { rss: mib("Rss"), own: mib("Anonymous") };
}

/** A WebSocket that says whether what it says comes back. */
async function openChat(token = gate.token()): Promise<WebSocket> {
  const { port } = gate.file();
  const socket = new WebSocket(`ws://127.0.0.1:${String(port)}/`, {
    headers: { host: `chat.localhost:${String(port)}`, "x-taskgate-authorization": `Bearer ${token}` },
  });
  socket.on("error", () => undefined); // "close" follows
  await once(socket, "open");
  return socket;
}

async function echoes(socket: WebSocket): Promise<boolean> {
  if (socket.readyState !== WebSocket.OPEN) return false;
  const answer = once(socket, "message", { signal: AbortSignal.timeout(10_000) }).then(
    ([data]) => String(data as Buffer) === "still here",
    () => false,
  );
  socket.send("still here");
  return answer;
}

async function alive(sockets: readonly WebSocket[]): Promise<WebSocket[]> {
  const found = await Promise.all(sockets.map(async (socket) => ((await echoes(socket)) ? [socket] : [])));
  return found.flat();
}

async function openMany(count: number): Promise<WebSocket[]> {
  const sockets: WebSocket[] = [];
  for (let opened = 0; opened < count; opened += 1) sockets.push(await openChat());
  return sockets;
}

/** Every connection of its own, so that all workers get some. */
async function everyAnswer(count: number): Promise<number[]> {
  const statuses = await Promise.all(Array.from({ length: count }, () => gate.ask("hello.localhost", "/")));
  return statuses.map(({ status }) => status);
}

async function rawEcho(text: string): Promise<string> {
  const url = new URL((await gate.task("raw")).services[0]?.url ?? "");
  const socket = connect(Number(url.port), "127.0.0.1");
  socket.end(text);
  let received = "";
  for await (const chunk of socket.setEncoding("utf8")) received += String(chunk);
  return received;
}

/** A browser's way to a session of `hello`; gives its cookie. */
async function logIn(): Promise<string> {
  const page = { accept: "text/html", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document" };
  const sent = await gate.ask("hello.localhost", "/", { anonymous: true, headers: page });
  const query = new URL(sent.headers.location ?? "").searchParams;
  const body = JSON.stringify({ host: query.get("host"), state: query.get("state"), path: query.get("path") });
  const headers = { "content-type": "application/json" };
  const visit = await gate.ask("taskgate.localhost", "/.taskgate/api/v1/visits", { method: "POST", headers, body });
  const to = new URL((JSON.parse(visit.body) as { location: string }).location);
  const state = sent.headers["set-cookie"]?.[0]?.split(";")[0] ?? "";
  const anonymous = { anonymous: true, headers: { ...page, cookie: state } };
  const back = await gate.ask(to.hostname, to.pathname + to.search, anonymous);
  return back.headers["set-cookie"]?.[0]?.split(";")[0] ?? "";
}

test("serves HTTP, WebSockets, raw TCP and logins in every worker", async () => {
  expect(workers()).toHaveLength(WORKERS);
  expect(new Set(await everyAnswer(40))).toEqual(new Set([200]));
  const sockets = await openMany(20);
  expect(await alive(sockets)).toHaveLength(20);
  for (const socket of sockets) socket.terminate();
  expect(await Promise.all(Array.from({ length: 10 }, (_, at) => rawEcho(`raw ${String(at)}`)))).toHaveLength(10);
  expect(await rawEcho("raw")).toBe("raw");
  expect((await gate.ask("hello.localhost", "/", { anonymous: true })).status).toBe(401);
  const cookie = await logIn();
  const visits = Array.from({ length: 20 }, () =>
    gate.ask("hello.localhost", "/", { anonymous: true, headers: { cookie } }),
  );
  expect(new Set((await Promise.all(visits)).map(({ status }) => status))).toEqual(new Set([200]));
});

test("a worker that is killed under load takes only its own connections along, and another one is there at once", async () => {
  const before = workers();
  const sockets = await openMany(40);
  let asking = true;
  const statuses: number[] = [];
  let broken = 0;
  const load = Array.from({ length: 8 }, async () => {
    while (asking) {
      await gate.ask("hello.localhost", "/").then(
        ({ status }) => statuses.push(status),
        () => (broken += 1),
      );
    }
  });
  await until(() => statuses.length > 50, "load");
  const [victim = 0] = before;
  process.kill(victim, "SIGKILL");
  await until(() => commandOf(victim) === "", "the worker to end");
  expect(await everyAnswer(10)).toEqual(Array.from({ length: 10 }, () => 200));
  const left = await alive(sockets);
  await until(() => workers().length === WORKERS, "another worker");
  const fresh = await openMany(4);
  expect(await alive(fresh)).toHaveLength(4);
  asking = false;
  await Promise.all(load);
  expect(left.length).toBeGreaterThan(0);
  expect(left.length).toBeLessThan(40);
  expect(new Set(statuses)).toEqual(new Set([200]));
  expect(broken).toBeLessThanOrEqual(8); // requests that were under way in it
  expect((await alive(left)).length).toBe(left.length);
  for (const socket of [...sockets, ...fresh]) socket.terminate();
});

test("what is revoked is cut in every worker at once, and nothing else is", async () => {
  const { token, id } = await gate.json<{ token: string; id: string }>("token", "create", "cut");
  const theirs = await Promise.all(Array.from({ length: 20 }, () => openChat(token)));
  const others = await openMany(6);
  expect(await alive(theirs)).toHaveLength(20);
  const ends = Promise.all(theirs.map((socket) => once(socket, "close", { signal: AbortSignal.timeout(10_000) })));
  const [, revoked] = await Promise.all([ends, gate.cli("token", "revoke", id)]);
  expect(revoked.code).toBe(0);
  expect(await alive(others)).toHaveLength(6);
  for (const socket of others) socket.terminate();
});

test("fresh workers take over on SIGUSR2: nobody is refused, and what was open goes on in the old ones", async () => {
  const old = workers();
  const sockets = await openMany(10);
  let asking = true;
  const statuses: number[] = [];
  const load = Array.from({ length: 4 }, async () => {
    while (asking) statuses.push((await gate.ask("hello.localhost", "/")).status); // a refused one throws
  });
  process.kill(gate.file().pid, "SIGUSR2");
  await until(() => workers().filter((pid) => !old.includes(pid)).length === WORKERS, "fresh workers");
  await new Promise((resolve) => setTimeout(resolve, 1500));
  expect(await alive(sockets)).toHaveLength(10);
  asking = false;
  await Promise.all(load);
  expect(new Set(statuses)).toEqual(new Set([200]));
  for (const socket of sockets) socket.close();
  await until(() => old.every((pid) => commandOf(pid) === ""), "the old workers to end");
  expect(workers()).toHaveLength(WORKERS);
});

test("what is open outlives a gate that is killed, the next gate has the port at once, and workers without a gate end", async () => {
  const old = workers();
  const sockets = await openMany(10);
  await gate.kill("SIGKILL");
  expect(await alive(sockets)).toHaveLength(10);
  await gate.up();
  await until(async () => (await gate.ask("hello.localhost", "/")).status === 200, "the next gate");
  expect(await alive(sockets)).toHaveLength(10);
  for (const socket of sockets) socket.close();
  await until(() => old.every((pid) => commandOf(pid) === ""), "the workers without a gate to end");
  expect(workers()).toHaveLength(WORKERS);
});

test("a gate that is stopped lets its workers drain, to a deadline", async () => {
  const old = workers();
  const [socket] = await openMany(1);
  const began = Date.now();
  const closed = once(socket!, "close");
  await Promise.all([closed, gate.kill("SIGTERM")]);
  const took = Date.now() - began;
  expect(took).toBeGreaterThan(8000);
  expect(took).toBeLessThan(20_000);
  expect(old.filter((pid) => commandOf(pid) !== "")).toEqual([]);
  await gate.up();
});

test("an idle gate and its workers hold little memory, also just after an install, when nothing is compiled yet", async () => {
  const cache = mkdtempSync(join(tmpdir(), "tg-cache-"));
  for (const count of [0, WORKERS]) {
    const environment = { TASKGATE_WORKERS: String(count), XDG_CACHE_HOME: cache };
    await using fresh = await startTestGate({ environment });
    const { pid } = fresh.file();
    await until(() => workers(pid).length === count, "workers");
    await new Promise((resolve) => setTimeout(resolve, 3000));
    const [alone, ...each] = [pid, ...workers(pid)].map(memoryOf);
    const all = [alone!, ...each].map(({ rss, own }) => `${String(rss)} (${String(own)})`);
    console.log(`resident MiB (of it the process's own): ${all.join(", ")}`);
    if (count === 0) expect(alone!.rss).toBeLessThanOrEqual(GATE_MIB);
    expect(each.filter(({ rss }) => rss > WORKER_MIB)).toEqual([]);
    if (count === 0) rmSync(cache, { recursive: true }); // with workers from the beginning as well
  }
  rmSync(cache, { recursive: true });
});
