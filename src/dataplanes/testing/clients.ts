import { once } from "node:events";
import http, { type IncomingHttpHeaders, type OutgoingHttpHeaders } from "node:http";
import net, { type Socket } from "node:net";

export interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly rawHeaders: readonly string[];
  readonly rawTrailers: readonly string[];
  readonly body: string;
}

export interface AskOptions {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: OutgoingHttpHeaders;
  /** In place of `headers`: name, value, name, value, beside Host. */
  readonly fields?: readonly string[];
  readonly body?: string;
  readonly agent?: http.Agent;
}

/** One HTTP/1.1 request with node's own client; rejects when the answer does not come whole. */
export function ask(port: number, host: string, options: AskOptions = {}): Promise<Reply> {
  const { method = "GET", path = "/", body, agent = false } = options;
  const headers = options.fields === undefined ? { host, ...options.headers } : ["Host", host, ...options.fields];
  return new Promise((resolve, reject) => {
    const request = http.request({ host: "127.0.0.1", port, method, path, headers, agent });
    request.on("error", reject);
    request.on("response", (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => {
        const { statusCode = 0, headers, rawHeaders, rawTrailers } = response;
        const text = Buffer.concat(chunks).toString("latin1");
        resolve({ status: statusCode, headers, rawHeaders, rawTrailers, body: text });
      });
    });
    request.end(body);
  });
}

export interface Echo {
  readonly method: string;
  readonly url: string;
  readonly rawHeaders: string[];
  readonly rawTrailers: string[];
  readonly body: string;
}

/** Values of all fields of this name, which is in lower case. */
export function valuesOf(rawHeaders: readonly string[], name: string): string[] {
  return rawHeaders.filter((_, at) => at % 2 === 1 && rawHeaders[at - 1]?.toLowerCase() === name);
}

/** What an `echo` app was asked. */
export function echoed(reply: Reply): Echo & { header(name: string): string | undefined; all(name: string): string[] } {
  const seen = JSON.parse(reply.body) as Echo;
  const all = (name: string) => valuesOf(seen.rawHeaders, name);
  return { ...seen, all, header: (name) => all(name)[0] };
}

/** A bare connection that says what it is told and keeps all that comes. */
export class RawClient implements Disposable {
  readonly socket: Socket;
  received = "";
  ended = false;
  closed = false;
  error: string | null = null;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on("data", (chunk: Buffer) => (this.received += chunk.toString("latin1")));
    socket.on("end", () => (this.ended = true));
    socket.on("close", () => (this.closed = true));
    socket.on("error", (error: NodeJS.ErrnoException) => (this.error = error.code ?? error.message));
  }

  /** The other side ended or broke the connection. */
  get over(): boolean {
    return this.ended || this.closed;
  }

  static async connect(port: number, first = ""): Promise<RawClient> {
    const socket = net.connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    await once(socket, "connect");
    const client = new RawClient(socket);
    if (first !== "") client.send(first);
    return client;
  }

  send(text: string): void {
    this.socket.write(text, "latin1");
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }
}
