import type { Socket } from "node:net";
import type { Clock } from "../../platform/clock.ts";

export type Spoken = "tls" | "http2" | "http1";

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

/** Tells what a new connection speaks and leaves its bytes unread; null: it ended, broke or said nothing in time, and is destroyed. */
export function sniff(socket: Socket, timeoutMs: number, clock: Clock): Promise<Spoken | null> {
  return new Promise((resolve) => {
    let seen = Buffer.alloc(0);
    const settle = (spoken: Spoken | null) => {
      timer[Symbol.dispose]();
      socket.off("readable", read).off("end", end).off("close", end);
      if (spoken === null) socket.destroy();
      else socket.unshift(seen);
      resolve(spoken);
    };
    const end = () => settle(null);
    const read = () => {
      const chunk = socket.read() as Buffer | null;
      if (chunk === null) return;
      seen = Buffer.concat([seen, chunk]);
      const spoken = readSpoken(seen);
      if (spoken !== null) settle(spoken);
    };
    const timer = clock.after(timeoutMs, end);
    socket.on("readable", read).once("end", end).once("close", end);
  });
}
