import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createSecureServer } from "node:https";
import type { AddressInfo } from "node:net";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { json } from "node:stream/consumers";
import { API_PREFIX, RunRequest, type ServiceView, type TaskView } from "../../api/wire.ts";
import type { ReachView } from "../../api/wire-reaches.ts";
import { homeAt, makeHome, writeGateFile, type GateFile, type Home } from "../../config/home.ts";
import { ownVersion } from "../../platform/package-info.ts";
import { processStart } from "../../platform/process-identity.ts";

export const TOKEN = "tg_test_0123456789";

export interface FakeGate extends AsyncDisposable {
  readonly home: Home;
  readonly file: GateFile;
  readonly tasks: Map<string, TaskView>;
  /** `METHOD PATH`, as they came. */
  readonly asked: string[];
  /** What `run` was asked for. */
  readonly ran: RunRequest[];
  /** Log text by task name. */
  readonly logs: Map<string, string>;
  /** What `GET /reaches` tells. */
  readonly reaches: ReachView[];
  /** Called for every CONNECT. */
  onConnect: (request: IncomingMessage, socket: Duplex, head: Buffer) => void;
  /** Streams of `GET /events`. */
  readonly eventStreams: Set<ServerResponse>;
  /** Cuts every connection and stops listening; the gate file stays. */
  kill(): Promise<void>;
  /** Listens again on the same port. */
  revive(): Promise<void>;
}

/** A state folder of its own, gone with the scope. */
export function temporaryHome(): Home & Disposable {
  const directory = mkdtempSync(join(tmpdir(), "taskgate-cli-"));
  const home = homeAt({ TASKGATE_HOME: directory });
  makeHome(home);
  return { ...home, [Symbol.dispose]: () => rmSync(directory, { recursive: true, force: true }) };
}

/** PEM; `file`: where the certificate is, for the gate file. */
export interface FakeTls {
  readonly certificate: string;
  readonly key: string;
  readonly file: string;
}

/** A small server that speaks the API, known by a gate file that names this process. */
export async function startFakeGate(home: Home, tls?: FakeTls): Promise<FakeGate> {
  const sockets = new Set<Duplex>();
  const listener = (request: IncomingMessage, response: ServerResponse): void => {
    answer(gate, request, response).catch((error: unknown) => response.destroy(error as Error));
  };
  // Half-open, as http's own sockets are and https' are not by themselves.
  const server: Server =
    tls === undefined
      ? createServer(listener)
      : createSecureServer({ key: tls.key, cert: tls.certificate, allowHalfOpen: true }, listener);
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  server.on("connect", (request, socket, head) => gate.onConnect(request, socket, head));
  server.listen({ host: "127.0.0.1", port: 0 });
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const gate: FakeGate = {
    home,
    file: gateFileFor(port, tls),
    tasks: new Map(),
    asked: [],
    ran: [],
    logs: new Map(),
    reaches: [],
    eventStreams: new Set(),
    onConnect: (_request, socket) => void socket.destroy(),
    async kill() {
      const closed = once(server, "close");
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
    async revive() {
      server.listen({ host: "127.0.0.1", port });
      await once(server, "listening");
    },
    async [Symbol.asyncDispose]() {
      if (server.listening) await gate.kill();
    },
  };
  writeFileSync(home.token, `${TOKEN}\n`, { mode: 0o600 });
  writeGateFile(home, gate.file);
  return gate;
}

function gateFileFor(port: number, tls: FakeTls | undefined): GateFile {
  return {
    pid: process.pid,
    processStart: processStart(process.pid) ?? "",
    version: ownVersion(),
    url: `${tls === undefined ? "http" : "https"}://taskgate.localhost:${port}`,
    gateHost: "taskgate.localhost",
    domain: "localhost",
    secure: tls !== undefined,
    ...(tls === undefined ? {} : { certificateFile: tls.file }),
    address: "127.0.0.1",
    port,
    adminAddress: null,
  };
}

async function answer(gate: FakeGate, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? "/", "http://gate");
  const path = decodeURIComponent(url.pathname.slice(API_PREFIX.length));
  const [, kind = "", ...rest] = path.split("/");
  const send = (status: number, body?: unknown): void => {
    response.writeHead(status, { "content-type": "application/json" });
    response.end(body === undefined ? undefined : JSON.stringify(body));
  };
  const refuse = (status: number, code: string, message: string): void => send(status, { error: { code, message } });
  gate.asked.push(`${request.method ?? ""} ${path}${url.search}`);
  const exchange: Exchange = { gate, request, response, rest, send, refuse };
  if (request.headers.host !== `taskgate.localhost:${gate.file.port}`) refuse(421, "bad_request", "wrong host");
  else if (request.headers.authorization !== `Bearer ${token(gate)}`)
    refuse(401, "unauthenticated", "this token is not known");
  else if (Object.hasOwn(OPERATIONS, kind)) await OPERATIONS[kind as keyof typeof OPERATIONS](exchange);
  else refuse(404, "not_found", "no such operation");
}

