import { request, type IncomingMessage } from "node:http";
import { connect } from "node:net";
import { hostPort } from "../../../model/index.ts";

/** `tcp`: none of the others; it may have said something (`banner`) or nothing. */
export type Spoken = "http" | "grpc" | "tls" | "tcp";

/** What a port said to whoever connected. */
export interface Greeting {
  readonly speaks: Spoken;
  /** First bytes that came, one character each (latin1). */
  readonly banner: string;
  /** It neither said anything nor hung up. */
  readonly silent: boolean;
}

/** Answer to `GET`. */
export interface Page {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** As far as it came within the bounds. */
  readonly body: string;
}

/** Where a port is dialled. */
export interface PortAddress {
  readonly ip: string;
  readonly port: number;
}

/** Longest wait for each of the two rounds of a greeting, and for a page. */
const GREETING_MS = 1000;
const PAGE_MS = 2000;
/** Bounds on what is read. */
const BANNER_BYTES = 256;
const PAGE_BYTES = 64 * 1024;

/** Connection preface and an empty SETTINGS frame (RFC 9113, 3.4): HTTP/1 servers refuse it in HTTP/1, others in their own way. */
const HTTP2_PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", "latin1");
/** A TLS 1.2 ClientHello without extensions (RFC 5246, 7.4.1.2): answered by a ServerHello or an alert, both of which are TLS. */
const CLIENT_HELLO = Buffer.concat([
  Buffer.from([0x16, 3, 1, 0, 53, 1, 0, 0, 49, 3, 3]),
  Buffer.alloc(32, 0x74),
  Buffer.from([0, 0, 10, 0xc0, 0x2f, 0xc0, 0x30, 0xc0, 0x2b, 0x13, 0x01, 0, 0x9c, 1, 0]),
]);

interface Exchange {
  readonly bytes: Buffer;
  readonly end: "refused" | "closed" | "silent" | "answered";
}

/**
 * Finds out what a port speaks; null if nothing accepts a connection. Sends a HTTP/2 preface, and where that tells nothing, a GET and a
 * ClientHello on connections of their own. Takes 2 s at most; throws the signal's reason.
 */
export async function greetPort(address: PortAddress, signal: AbortSignal): Promise<Greeting | null> {
  const first = await exchange(address, HTTP2_PREFACE, signal);
  if (first.end === "refused") return null;
  const speaks = judge(first.bytes);
  if (speaks === "http" || speaks === "tls") return greeting(speaks, first);
  if (speaks === "grpc") return greeting((await speaksHttp1Too(address, signal)) ? "http" : "grpc", first);
  // A markup answer is one of HTTP/0.9: Python's http.server refuses the preface's version in it. Other talkers are left alone.
  if (first.bytes.length > 0 && !/^\s*</.test(first.bytes.toString("latin1"))) return greeting("tcp", first);
  const [get, hello] = await Promise.all([
    exchange(address, getRequest(address), signal),
    exchange(address, CLIENT_HELLO, signal),
  ]);
  if (judge(get.bytes) === "http") return greeting("http", get);
  if (judge(hello.bytes) === "tls") return greeting("tls", hello);
  return greeting("tcp", first);
}

function greeting(speaks: Spoken, seen: Exchange): Greeting {
  return { speaks, banner: seen.bytes.toString("latin1"), silent: seen.end === "silent" };
}

/** By the first bytes: an HTTP/1 status line; a SETTINGS frame of stream 0 (RFC 9113, 6.5); a TLS handshake or alert record. */
function judge(bytes: Buffer): Spoken {
  const text = bytes.toString("latin1");
  if (text.startsWith("HTTP/1.")) return "http";
  if (bytes.length >= 9 && bytes[3] === 4 && bytes.readUInt32BE(5) === 0 && bytes.readUIntBE(0, 3) % 6 === 0)
    return "grpc";
  if ((bytes[0] === 0x15 || bytes[0] === 0x16) && bytes[1] === 3 && bytes.length >= 5) return "tls";
  return "tcp";
}

/** Servers that take both (Go's h2c, hypercorn) serve browsers; ones for gRPC alone refuse HTTP/1, some of them in HTTP/1. */
async function speaksHttp1Too(address: PortAddress, signal: AbortSignal): Promise<boolean> {
  const answer = await exchange(address, getRequest(address), signal);
  return /^HTTP\/1\.[01] (?!400|403|426|505)\d{3}/.test(answer.bytes.toString("latin1"));
}

function getRequest(address: PortAddress): Buffer {
  return Buffer.from(
    `GET / HTTP/1.1\r\nHost: ${hostPort(address.ip, address.port)}\r\nUser-Agent: taskgate\r\nConnection: close\r\n\r\n`,
  );
}

/** Connects, sends, and reads what comes first. */
async function exchange(address: PortAddress, message: Buffer, signal: AbortSignal): Promise<Exchange> {
  signal.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<Exchange>();
  const chunks: Buffer[] = [];
  let connected = false;
  const socket = connect({ host: address.ip, port: address.port, noDelay: true });
  const settle = (end: Exchange["end"]) => {
    const bytes = Buffer.concat(chunks).subarray(0, BANNER_BYTES);
    resolve({ bytes, end: bytes.length > 0 ? "answered" : end });
  };
  const abort = () => reject(signal.reason as Error);
  const timer = setTimeout(() => settle(connected ? "silent" : "refused"), GREETING_MS);
  signal.addEventListener("abort", abort, { once: true });
  socket.once("connect", () => {
    connected = true;
    socket.write(message);
  });
  socket.on("data", (chunk) => {
    chunks.push(chunk);
    if (Buffer.concat(chunks).length >= 9) settle("answered");
  });
  socket.once("close", () => settle(connected ? "closed" : "refused"));
  // What went wrong shows in the close that follows.
  socket.on("error", () => undefined);
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", abort);
    socket.destroy();
  }
}

/** `GET path` over HTTP/1.1, without following redirects; null if no answer came. Throws the signal's reason. */
export async function getPage(address: PortAddress, path: string, signal: AbortSignal): Promise<Page | null> {
  const { promise, resolve } = Promise.withResolvers<undefined>();
  const done = () => resolve(undefined);
  const chunks: Buffer[] = [];
  const answers: IncomingMessage[] = [];
  const asked = request({
    host: address.ip,
    port: address.port,
    path,
    headers: { host: hostPort(address.ip, address.port), "user-agent": "taskgate", accept: "text/html,*/*;q=0.5" },
    agent: false,
    signal: AbortSignal.any([signal, AbortSignal.timeout(PAGE_MS)]),
  });
  asked.once("response", (response) => {
    answers.push(response);
    let length = 0;
    response.on("data", (chunk: Buffer) => {
      chunks.push(chunk);
      length += chunk.length;
      if (length >= PAGE_BYTES) done();
    });
    // However it ends, what came so far is the page.
    response.on("error", done).once("close", done);
  });
  asked.on("error", done).once("close", done);
  asked.end();
  await promise;
  asked.destroy();
  signal.throwIfAborted();
  const [answer] = answers;
  return answer === undefined ? null : toPage(answer, Buffer.concat(chunks).subarray(0, PAGE_BYTES));
}

function toPage(response: IncomingMessage, body: Buffer): Page {
  const headers = Object.entries(response.headers).map(([name, value]) => [name, String(value)] as const);
  return { status: response.statusCode ?? 0, headers: Object.fromEntries(headers), body: body.toString("utf8") };
}
