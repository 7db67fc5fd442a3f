import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { request as httpRequest, type IncomingHttpHeaders } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type GateFile, homeAt, readGateFile } from "../../src/config/home.ts";
import type { TaskView } from "../../src/api/wire.ts";
import { isSameProcess } from "../../src/platform/process-identity.ts";
import { envoyProgram } from "../../testbed/envoy.ts";

/** What moves the bytes of gates that tests start and name no plane for: the Vitest project says so. */
export const PLANE = process.env.TASKGATE_TEST_PLANE === "envoy" ? "envoy" : "embedded";

/** The checkout. */
export const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const TASKGATE = join(ROOT, "bin", "taskgate");

/** What became of a program. */
export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface Ask {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Where an Envoy elsewhere stands for the gate. Default: the gate's own. */
  readonly port?: number;
  /** Without the owner's token. */
  readonly anonymous?: boolean;
}

/** A gate of its own, started by the command line as a user would, with a state folder of its own. Disposing removes all of it. */
export interface TestGate extends AsyncDisposable {
  readonly home: string;
  readonly environment: Readonly<Record<string, string>>;
  /** As the running gate says it now. */
  file(): GateFile;
  token(): string;
  /** Runs the command line to its end. */
  cli(...args: readonly string[]): Promise<Ran>;
  /** The same with --json; fails unless it exits 0. */
  json<T = unknown>(...args: readonly string[]): Promise<T>;
  /** One request through the gate's port, with the owner's token. */
  ask(host: string, path: string, ask?: Ask): Promise<Answer>;
  task(name: string): Promise<TaskView>;
  up(): Promise<void>;
  /** Ends the gate's process; tasks go on. */
  kill(signal: NodeJS.Signals): Promise<void>;
}

export interface GateOptions {
  readonly config?: string;
  readonly environment?: Readonly<Record<string, string>>;
  /** Default: one that is free. */
  readonly port?: number;
  /** Of the loopback. Default: 127.0.0.1. */
  readonly address?: string;
  /** Default: `PLANE`. */
  readonly dataPlane?: "embedded" | "envoy";
}

/** Starts it and waits until it answers. Throws with what it said, if it does not. */
export async function startTestGate(options: GateOptions = {}): Promise<TestGate> {
  const directory = mkdtempSync(join(tmpdir(), "tg-"));
  const { dataPlane = PLANE, environment } = options;
  const envoy = dataPlane === "envoy" ? { TASKGATE_DATA_PLANE: "envoy", TASKGATE_ENVOY: await envoyProgram() } : {};
  const gate = new LiveGate(directory, { ...options, environment: { ...envoy, ...environment } });
  await gate.up();
  return gate;
}

class LiveGate implements TestGate {
  readonly home: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly #options: GateOptions;
  #port: number;

  constructor(home: string, options: GateOptions) {
    this.home = home;
    this.#options = options;
    this.#port = options.port ?? 0;
    this.environment = {
      ...cleanEnvironment(),
      ...options.environment,
      TASKGATE_HOME: home,
      TASKGATE_ADMIN_ADDRESS: "127.0.0.1:0",
      NO_COLOR: "1",
    };
  }

  async up(): Promise<void> {
    const config = this.#options.config === undefined ? [] : ["--config", this.#options.config];
    const { address = "127.0.0.1" } = this.#options;
    const ran = await this.cli("up", "--background", "--listen", `${address}:${String(this.#port)}`, ...config);
    if (ran.code !== 0) throw new Error(`taskgate up failed:\n${ran.stdout}${ran.stderr}\n${this.#log()}`);
    this.#port = this.file().port; // a restarted gate keeps its address
  }

