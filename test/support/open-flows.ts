import { spawn } from "node:child_process";
import { once } from "node:events";
import http, { type IncomingMessage } from "node:http";
import http2, { type ClientHttp2Stream, type OutgoingHttpHeaders } from "node:http2";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import type { Readable } from "node:stream";
import grpc from "@grpc/grpc-js";
import { grpcClient } from "../../src/dataplanes/testing/grpc-app.ts";
import { ROOT, type TestGate } from "./gate.ts";

/** Something that the job would never end. Disposing ends it from the visitor's side. */
export interface OpenFlow extends Disposable {
  /** When it was over, in ms of this process. */
  readonly ended: Promise<number>;
  readonly open: boolean;
  /** What the visitor was told at its end, where its protocol has a word for it; "whole": as if nothing were missing. */
  readonly said: string;
}

type Headers = Readonly<Record<string, string>>;

const SOCKET_FIELDS = { upgrade: "websocket", "sec-websocket-version": "13" };

/** A whole gate, or something that stands at a port as one does. */
type Way = Pick<TestGate, "environment"> & { file(): { readonly port: number } };

type Names = Readonly<Record<"web" | "api" | "raw", string>>;

/** Ways in to the services of test/support/endless.mjs. Each gives what it opened once bytes have come from the job; throws what refused it. */
export class OpenFlows {
  readonly #gate: Way;
  readonly #task: string;
  readonly #names: Names;

  /** `names`: what the services are called there. */
  constructor(gate: Way, task: string, names: Names = { web: "web", api: "api", raw: "raw" }) {
    this.#gate = gate;
    this.#task = task;
    this.#names = names;
  }