interface Exchange {
  readonly gate: FakeGate;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** Of the path, after the kind. */
  readonly rest: readonly string[];
  readonly send: (status: number, body?: unknown) => void;
  readonly refuse: (status: number, code: string, message: string) => void;
}

const OPERATIONS = {
  version({ gate, send }: Exchange): void {
    const { version, url } = gate.file;
    send(200, { version, url, domain: "localhost", dataPlane: "embedded", startedAt: 1, revision: 1 });
  },
  links({ gate, send }: Exchange): void {
    send(201, { url: `${gate.file.url}/login#code=once`, expiresAt: Date.now() + 900_000 });
  },
  tokens({ request, rest, send }: Exchange): void {
    const view = {
      id: "t1",
      name: "command line",
      owner: "me",
      kind: "token",
      createdAt: Date.now(),
      expiresAt: null,
      scope: null,
      lastUsedAt: null,
    };
    if (request.method === "POST") send(201, { ...view, token: "tg_secret" });
    else if (request.method === "DELETE") send(rest[0] === "t1" ? 204 : 404);
    else send(200, { tokens: [view, { ...view, id: "t2", name: "twice" }, { ...view, id: "t3", name: "twice" }] });
  },
  reaches({ gate, send }: Exchange): void {
    send(200, { reaches: gate.reaches });
  },
  events({ gate, response }: Exchange): void {
    const first = { kind: "tasks", tasks: [...gate.tasks.values()], problems: [] };
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write(`event: tasks\ndata: ${JSON.stringify(first)}\n\n`);
    gate.eventStreams.add(response);
    response.on("close", () => gate.eventStreams.delete(response));
  },
  async tasks(exchange: Exchange): Promise<void> {
    const { gate, request, rest, send } = exchange;
    if (rest.length > 0) {
      oneTask(exchange);
    } else if (request.method === "GET") {
      send(200, { tasks: [...gate.tasks.values()], problems: [] });
    } else {
      const wanted = RunRequest.parse(await json(request));
      gate.ran.push(wanted);
      const name = wanted.name ?? "made-up";
      if (!gate.tasks.has(name)) gate.tasks.set(name, taskView(name));
      send(201, gate.tasks.get(name));
    }
  },
};

/** As the gate does: the file may be changed under it. */
function token(gate: FakeGate): string {
  return readFileSync(gate.home.token, "utf8").trim();
}

/** A log that is followed stays for as long as its task runs. */
function sayLog(task: TaskView, log: string, request: IncomingMessage, response: ServerResponse): void {
  response.writeHead(200, { "content-type": "text/plain" }).write(log);
  const stays = task.state === "running" && /[?&]follow=/.test(request.url ?? "");
  if (!stays) response.end();
}

function oneTask({ gate, request, response, rest, send, refuse }: Exchange): void {
  const isId = gate.tasks.has(rest[1] ?? "") && rest[0] === "local";
  const [name = "", verb] = isId ? rest.slice(1) : rest;
  const task = gate.tasks.get(name);
  if (task === undefined) {
    refuse(404, "not_found", `no task ${name}`);
  } else if (request.method === "DELETE") {
    gate.tasks.delete(name);
    response.writeHead(204).end();
  } else if (verb === "stop" || verb === "restart") {
    const next: TaskView = { ...task, state: verb === "stop" ? "finished" : "starting" };
    gate.tasks.set(name, next);
    send(200, next);
  } else if (verb === "logs") {
    sayLog(task, gate.logs.get(name) ?? "", request, response);
  } else {
    send(200, task);
  }
}

/** A task that runs and has one page, with what a test wants different. */
export function taskView(name: string, differs: Partial<TaskView> = {}): TaskView {
  return {
    name,
    id: `local/${name}`,
    provider: "local",
    kind: "process",
    owner: "me",
    state: "running",
    reason: null,
    startedAt: null,
    staleSince: null,
    controllable: true,
    manageable: true,
    removable: true,
    services: [serviceView("web", { url: `http://${name}.localhost:7080/`, host: `${name}.localhost` })],
    problems: [],
    ...differs,
  };
}

/** An HTTP service at the gate's port, with what a test wants different. */
export function serviceView(name: string, differs: Partial<ServiceView> = {}): ServiceView {
  return {
    name,
    protocol: "http",
    url: null,
    host: null,
    port: 7080,
    dial: "127.0.0.1",
    forward: `${name}-x.localhost`,
    health: "healthy",
    anyone: "nobody",
    login: true,
    sharedWith: [],
    replicas: [],
    ...differs,
  };
}
