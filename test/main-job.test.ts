import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request as httpRequest } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { credentials, loadPackageDefinition, Metadata, type ServiceClientConstructor } from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import type { ServiceView, TaskView } from "../src/api/wire.ts";
import { pythonEnvironment } from "../testbed/python/environment.ts";
import { ROOT, startTestGate, type TestGate } from "./support/gate.ts";

const JUPYTER_TOKEN = randomUUID();

let gate: TestGate;
let python: { readonly python: string; readonly bin: string };
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "tg-jobs-"));
  python = await pythonEnvironment();
  const own = { JUPYTER_CONFIG_DIR: folder, JUPYTER_DATA_DIR: folder, JUPYTER_RUNTIME_DIR: folder, IPYTHONDIR: folder };
  gate = await startTestGate({ environment: { ...own, JUPYTER_TOKEN } });
});

afterAll(async () => {
  await gate[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

function serviceOf(task: TaskView, name?: string): ServiceView {
  const service = name === undefined ? task.services[0] : task.services.find((candidate) => candidate.name === name);
  if (service === undefined) throw new Error(`no service in ${JSON.stringify(task)}`);
  return service;
}

function hostOf(task: TaskView): string {
  const { host } = serviceOf(task);
  if (host === null) throw new Error(`no host in ${JSON.stringify(task)}`);
  return host;
}

describe("JupyterLab behind the gate", () => {
  let notebook: TaskView;

  beforeAll(async () => {
    const jupyter = join(python.bin, "jupyter");
    const command = [jupyter, "lab", "--no-browser", "--allow-root", "--port=0", `--notebook-dir=${folder}`];
    notebook = await gate.json<TaskView>("run", "--name", "nb", "--wait", "110s", "--", ...command);
  });

  test("is found by the port that it opens, and gets its name, kind and landing page", () => {
    expect(notebook).toMatchObject({ name: "nb", kind: "notebook", state: "running" });
    expect(serviceOf(notebook)).toMatchObject({ protocol: "http", host: "nb.localhost", health: "healthy" });
    expect(serviceOf(notebook).url).toBe(`http://nb.localhost:${String(gate.file().port)}/lab`);
  });

  test("refuses a visitor without login, and serves the owner", async () => {
    expect((await gate.ask("nb.localhost", "/api/status", { anonymous: true })).status).toBe(401);
    const page = await gate.ask("nb.localhost", `/lab?token=${JUPYTER_TOKEN}`);
    expect(page.status).toBe(200);
    expect(page.body).toContain("JupyterLab");
  });

  test("executes a cell over the kernel's WebSocket, checked for Host and Origin by a stock Jupyter", async () => {
    const authorization = `token ${JUPYTER_TOKEN}`;
    const made = await gate.ask("nb.localhost", "/api/kernels", {
      method: "POST",
      headers: { authorization, "content-type": "application/json" },
      body: JSON.stringify({ name: "python3" }),
    });
    expect(made.status).toBe(201);
    const { id } = JSON.parse(made.body) as { id: string };
    expect(await executeCell(id, authorization, "6 * 7")).toBe("42");
    const after = await gate.task("nb");
    expect(after.services.map((service) => service.name)).toEqual(notebook.services.map((service) => service.name));
  });

  async function executeCell(kernel: string, authorization: string, code: string): Promise<string> {
    const { address, port } = gate.file();
    const socket = new WebSocket(`ws://${address}:${String(port)}/api/kernels/${kernel}/channels`, {
      headers: {
        host: `nb.localhost:${String(port)}`,
        origin: `http://nb.localhost:${String(port)}`,
        authorization,
        "x-taskgate-authorization": `Bearer ${gate.token()}`,
      },
    });
    const header = {
      msg_id: randomUUID(),
      username: "",
      session: randomUUID(),
      msg_type: "execute_request",
      version: "5.3",
    };
    const content = { code, silent: false, store_history: false, user_expressions: {}, allow_stdin: false };
    try {
      return await new Promise<string>((resolve, reject) => {
        socket.on("error", reject);
        socket.on("close", (code_, reason) => reject(new Error(`closed: ${String(code_)} ${reason.toString()}`)));
        socket.on("open", () => {
          socket.send(
            JSON.stringify({ header, parent_header: {}, metadata: {}, content, channel: "shell", buffers: [] }),
          );
        });
        socket.on("message", (data: Buffer) => {
          const message = JSON.parse(data.toString()) as {
            msg_type: string;
            content: { data?: Record<string, string> };
          };
          if (message.msg_type === "execute_result") resolve(message.content.data?.["text/plain"] ?? "");
        });
      });
    } finally {
      socket.terminate();
    }
  }
});

test("TensorBoard gets its name and shows its page", async () => {
  const task = await gate.json<TaskView>(
    ...["run", "--name", "tb", "--wait", "110s", "--"],
    ...[join(python.bin, "tensorboard"), "--logdir", folder, "--port", "0"],
  );
  expect(task).toMatchObject({ kind: "tensorboard", state: "running" });
  expect(task.services).toHaveLength(1);
  const page = await gate.ask("tb.localhost", "/");
  expect(page.status).toBe(200);
  expect(page.body).toContain("TensorBoard");
});

test("a stock Bokeh server takes a page's WebSocket, though it checks where it comes from", async () => {
  const script = join(folder, "board.py");
  writeFileSync(
    script,
    "from bokeh.io import curdoc\nfrom bokeh.models import Div\ncurdoc().add_root(Div(text='a board'))\n",
  );
  const command = [join(python.bin, "bokeh"), "serve", "--port", "0", script];
  const task = await gate.json<TaskView>("run", "--name", "board", "--wait", "110s", "--", ...command);
  expect(hostOf(task)).toBe("board.localhost");
  const page = await gate.ask("board.localhost", "/board");
  expect(page.status).toBe(200);
  const token = /"token":"([^"]+)"/.exec(page.body)?.[1] ?? "";
  const { address, port } = gate.file();
  const socket = new WebSocket(`ws://${address}:${String(port)}/board/ws`, ["bokeh", token], {
    headers: {
      host: `board.localhost:${String(port)}`,
      origin: `http://board.localhost:${String(port)}`,
      "x-taskgate-authorization": `Bearer ${gate.token()}`,
    },
  });
  const first = await new Promise<string>((resolve, reject) => {
    socket.once("message", (data: Buffer) => resolve(data.toString()));
    socket.once("error", reject);
  });
  expect(first).toContain("ACK"); // Bokeh's own greeting, or a part of its message
  socket.terminate();
});

test("python3 -m http.server serves a file under a name of its own", async () => {
  writeFileSync(join(folder, "hello.txt"), "hello from a file\n");
  const task = await gate.json<TaskView>(
    "run",
    "--name",
    "files",
    "--",
    "python3",
    "-m",
    "http.server",
    "0",
    "-d",
    folder,
  );
  expect(hostOf(task)).toBe("files.localhost");
  expect(await gate.ask("files.localhost", "/hello.txt")).toMatchObject({ status: 200, body: "hello from a file\n" });
});

test("a gRPC service answers all four kinds of call, and refuses who is not logged in", async () => {
  const script = join(ROOT, "examples", "services", "grpc-echo.mjs");
  const task = await gate.json<TaskView>(
    "run",
    "--name",
    "rpc",
    "--service",
    "api=grpc",
    "--",
    process.execPath,
    script,
  );
  const proto = loadPackageDefinition(
    loadSync(fileURLToPath(new URL("../examples/services/echo.proto", import.meta.url))),
  );
  const Echo = (proto as unknown as { taskgate: { example: { Echo: ServiceClientConstructor } } }).taskgate.example
    .Echo;
  const { address, port } = gate.file();
  const client = new Echo(`${address}:${String(port)}`, credentials.createInsecure(), {
    "grpc.default_authority": `${hostOf(task)}:${String(port)}`,
  });
  const login = new Metadata();
  login.set("authorization", `Bearer ${gate.token()}`);
  try {
    expect(await grpcCalls(client, login)).toEqual({
      once: "a",
      repeat: ["b", "b", "b"],
      join: "cd",
      talk: ["e", "f"],
    });
    await expect(grpcCalls(client, new Metadata())).rejects.toMatchObject({ code: 16 });
  } finally {
    client.close();
  }
});

interface Text {
  readonly text: string;
}

interface Stream {
  write(message: Text): void;
  end(): void;
  on(event: string, listener: (value: never) => void): void;
}

interface EchoClient {
  Once(message: Text, metadata: Metadata, done: (error: Error | null, answer: Text) => void): void;
  Repeat(message: Text, metadata: Metadata): Stream;
  Join(metadata: Metadata, done: (error: Error | null, answer: Text) => void): Stream;
  Talk(metadata: Metadata): Stream;
}

async function grpcCalls(raw: unknown, login: Metadata): Promise<Record<string, unknown>> {
  const client = raw as EchoClient;
  const settle =
    (resolve: (text: string) => void, reject: (error: Error) => void) =>
    (error: Error | null, answer: Text): void =>
      error === null ? resolve(answer.text) : reject(error);
  const all = (stream: Stream): Promise<string[]> =>
    new Promise((resolve, reject) => {
      const texts: string[] = [];
      stream.on("data", (message: Text) => texts.push(message.text));
      stream.on("error", reject);
      stream.on("end", () => resolve(texts));
    });
  const once = await new Promise<string>((resolve, reject) =>
    client.Once({ text: "a" }, login, settle(resolve, reject)),
  );
  const repeat = await all(client.Repeat({ text: "b" }, login));
  const join = await new Promise<string>((resolve, reject) => {
    const stream = client.Join(login, settle(resolve, reject));
    stream.write({ text: "c" });
    stream.write({ text: "d" });
    stream.end();
  });
  const talking = client.Talk(login);
  const talk = all(talking);
  talking.write({ text: "e" });
  talking.write({ text: "f" });
  talking.end();
  return { once, repeat, join, talk: await talk };
}

test("a stream of server-sent events comes through event by event", async () => {
  const script = join(ROOT, "examples", "services", "clock.mjs");
  const task = await gate.json<TaskView>(
    "run",
    "--name",
    "clock",
    "--service",
    "web=http",
    "--",
    process.execPath,
    script,
  );
  const { address, port } = gate.file();
  const headers = { host: `${hostOf(task)}:${String(port)}`, authorization: `Bearer ${gate.token()}` };
  const seen = await new Promise<string[]>((resolve, reject) => {
    const chunks: string[] = [];
    const request = httpRequest({ host: address, port, headers }, (response) => {
      response.setEncoding("utf8").on("data", (text: string) => {
        chunks.push(text);
        if (chunks.length === 3) {
          request.destroy();
          resolve(chunks);
        }
      });
      response.on("error", () => undefined); // the test itself hangs up
    });
    request.on("error", reject).end();
  });
  expect(seen.map((text) => text.split("\n")[0])).toEqual(["id: 1", "id: 2", "id: 3"]);
});

test("a raw TCP port is only for public services, and ps says that it carries no login", async () => {
  const script = join(ROOT, "examples", "services", "tcp-echo.mjs");
  const closed = await gate.json<TaskView>(
    "run",
    "--name",
    "shut",
    "--service",
    "echo=tcp",
    "--",
    process.execPath,
    script,
  );
  expect(serviceOf(closed)).toMatchObject({ protocol: "tcp", url: null, port: null, login: true });
  const open = await gate.json<TaskView>(
    ...["run", "--name", "open", "--access", "public", "--service", "echo=tcp", "--", process.execPath, script],
  );
  const service = serviceOf(open);
  expect(service).toMatchObject({ protocol: "tcp", host: "127.0.0.1", login: false });
  expect(await echo(service.port ?? 0, "over a raw port")).toBe("over a raw port");
  expect((await gate.cli("ps")).stdout).toMatch(/no login/);
});

/** Sends, half-closes, and gives what came back until the other side ended. */
function echo(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let all = "";
    const socket = connect({ host: "127.0.0.1", port, allowHalfOpen: true });
    socket.setEncoding("utf8");
    socket.on("data", (part: string) => (all += part));
    socket.on("error", reject);
    socket.on("end", () => resolve(all));
    socket.end(text);
  });
}
