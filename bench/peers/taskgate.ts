import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { request, type IncomingMessage } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { type GateFile, homeAt, readGateFile } from "../../src/config/home.ts";
import { packageRoot } from "../../src/platform/package-info.ts";
import { start, type Started, stop } from "../machine.ts";
import { type Backends, freePorts, type Kind, type Peer, ready, type Running } from "./peer.ts";

const READY_MS = 30_000;
const POLL_MS = 50;

const ALL: readonly Kind[] = ["http", "grpc", "tcp"];

/** A public service: no login is asked for. */
export const taskgate: Peer = makePeer("taskgate", ALL, { task: "open" });
/** A service that asks for a login, entered with a session cookie as a browser has it: every request passes the whole check. */
export const taskgateLogin: Peer = makePeer("taskgate-login", ["http"], { task: "closed" });
/** The same, whose job is not given an assertion of who asks. */
export const taskgateBareLogin: Peer = {
  ...makePeer("taskgate-bare-login", ["http"], { task: "bare" }),
  ofSuite: "login",
};
/** The same with all that tells of traffic: a full access log in a file, spans of one trace in twenty, which the backend collects. */
export const taskgateWatched: Peer = {
  ...makePeer("taskgate-watched", ["http"], { task: "closed", watched: true }),
  ofSuite: "http",
};
/** The first one, by a process that does nothing else. */
export const taskgateWorker: Peer = {
  ...makePeer("taskgate-worker", ALL, { task: "open", workers: 1 }),
  ofSuite: "connections",
};

/** State folders of all gates, which go with the bench. */
const homes: string[] = [];
process.once("exit", () => {
  for (const home of homes) rmSync(home, { recursive: true, force: true });
});

interface PeerOptions {
  readonly task: "open" | "closed" | "bare";
  readonly watched?: boolean;
  readonly workers?: number;
}

/** By their configuration; one gate serves several peers, which are never measured at the same time. */
const shared = new Map<string, Gate>();

function makePeer(name: string, kinds: readonly Kind[], { task, watched = false, workers = 0 }: PeerOptions): Peer {
  return {
    ...{ name, kinds, http2: true },
    prepare: () => Promise.resolve(),
    start: async (backends) => {
      const key = JSON.stringify([watched, workers]);
      let gate = shared.get(key);
      if (gate?.running() !== true) shared.set(key, (gate = await startGate(backends, watched, workers)));
      return gate[task];
    },
  };
}

interface Gate {
  readonly open: Running;
  readonly closed: Running;
  readonly bare: Running;
  running(): boolean;
}

/** By the command line, with a state folder, a config and tasks of its own, all of which go with the bench. */
async function startGate(backends: Backends, watched: boolean, workers: number): Promise<Gate> {
  // A path of its own, for a socket's path is short.
  const home = mkdtempSync(join(tmpdir(), "tg-bench-"));
  homes.push(home);
  const [tcp = 0] = await freePorts(1);
  const [tasks, config] = [join(home, "tasks.json"), join(home, "config.json")];
  writeFileSync(tasks, JSON.stringify(makeTasks(backends, tcp)));
  const watching = watched ? makeWatching(home, backends) : {};
  writeFileSync(config, JSON.stringify({ ...makeConfig(tasks, tcp, workers), ...watching }));
  const env = { ...withoutOwn(process.env), TASKGATE_HOME: home };
  const command = [program(), "up", "--listen", "127.0.0.1:0", "--config", config];
  const started = start("proxy", command, env);
  const file = await gateFile(started, env);
  await ready(started, [file.port, tcp], "taskgate");
  const of = (name: string, session: string | null): Running => ({
    pid: file.pid,
    ports: { http: file.port, grpc: file.port, tcp },
    session,
    authority: (kind) => `${kind === "grpc" ? "calls" : name}.${file.domain}:${file.port}`,
  });
  await until(started, async () => (await ask(file, "open", "/")).statusCode === 200);
  const token = readFileSync(homeAt(env).token, "utf8").trim();
  const closed = of("closed", await logIn(file, token, "closed"));
  const bare = of("bare", await logIn(file, token, "bare"));
  return { open: of("open", null), closed, bare, running: () => started.running() };
}

/** Settings of a gate that the caller has are not this one's. */
function withoutOwn(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith("TASKGATE_")));
}

