import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { buildOnce } from "./build-once.ts";
import { makeVirtualEnvironment } from "./python/environment.ts";

const VERSION = "6.1.1";
const START_MS = 60_000;

/** Password of every user of a test hub. */
export const HUB_PASSWORD = "as good as any";

export interface HubOptions {
  readonly users: readonly string[];
  readonly admins?: readonly string[];
  readonly groups?: Readonly<Record<string, readonly string[]>>;
  /** Who may use the service `taskgate`; default: every user. */
  readonly permitted?: readonly string[];
  /** The gate's address that the hub sends browsers back to. */
  readonly redirectUri: string;
  /** Where it is to be found; see `freePorts`. */
  readonly port: number;
  /** The secret of the service `taskgate`: 32 hexadecimal digits. */
  readonly serviceToken: string;
}

/** A real JupyterHub, with its own proxy before it; the gate is its service `taskgate`. Disposing it removes all of it. */
export interface TestHub extends AsyncDisposable {
  /** As browsers see it: `http://127.0.0.1:PORT/hub`. */
  readonly url: string;
  /** A new token of a user, as its own page makes them. `expiresIn`: seconds. */
  mint(user: string, more?: { readonly expiresIn?: number; readonly scopes?: readonly string[] }): Promise<Minted>;
  revoke(user: string, id: string): Promise<void>;
  /** Kills the hub; its proxy stays and has nobody to ask. */
  kill(): Promise<void>;
  /** Stops the hub without ending it: it takes connections and answers none. */
  freeze(): void;
  thaw(): void;
  /** After `kill`: the same hub again, with what it knew. */
  start(): Promise<void>;
  /** What the hub and its proxy logged so far. */
  logged(): string;
}

export interface Minted {
  readonly id: string;
  readonly token: string;
}

/** Path of the program `jupyterhub`, installed once (seconds) into a virtual environment of its own. */
async function hubProgram(): Promise<string> {
  const what = `installing JupyterHub ${VERSION} (once, under a minute)`;
  const folder = await buildOnce(`jupyterhub-${VERSION}`, what, (folder) =>
    makeVirtualEnvironment(folder, [`jupyterhub==${VERSION}`]),
  );
  return join(folder, "bin", "jupyterhub");
}

/** Starts it (three seconds) and waits until it answers. Throws with what it said, if it does not. */
export async function startTestHub(options: HubOptions): Promise<TestHub> {
  const program = await hubProgram();
  const hub = new LiveHub(program, options, await freePorts(2));
  try {
    await hub.start();
  } catch (error) {
    await hub[Symbol.asyncDispose]();
    throw error;
  }
  return hub;
}

class LiveHub implements TestHub {
  readonly url: string;
  readonly #minterToken = randomBytes(16).toString("hex");
  readonly #folder = mkdtempSync(join(tmpdir(), "taskgate-hub-"));
  readonly #program: string;
  readonly #apiUrl: string;
  #hub: ChildProcess | null = null;
  #log = "";

