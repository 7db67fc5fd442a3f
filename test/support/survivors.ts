import { createHash, type Hash, randomBytes } from "node:crypto";
import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import https from "node:https";
import { connect } from "node:net";
import type { Duplex, Readable } from "node:stream";
import WebSocket, { WebSocketServer } from "ws";
import grpc from "@grpc/grpc-js";
import { type App, startHttpApp, startTcpApp } from "../../src/dataplanes/testing/apps.ts";
import { grpcClient, startGrpcApp } from "../../src/dataplanes/testing/grpc-app.ts";
import { until } from "./gate.ts";

/** What one side said and the other heard, which is to be the same to the byte. */
class Ledger {
  said = 0;
  heard = 0;
  readonly #said: Hash = createHash("sha256");
  readonly #heard: Hash = createHash("sha256");

  say(bytes: Buffer): Buffer {
    this.said += bytes.length;
    this.#said.update(bytes);
    return bytes;
  }

  hear(bytes: Buffer): void {
    this.heard += bytes.length;
    this.#heard.update(bytes);
  }

  get same(): boolean {
    return this.said === this.heard && this.#said.copy().digest("hex") === this.#heard.copy().digest("hex");
  }
}

/** Something that is open for the whole of a test, with bytes moving. */
export interface Survivor {
  readonly kind: string;
  /** Says some more. */
  beat(): void;
  /** Why it did not survive; null: it did, so far. */
  readonly lost: string | null;
  /** Ends it; gives what is wrong with it: null where every byte came. */
  finish(): Promise<string | null>;
}

interface Ways {
  readonly kind: string;
  readonly say: (bytes: Buffer) => void;
  /** From the side that ends it. */
  readonly end: () => void;
  /** Whether its end was a whole one. */
  readonly whole?: () => boolean;
}

const BEAT_BYTES = 2048;

class Flow implements Survivor {
  readonly kind: string;
  readonly ledger = new Ledger();
  readonly #ways: Ways;
  #ending = false;
  #over = false;
  #lost: string | null = null;

  constructor(ways: Ways) {
    this.kind = ways.kind;
    this.#ways = ways;
  }

  get lost(): string | null {
    return this.#lost;
  }

