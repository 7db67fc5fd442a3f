import type { Socket } from "node:net";
import { startTcpApp } from "../../src/dataplanes/testing/apps.ts";
import { RawClient } from "../../src/dataplanes/testing/clients.ts";
import { until, type Rig } from "../../src/dataplanes/testing/rig.ts";
import { byHost } from "../../src/dataplanes/testing/table-builder.ts";

/** One HTTP/1.1 message as it was on the wire, latin1. */
export interface Message {
  readonly start: string;
  /** Name, value, name, value. */
  readonly fields: readonly string[];
  /** Without its framing. */
  readonly body: string;
  readonly trailers: readonly string[];
  readonly chunked: boolean;
}

export interface Messages {
  readonly whole: readonly Message[];
  /** What follows the last whole one. */
  readonly rest: string;
}

/** Reads requests to the letter of RFC 9112, as a job that forgives nothing would. Throws on bytes that are none. */
export function readRequests(raw: string): Messages {
  return readAll(raw, (head) => bodyKind(head, "none"));
}

/**
 * Reads answers as strictly. `methods` are those of the requests, in order; `closed`: the connection is over, which ends a body without
 * length. Interim answers are messages of their own.
 */
export function readAnswers(raw: string, methods: readonly string[] = [], closed = false): Messages {
  let answered = 0;
  return readAll(raw, (head) => {
    const status = statusOf(head);
    if (status < 200 && status !== 101) return "none";
    const method = methods[answered++] ?? "GET";
    if (status === 101) return closed ? "close" : "none";
    if (method === "HEAD" || status === 204 || status === 304) return "none";
    return bodyKind(head, closed ? "close" : "open");
  });
}

export const statusOf = ({ start }: Pick<Message, "start">): number =>
  Number(/^HTTP\/1\.[01] (\d{3}) /.exec(start)?.[1] ?? "0");

export function valueOf({ fields }: Pick<Message, "fields">, name: string): string | undefined {
  for (let at = 0; at < fields.length; at += 2) if (fields[at]?.toLowerCase() === name) return fields[at + 1];
  return undefined;
}

type Head = Pick<Message, "start" | "fields">;
type Kind = number | "chunked" | "none" | "close" | "open";

function bodyKind(head: Head, other: Kind): Kind {
  const coding = valueOf(head, "transfer-encoding");
  const length = valueOf(head, "content-length");
  if (coding !== undefined && length !== undefined) throw new Error(`two framings: ${head.start}`);
  if (coding !== undefined && coding.toLowerCase() !== "chunked") throw new Error(`coding ${coding}`);
  if (coding !== undefined) return "chunked";
  if (length !== undefined && !/^\d+$/.test(length)) throw new Error(`length ${length}`);
  return length === undefined ? other : Number(length);
}

function readAll(raw: string, kindOf: (head: Head) => Kind): Messages {
  const whole: Message[] = [];
  let rest = raw;
  for (;;) {
    const end = rest.indexOf("\r\n\r\n");
    if (end < 0) return { whole, rest };
    const [start = "", ...lines] = rest.slice(0, end).split("\r\n");
    const head = { start, fields: readFields(lines) };
    const body = readBody(rest.slice(end + 4), kindOf(head));
    if (body === null) return { whole, rest };
    whole.push({ ...head, body: body.text, trailers: body.trailers, chunked: body.chunked });
    rest = body.rest;
  }
}