  constructor(program: string, options: HubOptions, ports: readonly number[]) {
    this.#program = program;
    this.url = `http://127.0.0.1:${String(options.port)}/hub`;
    this.#apiUrl = `${this.url}/api`;
    const config = hubConfig(options, this.#minterToken, ports);
    writeFileSync(join(this.#folder, "jupyterhub_config.py"), config);
  }

  async start(): Promise<void> {
    const hub = spawn(this.#program, ["-f", "jupyterhub_config.py"], {
      cwd: this.#folder,
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, CONFIGPROXY_AUTH_TOKEN: this.#minterToken },
    });
    this.#hub = hub;
    for (const stream of [hub.stdout, hub.stderr])
      stream.setEncoding("utf8").on("data", (text: string) => (this.#log += text));
    const end = Date.now() + START_MS;
    while (!(await this.#answers())) {
      if (Date.now() > end || hub.exitCode !== null) throw new Error(`JupyterHub does not start:\n${this.#log}`);
      await setTimeout(100);
    }
  }

  async #answers(): Promise<boolean> {
    const signal = AbortSignal.timeout(2000);
    const asked = fetch(`${this.#apiUrl}/`, { signal });
    return asked.then((answer) => answer.ok && answer.headers.has("x-jupyterhub-version")).catch(() => false);
  }

  async mint(user: string, more: { readonly expiresIn?: number; readonly scopes?: readonly string[] } = {}) {
    const body = { expires_in: more.expiresIn ?? 3600, ...(more.scopes === undefined ? {} : { scopes: more.scopes }) };
    const { id, token } = (await this.#ask("POST", `/users/${user}/tokens`, body)) as Minted;
    return { id, token };
  }

  async revoke(user: string, id: string): Promise<void> {
    await this.#ask("DELETE", `/users/${user}/tokens/${id}`);
  }

  async #ask(method: string, path: string, body?: unknown): Promise<unknown> {
    const headers = { authorization: `token ${this.#minterToken}` };
    const content = body === undefined ? {} : { body: JSON.stringify(body) };
    const answer = await fetch(this.#apiUrl + path, { method, headers, ...content });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`JupyterHub: ${method} ${path}: ${String(answer.status)} ${text}`);
    return text === "" ? null : JSON.parse(text);
  }

  async kill(): Promise<void> {
    const hub = this.#hub;
    if (hub?.exitCode !== null || hub.signalCode !== null) return;
    const ended = new Promise((resolve) => hub.once("exit", resolve));
    hub.kill("SIGKILL");
    await ended;
  }

  freeze(): void {
    this.#hub?.kill("SIGSTOP");
  }

  thaw(): void {
    this.#hub?.kill("SIGCONT");
  }

  logged(): string {
    return this.#log;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const hub = this.#hub;
    await this.kill();
    for (const pid of [hub?.pid, this.#proxyPid()]) if (pid !== undefined) endGroup(pid);
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }

  /** The hub starts it in a session of its own, so that it outlives the hub. */
  #proxyPid(): number | undefined {
    try {
      return Number(readFileSync(join(this.#folder, "jupyterhub-proxy.pid"), "utf8"));
    } catch {
      return undefined;
    }
  }
}

function endGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // it ended by itself
  }
}

function hubConfig(options: HubOptions, minterToken: string, [hubPort = 0, proxyPort = 0]: readonly number[]): string {
  const { users, admins = [], groups = {}, permitted = users } = options;
  const proxy = createRequire(import.meta.url).resolve("configurable-http-proxy/bin/configurable-http-proxy");
  const service = { name: "taskgate", api_token: options.serviceToken, oauth_redirect_uri: options.redirectUri };
  const roles = [
    { name: "minter", services: ["minter"], scopes: ["admin:users", "tokens"] },
    { name: "gate-users", users: permitted, scopes: ["access:services!service=taskgate"] },
  ];
  const settings: Readonly<Record<string, unknown>> = {
    "JupyterHub.bind_url": `http://127.0.0.1:${String(options.port)}`,
    "JupyterHub.hub_bind_url": `http://127.0.0.1:${String(hubPort)}`,
    "ConfigurableHTTPProxy.api_url": `http://127.0.0.1:${String(proxyPort)}`,
    "ConfigurableHTTPProxy.command": [process.execPath, proxy],
    "JupyterHub.cleanup_proxy": false,
    "JupyterHub.authenticator_class": "dummy",
    "DummyAuthenticator.password": HUB_PASSWORD,
    "JupyterHub.load_groups": Object.fromEntries(Object.entries(groups).map(([name, users]) => [name, { users }])),
    "JupyterHub.services": [
      { ...service, oauth_no_confirm: true },
      { name: "minter", api_token: minterToken },
    ],
    "JupyterHub.load_roles": roles,
  };
  const lines = Object.entries(settings).map(([name, value]) => `c.${name} = json.loads(${python(value)})`);
  const sets = { allowed_users: [...users, ...admins], admin_users: admins };
  const setLines = Object.entries(sets).map(
    ([name, value]) => `c.Authenticator.${name} = set(json.loads(${python(value)}))`,
  );
  return ["import json", "c = get_config()", ...lines, ...setLines, ""].join("\n");
}

/** JSON as a string literal of Python: JSON's own escapes are Python's, too. */
function python(value: unknown): string {
  return JSON.stringify(JSON.stringify(value));
}

/** Ports that are free just now. */
export async function freePorts(count: number): Promise<readonly number[]> {
  const servers = await Promise.all(Array.from({ length: count }, () => listening()));
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

function listening() {
  const server = createServer();
  return new Promise<typeof server>((resolve) => server.listen(0, "127.0.0.1", () => resolve(server)));
}
