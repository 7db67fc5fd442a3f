import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import http2, { type IncomingHttpHeaders, type OutgoingHttpHeaders } from "node:http2";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { hash } from "bcrypt";
import { expect } from "vitest";
import { valuesOf } from "../../src/dataplanes/testing/clients.ts";
import { type Answer, ROOT, startTestGate, type TestGate } from "./gate.ts";

/** What reached one of the jobs. */
export interface Reached {
  /** Name or id of the job's task. */
  readonly task: string;
  readonly method: string;
  readonly url: string;
  readonly rawHeaders: readonly string[];
  readonly rawTrailers: readonly string[];
  readonly body: string;
}

export const RECORDER = join(ROOT, "test", "support", "recorder.mjs");
export const API = "/.taskgate/api/v1";
export const CLOSE = "Connection: close\r\n";
/** Header fields of a browser that shows a page, and of a script. */
export const PAGE = { accept: "text/html", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document" };
export const JSON_BODY = { "content-type": "application/json" };
/** Of everybody who has one: alice and bob. */
export const PASSWORD = "correct horse";

export const basic = (user: string, password = PASSWORD) => ({
  authorization: `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`,
});
export const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
export const statusOf = (answer: string) => Number(/^HTTP\/1\.1 (\d{3}) /.exec(answer)?.[1] ?? "0");
export const cookieOf = ({ headers }: Answer, which: string) =>
  headers["set-cookie"]?.find((field) => field.includes(`taskgate-${which}`))?.split(";")[0] ?? "";

/** What reached jobs means one thing alone: each was asked for by its own name, once, and each body ends in one way. */
export function expectOneMeaning(requests: readonly Reached[]): void {
  for (const { task, rawHeaders, url } of requests) {
    const [host = "", ...others] = valuesOf(rawHeaders, "host");
    expect([host.split(/[.:]/)[0], others, url.slice(0, 1)]).toEqual([task, [], "/"]);
    const framing = ["content-length", "transfer-encoding"].flatMap((name) => valuesOf(rawHeaders, name));
    expect(framing.length).toBeLessThanOrEqual(1);
    expect(valuesOf(rawHeaders, "x-taskgate-user").length).toBeLessThanOrEqual(1);
  }
}

export interface HttpTwoAsk {
  readonly trailers?: OutgoingHttpHeaders;
  readonly body?: string;
}

/** A gate, jobs that write down all that reaches them, and visitors who send what they like. Disposing ends all of it. */
export interface HostileGate extends AsyncDisposable {
  readonly gate: TestGate;
  readonly port: number;
  /** For files of the test. */
  readonly folder: string;
  /** Starts a job that records. `name` is its host, too. */
  run(name: string, ...options: readonly string[]): Promise<unknown>;
  /** What reached any job since this was last asked. */
  reached(): Reached[];
  /** A connection with these first bytes, from this address of loopback. */
  open(text?: string, from?: string): Promise<Socket>;
  /** Sends bytes as they are; gives all that comes back until the end, or until `over` holds. */
  send(text: string, over?: (answer: string) => boolean): Promise<string>;
  /** One request over HTTP/2: its status, or what became of the stream. */
  askHttp2(headers: OutgoingHttpHeaders, ask?: HttpTwoAsk): Promise<number | string>;
  /** One request of the API, with nothing but these headers. */
  api<T>(method: string, path: string, headers?: object, body?: unknown): Promise<{ status: number; json: T }>;
  /** The line with this host. */
  host(name: string): string;
  /** The status that `headers` get at a job. */
  statusFor(name: string, headers: Readonly<Record<string, string>>, path?: string): Promise<number>;
}

/**
 * `config` beside two people with passwords, alice (of the group ml) and bob, both of that realm. `prepare` writes files that the config
 * names, relative to it.
 */
export async function startHostileGate(
  config: Readonly<Record<string, unknown>> = {},
  prepare: (folder: string) => void = () => undefined,
  realm = "corp",
): Promise<HostileGate> {
  const folder = mkdtempSync(join(tmpdir(), "tg-hostile-"));
  prepare(folder);
  const seen = join(folder, "seen");
  writeFileSync(seen, "");
  const password = await hash(PASSWORD, 4);
  writeFileSync(join(folder, "htpasswd"), `alice:${password}\nbob:${password}\n`, { mode: 0o600 });
  writeFileSync(join(folder, "groups"), "ml: alice\n");
  const passwords = { type: "basic", name: realm, passwordFile: "htpasswd", groupsFile: "groups" };
  const { login = {}, ...rest } = config as { login?: { methods?: object[] } };
  const methods = [passwords, ...(login.methods ?? [])];
  const file = join(folder, "config.yaml");
  writeFileSync(file, JSON.stringify({ log: { level: "debug" }, login: { ...login, methods }, ...rest }));
  const gate = await startTestGate({ config: file, environment: { SEEN: seen, SECRET_OF_THE_CALLER: "s3cret" } });
  return new Hostile(gate, folder, seen);
}

class Hostile implements HostileGate {
  readonly gate: TestGate;
  readonly folder: string;
  readonly port: number;
  readonly #seen: string;

  constructor(gate: TestGate, folder: string, seen: string) {
    this.gate = gate;
    this.folder = folder;
    this.#seen = seen;
    this.port = gate.file().port;
  }

  run(name: string, ...options: readonly string[]): Promise<unknown> {
    return this.gate.json(
      ...["run", "--name", name, "--service", "web=http", ...options],
      ...["--", process.execPath, RECORDER],
    );
  }

  reached(): Reached[] {
    const lines = readFileSync(this.#seen, "utf8").split("\n").filter(Boolean);
    writeFileSync(this.#seen, "");
    const all = lines.map((line) => JSON.parse(line) as Reached);
    return all.filter(({ rawHeaders }) => !rawHeaders.includes("taskgate")); // the gate itself asks what a new port speaks
  }

  open(text = "", from = "127.0.0.1"): Promise<Socket> {
    return new Promise((resolve, reject) => {
      const socket = connect({ port: this.port, host: "127.0.0.1", localAddress: from }, () => {
        socket.off("error", reject).on("error", () => undefined);
        socket.write(text, "latin1");
        resolve(socket);
      });
      socket.once("error", reject);
    });
  }

  async send(text: string, over: (answer: string) => boolean = () => false): Promise<string> {
    const socket = await this.open(text);
    let answer = "";
    const ended = new Promise<void>((resolve) => {
      socket.on("data", (chunk: Buffer) => {
        answer += chunk.toString("latin1");
        if (over(answer)) resolve();
      });
      socket.once("close", resolve);
    });
    await ended;
    socket.destroy();
    return answer;
  }

  askHttp2(headers: OutgoingHttpHeaders, { trailers, body }: HttpTwoAsk = {}): Promise<number | string> {
    return new Promise((resolve) => {
      const session = http2.connect(`http://127.0.0.1:${String(this.port)}`);
      const end = (result: number | string) => {
        session.destroy();
        resolve(result);
      };
      session.on("error", (error: Error) => end(error.message));
      // Extended CONNECT (RFC 8441) is for who knows that the other side takes it.
      session.once("remoteSettings", () => {
        const stream = session.request(
          { ":path": "/", ...headers },
          { endStream: body === undefined && trailers === undefined, waitForTrailers: trailers !== undefined },
        );
        stream.on("wantTrailers", () => stream.sendTrailers(trailers ?? {}));
        stream.on("response", (answer: IncomingHttpHeaders) => end(Number(answer[":status"])));
        stream.on("error", (error: Error) => end(error.message));
        stream.on("close", () => end("closed"));
        if (body !== undefined || trailers !== undefined) stream.end(body);
      });
    });
  }

  async api<T>(method: string, path: string, headers: object = {}, body?: unknown) {
    const answer = await this.gate.ask("taskgate.localhost", `${API}${path}`, {
      ...{ method, anonymous: true, headers: { ...(body === undefined ? {} : JSON_BODY), ...headers } },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status: answer.status, json: parseJson(answer.body) as T };
  }

  host(name: string): string {
    return `Host: ${name}.localhost:${String(this.port)}\r\n`;
  }

  async statusFor(name: string, headers: Readonly<Record<string, string>>, path = "/"): Promise<number> {
    return (await this.gate.ask(`${name}.localhost`, path, { anonymous: true, headers })).status;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.gate[Symbol.asyncDispose]();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text === "" ? null : text;
  }
}
