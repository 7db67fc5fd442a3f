import { connect } from "node:net";
import type { ListeningSocket } from "./listening-sockets.ts";

/** Longest wait for a connection on this machine. */
const CONNECT_MS = 1000;

/**
 * The address at which one dials what listens on `sockets` (of one owner and port): 127.0.0.1 where that reaches it, else ::1, else
 * the address itself. `others` are all sockets of the machine on that port: where somebody else has the v4 side of it, 127.0.0.1
 * would lead to them.
 */
export async function dialAddress(
  sockets: readonly ListeningSocket[],
  others: readonly ListeningSocket[],
): Promise<string> {
  const bound = new Set(sockets.map((socket) => socket.ip));
  if (bound.has("127.0.0.1") || bound.has("0.0.0.0")) return "127.0.0.1";
  if (bound.has("::")) {
    const v4Taken = others.some((socket) => socket.ip === "0.0.0.0" || socket.ip === "127.0.0.1");
    return !v4Taken && (await answers("127.0.0.1", sockets[0]?.port ?? 0)) ? "127.0.0.1" : "::1";
  }
  if (bound.has("::1")) return "::1";
  return [...bound].sort()[0] ?? "127.0.0.1";
}

/** Whether something accepts a connection there. */
export async function answers(host: string, port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect({ host, port, timeout: CONNECT_MS });
  socket.once("connect", () => resolve(true));
  socket.once("timeout", () => resolve(false));
  socket.once("error", () => resolve(false));
  try {
    return await promise;
  } finally {
    socket.destroy();
  }
}