  #log(): string {
    try {
      return readFileSync(join(this.home, "gate.log"), "utf8").split("\n").slice(-30).join("\n");
    } catch {
      return "(no gate.log)";
    }
  }

  file(): GateFile {
    const file = readGateFile(homeAt({ TASKGATE_HOME: this.home }));
    if (file === null) throw new Error("no gate file");
    return file;
  }

  token(): string {
    return readFileSync(join(this.home, "token"), "utf8").trim();
  }

  cli(...args: readonly string[]): Promise<Ran> {
    return run(TASKGATE, args, this.environment);
  }

  async json<T>(...args: readonly string[]): Promise<T> {
    const at = args.indexOf("--");
    const withFlag = at < 0 ? [...args, "--json"] : [...args.slice(0, at), "--json", ...args.slice(at)];
    const ran = await this.cli(...withFlag);
    if (ran.code !== 0)
      throw new Error(
        `taskgate ${args.join(" ")}: exit ${String(ran.code)}\n${ran.stdout}${ran.stderr}\n${this.#log()}`,
      );
    return JSON.parse(ran.stdout) as T;
  }

  ask(host: string, path: string, ask: Ask = {}): Promise<Answer> {
    const { port, address } = this.file();
    const login = ask.anonymous === true ? {} : { "x-taskgate-authorization": `Bearer ${this.token()}` };
    const headers = { host: `${host}:${String(port)}`, ...login, ...ask.headers };
    return new Promise((resolve, reject) => {
      const request = httpRequest(
        { host: address, port: ask.port ?? port, path, method: ask.method ?? "GET", headers, agent: false },
        (response) => {
          const chunks: Buffer[] = [];
          response.on("data", (chunk: Buffer) => chunks.push(chunk));
          response.on("error", reject);
          response.on("end", () =>
            resolve({
              status: response.statusCode ?? 0,
              headers: response.headers,
              body: Buffer.concat(chunks).toString(),
            }),
          );
        },
      );
      request.on("error", reject);
      request.end(ask.body);
    });
  }

  async task(name: string): Promise<TaskView> {
    const tasks = await this.json<TaskView[]>("ps");
    const task = tasks.find((candidate) => candidate.name === name);
    if (task === undefined) throw new Error(`no task ${name} among ${tasks.map((t) => t.name).join(", ")}`);
    return task;
  }

  async kill(signal: NodeJS.Signals): Promise<void> {
    const { pid, processStart } = this.file();
    if (isSameProcess(pid, processStart)) process.kill(pid, signal);
    await until(() => !isSameProcess(pid, processStart), "the gate to end");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      const file = readGateFile(homeAt({ TASKGATE_HOME: this.home }));
      if (file === null || !isSameProcess(file.pid, file.processStart)) await this.up();
      const tasks = await this.json<TaskView[]>("ps");
      const mine = tasks.filter((task) => task.provider === "local").map((task) => task.name);
      if (mine.length > 0) await this.cli("rm", ...mine);
      await this.kill("SIGTERM");
    } finally {
      rmSync(this.home, { recursive: true, force: true });
    }
  }
}

/** What a user's shell has: nothing of npm's or of this run's, so that whatever Node the machine has comes first on the PATH. */
export function cleanEnvironment(): Record<string, string> {
  const kept = Object.entries(process.env).filter(([name]) => !/^(npm_|TASKGATE_|VITEST|NODE_|INIT_CWD)/.test(name));
  const path = (process.env.PATH ?? "").split(":").filter((entry) => !entry.includes("node_modules"));
  return {
    ...Object.fromEntries(kept.filter((entry): entry is [string, string] => entry[1] !== undefined)),
    PATH: path.join(":"),
  };
}

/** Runs a program to its end, without input. */
export function run(
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  cwd?: string,
): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { env: { ...env }, cwd, stdio: ["ignore", "pipe", "pipe"] });
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
    child.once("error", reject);
    child.once("close", (code) => resolve({ code, stdout, stderr }));
  });
}

/** Waits until `condition` holds; fails after a minute, naming what was waited for. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  what: string,
  withinMs = 60_000,
): Promise<void> {
  const end = Date.now() + withinMs;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