function readFields(lines: readonly string[]): string[] {
  return lines.flatMap((line) => {
    const match = /^([!#$%&'*+\-.^_`|~\w]+):[ \t]*([^\0-\x08\n-\x1f\x7f]*?)[ \t]*$/.exec(line);
    if (match === null) throw new Error(`no field: ${JSON.stringify(line)}`);
    return [match[1] ?? "", match[2] ?? ""];
  });
}

interface Body {
  readonly text: string;
  readonly trailers: readonly string[];
  readonly rest: string;
  readonly chunked: boolean;
}

function readBody(raw: string, kind: Kind): Body | null {
  const plain = (text: string, rest: string) => ({ text, rest, trailers: [], chunked: false });
  if (kind === "chunked") return readChunks(raw);
  if (kind === "open") return null;
  if (kind === "close") return plain(raw, "");
  const length = kind === "none" ? 0 : kind;
  return raw.length < length ? null : plain(raw.slice(0, length), raw.slice(length));
}

function readChunks(raw: string): Body | null {
  let text = "";
  let rest = raw;
  for (;;) {
    const end = rest.indexOf("\r\n");
    if (end < 0) return null;
    const line = rest.slice(0, end);
    if (!/^[0-9a-f]+$/i.test(line)) throw new Error(`no chunk size: ${JSON.stringify(line)}`);
    const size = parseInt(line, 16);
    rest = rest.slice(end + 2);
    if (size === 0) break;
    if (rest.length < size + 2) return null;
    if (rest.slice(size, size + 2) !== "\r\n") throw new Error("a chunk without its end");
    text += rest.slice(0, size);
    rest = rest.slice(size + 2);
  }
  if (rest.startsWith("\r\n")) return { text, trailers: [], rest: rest.slice(2), chunked: true };
  const end = rest.indexOf("\r\n\r\n");
  if (end < 0) return null;
  return { text, trailers: readFields(rest.slice(0, end).split("\r\n")), rest: rest.slice(end + 4), chunked: true };
}

/** One connection that came to a `RawBackend`. */
export class RawConnection {
  readonly socket: Socket;
  /** Every byte that came, latin1. */
  raw = "";
  ended = false;
  closed = false;
  /** Code of the error that broke it: ECONNRESET where it was reset. */
  error: string | null = null;
  /** Why what came is no request. */
  fault: string | null = null;
  #answered = 0;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on("end", () => (this.ended = true));
    socket.on("close", () => (this.closed = true));
    socket.on("error", (error: NodeJS.ErrnoException) => (this.error = error.code ?? error.message));
  }

  get requests(): Messages {
    return readRequests(this.raw);
  }

  /** The other side ended or broke it. */
  get over(): boolean {
    return this.ended || this.closed;
  }

  /** Requests that became whole since this was last asked. */
  take(): readonly Message[] {
    try {
      const fresh = this.requests.whole.slice(this.#answered);
      this.#answered += fresh.length;
      return fresh;
    } catch (error) {
      this.fault ??= String(error);
      return [];
    }
  }

  send(text: string): void {
    this.socket.write(text, "latin1");
  }
}

export const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/** What a backend does with a request that is whole: the bytes of its answer, or something of its own. */
export type Answering = (request: Message, connection: RawConnection) => string | undefined;

/** A job of bare sockets that keeps every byte it gets. */
export interface RawBackend extends AsyncDisposable {
  readonly address: { readonly ip: string; readonly port: number };
  /** All connections ever, in order. */
  readonly connections: RawConnection[];
  answering: Answering;
  /** Called with every piece of bytes, before requests are looked for. */
  hearing: (connection: RawConnection, piece: string) => void;
  /** Called with every connection. */
  greeting: (connection: RawConnection) => void;
}

export async function startRawBackend(answering: Answering = () => OK): Promise<RawBackend> {
  const connections: RawConnection[] = [];
  const app = await startTcpApp((socket) => {
    const connection = new RawConnection(socket);
    connections.push(connection);
    backend.greeting(connection);
    socket.on("data", (chunk: Buffer) => {
      const piece = chunk.toString("latin1");
      connection.raw += piece;
      backend.hearing(connection, piece);
      for (const request of connection.take()) {
        const answer = backend.answering(request, connection);
        if (answer !== undefined) connection.send(answer);
      }
    });
    socket.on("end", () => socket.end());
  });
  const backend: RawBackend = {
    address: app.address,
    connections,
    answering,
    hearing: () => undefined,
    greeting: () => undefined,
    [Symbol.asyncDispose]: () => app[Symbol.asyncDispose](),
  };
  return backend;
}

/** Fields that the gate itself says about its visitor, and framing of one connection only. */
const GATES_OWN =
  /^(x-forwarded-(for|proto|host|port)|forwarded|via|connection|x-request-id|x-envoy-attempt-count|traceparent)$/;

/**
 * A request as a test writes it down: the request line, other fields than the gate's own in lower case and order of the alphabet, an empty
 * line, the body without its framing, and trailers behind a second empty line.
 */
export function written({ start, fields, body, trailers }: Message): string {
  const lines = (list: readonly string[]) =>
    list.flatMap((name, at) => (at % 2 === 0 ? [`${name.toLowerCase()}: ${list[at + 1] ?? ""}`] : []));
  const kept = lines(fields).filter((line) => !GATES_OWN.test(line.slice(0, line.indexOf(":"))));
  return [start, ...kept.sort(), "", body, ...(trailers.length > 0 ? ["", ...lines(trailers)] : [])].join("\n");
}

/** Sends bytes as they are and waits until the connection is over, or `enough` holds of what came back. */
export async function exchangeRaw(
  port: number,
  bytes: string | readonly string[],
  enough: (client: RawClient) => boolean = () => false,
): Promise<RawClient> {
  const client = await RawClient.connect(port);
  for (const piece of typeof bytes === "string" ? [bytes] : bytes) {
    client.send(piece);
    await new Promise((resolve) => setTimeout(resolve, 5)); // another packet
  }
  await until(() => client.over || enough(client));
  return client;
}

/** A raw job that is where a.localhost leads from now on. Whoever asks for it closes it, and the one before. */
export async function serveRaw(rig: Rig, answering?: Answering): Promise<RawBackend> {
  const backend = await startRawBackend(answering);
  rig.table.service({ key: "local/a/web", matches: [byHost("a.localhost")], endpoints: [backend.address] });
  await rig.publish();
  return backend;
}
