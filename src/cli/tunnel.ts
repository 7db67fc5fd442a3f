import type { IncomingMessage } from "node:http";
import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { Readable } from "node:stream";
import type { ErrorView } from "../api/wire.ts";
import type { GateFile, Home } from "../config/home.ts";
import { startRequest } from "./http-request.ts";
import { CommandFailure, EXIT } from "./failure.ts";
import { pause } from "./pause.ts";
import { connectionOf } from "./connection.ts";
import { dialAddress, noAnswer, tlsOptions } from "./running-gate.ts";
import type { Environment } from "./terminal.ts";

/** How long a connection waits for a gate that is down or restarting, or for a service that is starting. */
const RETRY_MS = 30_000;
const FIRST_DELAY_MS = 100;
const LONGEST_DELAY_MS = 2000;
/** For one try: to connect and to be answered. */
const TRY_MS = 20_000;
/** Of a refusal's text. */
const REASON_BYTES = 16 * 1024;
const REASON_MS = 2000;

export interface TunnelDeps {
  readonly home: Home;
  readonly environment: Environment;
  /** Host to CONNECT to: `ServiceView.forward`. */
  readonly host: string;
  /** Called once, when the first try finds no gate, or the service not ready yet. */
  readonly waiting: (why: string) => void;
}

/**
 * Opens a connection to a service through the gate's own port, with login: HTTP CONNECT (RFC 9110, 9.3.6). The gate file and the token are
 * read for each try, so that a gate that comes back elsewhere, or with another token, is found. Throws `CommandFailure` for what the gate
 * refuses, and for a gate or service that is not there within 30 s. The socket is half-open capable and paused; whoever calls ends it.
 */
export async function openTunnel(deps: TunnelDeps, signal: AbortSignal): Promise<Socket> {
  const deadline = performance.now() + RETRY_MS;
  let told = false;
  for (let delayMs = FIRST_DELAY_MS; ; delayMs = Math.min(delayMs * 2, LONGEST_DELAY_MS)) {
    try {
      return await tryOnce(deps, signal);
    } catch (error) {
      signal.throwIfAborted();
      const away = error instanceof CommandFailure && error.exitCode === EXIT.noGate;
      if (!(away || error instanceof NotYet) || performance.now() + delayMs > deadline) throw error;
      if (!told) deps.waiting(error.message);
      told = true;
    }
    await pause(delayMs * (0.75 + Math.random() / 2), signal);
  }
}

async function tryOnce(deps: TunnelDeps, signal: AbortSignal): Promise<Socket> {
  const { gate, token } = connectionOf(deps.home, deps.environment);
  const target = deps.host.includes(":") ? deps.host : `${deps.host}:${gate.port}`;
  const limited = AbortSignal.any([signal, AbortSignal.timeout(TRY_MS)]);
  const { promise, resolve, reject } = Promise.withResolvers<{
    response: IncomingMessage;
    socket: Socket;
    head: Buffer;
  }>();
  const sent = startRequest(
    {
      method: "CONNECT",
      path: target,
      headers: { host: target, "x-taskgate-authorization": `Bearer ${token.reveal()}` },
      createConnection: () => dialGate(gate),
      signal: limited,
    },
    false,
  );
  sent.on("connect", (response, socket, head) => resolve({ response, socket, head }));
  // The parser gives every answer to CONNECT as "connect"; a plain answer is one that broke off.
  sent.on("error", reject);
  sent.end();
  try {
    const { response, socket, head } = await promise;
    const status = response.statusCode ?? 0;
    socket.pause();
    if (head.length > 0) socket.unshift(head);
    if (status >= 200 && status < 300) return socket;
    throw await refusal(deps.host, response, socket);
  } catch (error) {
    if (error instanceof CommandFailure) throw error;
    throw noAnswer(gate, error);
  }
}

/** The gate says to come again: its service is starting. */
class NotYet extends CommandFailure {}

function dialGate(gate: GateFile): Socket {
  const where = { host: dialAddress(gate), port: gate.port, allowHalfOpen: true };
  const socket = gate.secure
    ? connectTls({ ...tlsOptions(gate), ...where, ALPNProtocols: ["http/1.1"] })
    : connectTcp(where);
  socket.setNoDelay(true);
  return socket;
}

async function refusal(
  host: string,
  { statusCode: status = 0, headers }: IncomingMessage,
  socket: Socket,
): Promise<CommandFailure> {
  const said = await readReason(socket);
  const Failure = status === 503 && headers["retry-after"] !== undefined ? NotYet : CommandFailure;
  const exitCode = status === 404 ? EXIT.notFound : status === 401 || status === 403 ? EXIT.denied : EXIT.failure;
  return new Failure(exitCode, `the gate refuses ${host}: ${said ?? "no reason given"} (${status})`);
}

/** The text of a refusal: an `ErrorView`, or a line of text. The parser has let go of the socket, so it is read until it ends or is enough. */
async function readReason(socket: Socket): Promise<string | null> {
  const chunks: Buffer[] = [];
  const timer = setTimeout(() => socket.destroy(), REASON_MS);
  try {
    let size = 0;
    socket.end();
    for await (const chunk of socket as Readable as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      size += chunk.length;
      if (size > REASON_BYTES || isWholeJson(Buffer.concat(chunks))) break;
    }
  } catch {
    // What came before it broke off is all there is to say.
  } finally {
    clearTimeout(timer);
    socket.destroy();
  }
  return reasonOf(Buffer.concat(chunks).toString("utf8"));
}

function isWholeJson(bytes: Buffer): boolean {
  return bytes.at(-1) === 0x7d || (bytes.at(-1) === 0x0a && bytes.at(-2) === 0x7d); // "}", "}\n"
}

function reasonOf(body: string): string | null {
  const start = body.indexOf("{");
  try {
    const parsed = JSON.parse(body.slice(start, body.lastIndexOf("}") + 1)) as Partial<ErrorView>;
    if (typeof parsed.error?.message === "string") return parsed.error.message;
  } catch {
    // No JSON: a line of text, below.
  }
  const line = body.trim().split("\n")[0] ?? "";
  return line === "" || line.startsWith("<") ? null : line.slice(0, 300);
}