  get #port(): number {
    return this.#gate.file().port;
  }

  /** `web` is the first one: its host is the task's. */
  host(service: keyof Names): string {
    return `${service === "web" ? "" : `${this.#names[service]}-`}${this.#task}.localhost`;
  }

  #authority(service: keyof Names): string {
    return `${this.host(service)}:${String(this.#port)}`;
  }

  async download(headers: Headers): Promise<OpenFlow> {
    const all = { host: this.#authority("web"), ...headers };
    const request = http.request({ port: this.#port, host: "127.0.0.1", path: "/endless", headers: all, agent: false });
    const [response] = (await once(request.end(), "response")) as [IncomingMessage];
    if (response.statusCode !== 200) throw new Error(`download: ${String(response.statusCode)}`);
    return ofStream(response, { said: () => (response.complete ? "whole" : "cut") });
  }

  async webSocket(headers: Headers): Promise<OpenFlow> {
    const host = this.#authority("web");
    const key = { connection: "Upgrade", "sec-websocket-key": Buffer.alloc(16).toString("base64") };
    const all = { host, origin: `http://${host}`, ...SOCKET_FIELDS, ...key, ...headers };
    const request = http.request({ port: this.#port, host: "127.0.0.1", path: "/", headers: all, agent: false }).end();
    const [, socket] = await answered<[IncomingMessage, Socket, Buffer]>(request, "upgrade");
    return ofStream(socket);
  }

  async http2(headers: Headers): Promise<OpenFlow> {
    return this.#http2({ ":method": "GET", ":path": "/endless", ":authority": this.#authority("web"), ...headers });
  }

  /** By extended CONNECT (RFC 8441). */
  async webSocketOverHttp2(headers: Headers): Promise<OpenFlow> {
    const authority = this.#authority("web");
    const fields = { ":protocol": "websocket", ":scheme": "http", ":path": "/", "sec-websocket-version": "13" };
    const origin = `http://${authority}`;
    return this.#http2({ ":method": "CONNECT", ":authority": authority, origin, ...fields, ...headers });
  }

  async connectOverHttp2(headers: Headers): Promise<OpenFlow> {
    return this.#http2({ ":method": "CONNECT", ":authority": this.#authority("raw"), ...headers }, "ping");
  }

  async #http2(headers: OutgoingHttpHeaders, first?: string): Promise<OpenFlow> {
    const session = http2.connect(`http://127.0.0.1:${String(this.#port)}`);
    session.on("error", () => undefined);
    if (session.remoteSettings.enableConnectProtocol !== true) await once(session, "remoteSettings");
    const stream: ClientHttp2Stream = session.request(headers, { endStream: headers[":method"] === "GET" });
    if (first !== undefined) stream.write(first);
    const [answer] = (await once(stream, "response")) as [http2.IncomingHttpHeaders];
    if (Number(answer[":status"]) !== 200) {
      session.destroy();
      throw new Error(`HTTP/2: ${String(answer[":status"])}`);
    }
    const said = (): string => (stream.rstCode === 0 ? "whole" : "cut");
    return ofStream(stream, { said, leave: () => session.destroy() });
  }

  async grpc(headers: Headers): Promise<OpenFlow> {
    const host = this.#authority("api");
    const client = grpcClient(this.#port, host);
    const metadata = new grpc.Metadata();
    for (const [name, value] of Object.entries({ origin: `http://${host}`, ...headers })) metadata.set(name, value);
    const call = client.repeat(Buffer.from("tick"), metadata);
    let code = grpc.status.OK;
    call.on("status", (status) => (code = status.code));
    const said = (): string => (code === grpc.status.OK ? "whole" : "cut");
    const leave = (): void => {
      call.cancel();
      client.close();
    };
    return ofStream(call, { said, leave, event: "status" });
  }

  async connect(headers: Headers): Promise<OpenFlow> {
    const host = this.#authority("raw");
    const all = { host, ...headers };
    const request = http.request({ port: this.#port, host: "127.0.0.1", method: "CONNECT", path: host, headers: all });
    const [answer, socket] = (await once(request.end(), "connect")) as [IncomingMessage, Socket];
    if (answer.statusCode !== 200) throw new Error(`CONNECT: ${String(answer.statusCode)}`);
    socket.write("ping");
    return ofStream(socket);
  }

  /** One connection through `taskgate forward`, which shows this token. */
  async forward(token: string): Promise<OpenFlow> {
    const env = { ...this.#gate.environment, TASKGATE_TOKEN: token };
    const words = ["forward", `${this.#task}/${this.#names.raw}`, "--json"];
    const program = spawn(join(ROOT, "bin", "taskgate"), words, { env, stdio: ["ignore", "pipe", "inherit"] });
    const [line] = (await once(program.stdout, "data")) as [Buffer];
    const { port } = JSON.parse(line.toString()) as { port: number };
    const socket = connect({ port, host: "127.0.0.1" });
    socket.write("ping");
    return ofStream(socket, { leave: () => program.kill() });
  }
}

/** What `once` gives of `event`, unless the request is answered otherwise. */
function answered<T>(request: http.ClientRequest, event: string): Promise<T> {
  return new Promise((resolve, reject) => {
    request.once(event, (...all) => resolve(all as T));
    request.once("response", ({ statusCode }) => reject(new Error(`${event}: ${String(statusCode)}`)));
    request.once("error", reject);
  });
}

interface Ways {
  /** What it was told at its end. */
  readonly said?: () => string;
  readonly leave?: () => void;
  /** Which ends it. */
  readonly event?: "close" | "status";
}

async function ofStream(stream: Readable, { said, leave, event = "close" }: Ways = {}): Promise<OpenFlow> {
  let open = true;
  stream.on("error", () => undefined);
  const ended = new Promise<number>((resolve) => {
    stream.once(event, () => {
      open = false;
      resolve(performance.now());
    });
  });
  const came = new Promise<true>((resolve) => stream.once("data", () => resolve(true)));
  if ((await Promise.race([came, ended])) !== true) throw new Error("it ended before anything came");
  return {
    ended,
    get open() {
      return open;
    },
    get said() {
      return open ? "" : (said?.() ?? "");
    },
    [Symbol.dispose]() {
      stream.destroy();
      leave?.();
    },
  };
}