  beat(): void {
    if (!this.#over) this.#ways.say(this.ledger.say(randomBytes(BEAT_BYTES)));
  }

  /** To be called when it is over, with why where that is known. */
  over(why = "it was closed"): void {
    this.#over = true;
    if (!this.#ending) this.#lost ??= `${this.kind}: ${why} after ${String(this.ledger.heard)} bytes`;
  }

  async finish(): Promise<string | null> {
    const { ledger } = this;
    if (this.#lost !== null) return this.#lost;
    await until(() => ledger.heard >= ledger.said || this.#over, `${this.kind}'s last bytes`, 10_000);
    this.#ending = true;
    this.#ways.end();
    if (this.#ways.whole !== undefined) await until(() => this.#over, `${this.kind}'s end`, 10_000);
    if (!ledger.same) return `${this.kind}: said ${String(ledger.said)} bytes, heard ${String(ledger.heard)} others`;
    return this.#ways.whole?.() === false ? `${this.kind}: did not end as a whole` : null;
  }
}

/** Where the gate listens, with TLS, and who asks. */
export interface Entrance {
  readonly port: number;
  /** Certificate that gRPC's client believes, PEM. */
  readonly ca: string;
  readonly token: string;
}

/** Jobs in this process, and visitors of them through a gate: so both ends of every byte are seen. Disposing ends the jobs. */
export class Survivors implements AsyncDisposable {
  readonly web: App;
  readonly rpc: App;
  readonly raw: App;
  readonly #scope: AsyncDisposableStack;
  /** Answers that go on, by the path that was asked for. */
  readonly #answers: Map<string, ServerResponse>;
  #count = 0;

  private constructor(
    apps: readonly [App, App, App],
    answers: Map<string, ServerResponse>,
    scope: AsyncDisposableStack,
  ) {
    [this.web, this.rpc, this.raw] = apps;
    this.#answers = answers;
    this.#scope = scope;
  }

  static async start(): Promise<Survivors> {
    await using scope = new AsyncDisposableStack();
    const answers = new Map<string, ServerResponse>();
    const web = scope.use(
      await startHttpApp((request, response) => {
        const { url = "" } = request;
        if (!url.startsWith("/long/")) return void response.end(`here is ${request.headers.host ?? ""}`);
        const type = url.includes("events") ? "text/event-stream" : "application/octet-stream";
        response.writeHead(200, { "content-type": type }).flushHeaders();
        answers.set(url, response);
      }),
    );
    new WebSocketServer({ server: web.server }).on("connection", (socket) => {
      socket.on("error", () => undefined).on("message", (data) => socket.send(data as Buffer));
    });
    const rpc = scope.use(Object.assign(await startGrpcApp(), { sockets: new Set<never>(), connections: () => 0 }));
    const raw = scope.use(await startTcpApp((socket) => void socket.pipe(socket)));
    return new Survivors([web, rpc, raw], answers, scope.move());
  }

  async webSocket(entrance: Entrance, host: string): Promise<Survivor> {
    const socket = new WebSocket(`wss://127.0.0.1:${String(entrance.port)}/`, {
      ...{ headers: fields(entrance, host), rejectUnauthorized: false, servername: host },
    });
    await once(socket, "open");
    const flow = new Flow({ kind: "a WebSocket", say: (bytes) => socket.send(bytes), end: () => socket.terminate() });
    socket.on("message", (data: Buffer) => flow.ledger.hear(data));
    socket.on("error", () => undefined).on("close", (code: number) => flow.over(`closed with ${String(code)}`));
    return flow;
  }

  chat(entrance: Entrance, host: string): Survivor {
    const client = grpcClient(entrance.port, host, entrance.ca);
    const metadata = new grpc.Metadata();
    metadata.set("x-taskgate-authorization", `Bearer ${entrance.token}`);
    const call = (client.chat as unknown as (metadata: grpc.Metadata) => ReturnType<typeof client.chat>)(metadata);
    const flow = new Flow({
      ...{ kind: "a gRPC stream", say: (bytes) => void call.write(bytes), end: () => call.end() },
      whole: () => {
        client.close();
        return true;
      },
    });
    call.on("data", (bytes: Buffer) => flow.ledger.hear(bytes));
    call.on("error", (error: Error) => flow.over(error.message)).on("end", () => flow.over());
    return flow;
  }

  /** A connection to a port of the job's own. */
  async rawPort(port: number): Promise<Survivor> {
    const socket = connect({ port, host: "127.0.0.1" });
    await once(socket, "connect");
    return ofSocket("a TCP connection", socket);
  }

  async tunnel(entrance: Entrance, host: string): Promise<Survivor> {
    const authority = `${host}:${String(entrance.port)}`;
    const asked = https.request({
      ...{ port: entrance.port, host: "127.0.0.1", servername: host, rejectUnauthorized: false, agent: false },
      ...{ method: "CONNECT", path: authority, headers: fields(entrance, host) },
    });
    const [answer, socket] = (await once(asked.end(), "connect")) as [IncomingMessage, Duplex];
    if (answer.statusCode !== 200) throw new Error(`CONNECT: ${String(answer.statusCode)}`);
    return ofSocket("a tunnel", socket);
  }

  /** An answer that goes on; the job says what it consists of, and when it ends. */
  async answer(entrance: Entrance, host: string, what: "events" | "download"): Promise<Survivor> {
    const path = `/long/${what}/${String((this.#count += 1))}`;
    const asked = https.request({
      ...{ port: entrance.port, host: "127.0.0.1", servername: host, rejectUnauthorized: false, agent: false },
      ...{ path, headers: fields(entrance, host) },
    });
    const [response] = (await once(asked.end(), "response")) as [IncomingMessage];
    const job = this.#answers.get(path);
    if (response.statusCode !== 200 || job === undefined) throw new Error(`${what}: ${String(response.statusCode)}`);
    const flow = new Flow({
      ...{ kind: what === "events" ? "an event stream" : "a download", end: () => job.end() },
      ...{ say: (bytes) => void job.write(bytes), whole: () => response.complete },
    });
    response.on("data", (bytes: Buffer) => flow.ledger.hear(bytes));
    response.on("error", (error: Error) => flow.over(error.message)).on("close", () => flow.over());
    return flow;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#scope.disposeAsync();
  }
}

const fields = ({ port, token }: Entrance, host: string) => ({
  host: `${host}:${String(port)}`,
  "x-taskgate-authorization": `Bearer ${token}`,
});

function ofSocket(kind: string, socket: Duplex & Readable): Survivor {
  const flow = new Flow({ kind, say: (bytes) => void socket.write(bytes), end: () => socket.end(), whole: () => true });
  socket.on("data", (bytes: Buffer) => flow.ledger.hear(bytes));
  socket.on("error", (error: Error) => flow.over(error.message)).on("close", () => flow.over());
  return flow;
}