/** TASKGATE_BENCH_PROGRAM names the one of another checkout. */
function program(): string {
  const named = process.env.TASKGATE_BENCH_PROGRAM;
  return named === undefined || named === "" ? join(packageRoot, "bin", "taskgate") : named;
}

function makeTasks(backends: Backends, tcp: number): unknown {
  const service = (port: number, more: object) => ({ name: "web", endpoints: [`127.0.0.1:${port}`], ...more });
  return {
    tasks: [
      { name: "open", access: "public", services: [service(backends.http, {})] },
      { name: "closed", access: "nobody", services: [service(backends.http, {})] },
      { name: "bare", access: "nobody", services: [service(backends.http, { policy: { assertion: "none" } })] },
      { name: "calls", access: "public", services: [service(backends.grpc, { protocol: "grpc" })] },
      { name: "bytes", access: "public", services: [service(backends.tcp, { protocol: "tcp", port: tcp })] },
    ],
  };
}

function makeWatching(home: string, backends: Backends): object {
  return {
    accessLog: { mode: "full", file: join(home, "access.log") },
    tracing: { otlp: `http://127.0.0.1:${backends.http}/v1/traces`, sample: 0.05 },
  };
}

/** Everything else is as it is by default. */
function makeConfig(tasks: string, tcp: number, workers: number): object {
  return {
    admin: { address: "127.0.0.1:0" },
    tcp: { ports: `${tcp}-${tcp}` },
    workers,
    files: [{ name: "bench", path: tasks, allowLoopback: true }],
    log: { level: "warn" },
  };
}

async function gateFile(started: Started, env: NodeJS.ProcessEnv): Promise<GateFile> {
  await until(started, () => Promise.resolve(readGateFile(homeAt(env)) !== null));
  const file = readGateFile(homeAt(env));
  if (file === null) throw new Error(`taskgate ended:\n${started.lastWords()}`);
  return file;
}

async function until(started: Started, condition: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + READY_MS;
  while (!(await condition())) {
    if (!started.running() || performance.now() > end) {
      await stop(started);
      throw new Error(`taskgate does not serve:\n${started.lastWords()}`);
    }
    await setTimeout(POLL_MS);
  }
}

/** The way of a browser, with the owner's token in place of the login page: to the service, to the gate, back with a code, a session. */
async function logIn(gate: GateFile, token: string, task: string): Promise<string> {
  const navigation = { accept: "text/html", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document" };
  const sent = await ask(gate, task, "/", { headers: navigation });
  const asked = new URL(sent.headers.location ?? "", gate.url).searchParams;
  const body = JSON.stringify(Object.fromEntries(asked));
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  const visit = await ask(gate, "", "/.taskgate/api/v1/visits", { method: "POST", headers, body });
  const { location = "" } = JSON.parse(visit.body) as { readonly location?: string };
  const { pathname, search } = new URL(location);
  const cookie = cookies(sent).join("; ");
  const back = await ask(gate, task, pathname + search, { headers: { ...navigation, cookie } });
  const session = cookies(back).find((each) => each.startsWith("taskgate-session"));
  if (session === undefined) throw new Error(`taskgate gave no session: ${back.statusCode} ${visit.body}`);
  const inside = await ask(gate, task, "/", { headers: { ...navigation, cookie: session } });
  if (inside.statusCode !== 200) throw new Error(`taskgate does not know its own session: ${inside.statusCode}`);
  return session;
}

interface Asked {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

interface Answer {
  readonly statusCode: number;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

/** `task` "": the gate itself. */
function ask(gate: GateFile, task: string, path: string, asked: Asked = {}): Promise<Answer> {
  const host = `${task === "" ? gate.gateHost : `${task}.${gate.domain}`}:${gate.port}`;
  const options = { host: gate.address, port: gate.port, path, method: asked.method ?? "GET", agent: false };
  return new Promise((resolve, reject) => {
    const sent = request({ ...options, headers: { ...asked.headers, host } }, (response) => {
      let body = "";
      response.setEncoding("utf8").on("data", (text: string) => (body += text));
      response.once("end", () => resolve({ statusCode: response.statusCode ?? 0, headers: response.headers, body }));
      response.once("error", reject);
    });
    sent.once("error", reject);
    sent.end(asked.body);
  });
}

function cookies(answer: Answer): readonly string[] {
  return (answer.headers["set-cookie"] ?? [])
    .map((field) => field.split(";")[0] ?? "")
    .filter((pair) => !pair.endsWith("="));
}
