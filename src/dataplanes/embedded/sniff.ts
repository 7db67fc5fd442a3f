import type { Socket } from "node:net";
import type { Clock } from "../../platform/clock.ts";
import { readProxyHeader, type ConnectionEnds } from "./proxy-protocol.ts";
import { readClientHello } from "./tls/client-hello.ts";

export type Spoken = "tls" | "http2" | "http1";

/** What the first bytes of a connection tell. */
export interface Opening {
  readonly spoken: Spoken;
  /** Of TLS alone; null: the client names none. */
  readonly serverName: string | null;
  /** As the PROXY header before it says; null: there was none, or it names nobody. */
  readonly ends: ConnectionEnds | null;
}

/** RFC 9113 §3.4. */
const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");
/** A TLS record of type handshake (RFC 8446 §5.1). */
const TLS_HANDSHAKE = 0x16;

/** What the first bytes say; null: more are needed. */
export function readSpoken(first: Buffer): Spoken | null {
  if (first.length === 0) return null;
  if (first[0] === TLS_HANDSHAKE) return "tls";
  const length = Math.min(first.length, PREFACE.length);
  if (!first.subarray(0, length).equals(PREFACE.subarray(0, length))) return "http1";
  return length === PREFACE.length ? "http2" : null;
}

export interface SniffOptions {
  /** From now until enough is there; the PROXY header included. */
  readonly timeoutMs: number;
  readonly clock: Clock;
  /** The connection must begin with a PROXY header, which is taken off it. */
  readonly proxied: boolean;
}

/**
 * Tells what a new connection speaks and leaves its bytes unread, but for a PROXY header. null: it ended, broke, began with what nobody
 * speaks or said too little in time; it is destroyed.
 */
export function sniff(socket: Socket, { timeoutMs, clock, proxied }: SniffOptions): Promise<Opening | null> {
  return new Promise((resolve) => {
    const reader = new OpeningReader(proxied);
    const settle = (opening: Opening | null) => {
      timer[Symbol.dispose]();
      socket.off("readable", read).off("end", end).off("close", end);
      if (opening === null) socket.destroy();
      else socket.unshift(reader.unread);
      resolve(opening);
    };
    const end = () => settle(null);
    const read = () => {
      const chunk = socket.read() as Buffer | null;
      if (chunk === null) return;
      const opening = reader.take(chunk);
      if (opening !== "more") settle(opening);
    };
    const timer = clock.after(timeoutMs, end);
    socket.on("readable", read).once("end", end).once("close", end);
  });
}

/** Reads a PROXY header where there must be one, then what is spoken behind it. */
class OpeningReader {
  /** What was not taken off. */
  unread: Buffer = Buffer.alloc(0);
  #proxied: boolean;
  #ends: ConnectionEnds | null = null;

  constructor(proxied: boolean) {
    this.#proxied = proxied;
  }

  /** null: nothing that anybody here speaks. */
  take(chunk: Buffer): Opening | "more" | null {
    this.unread = this.unread.length === 0 ? chunk : Buffer.concat([this.unread, chunk]);
    if (this.#proxied) {
      const header = readProxyHeader(this.unread);
      if (header.kind !== "header") return header.kind === "more" ? "more" : null;
      this.#proxied = false;
      this.#ends = header.ends;
      this.unread = this.unread.subarray(header.length);
    }
    const spoken = readSpoken(this.unread);
    if (spoken === null) return "more";
    if (spoken !== "tls") return { spoken, serverName: null, ends: this.#ends };
    const hello = readClientHello(this.unread);
    if (hello.kind !== "hello") return hello.kind === "more" ? "more" : null;
    return { spoken, serverName: hello.serverName, ends: this.#ends };
  }
}
