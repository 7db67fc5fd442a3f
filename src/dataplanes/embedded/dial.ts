import { connect, type Socket } from "node:net";
import { type Address } from "../../model/index.ts";
import type { Clock } from "../../platform/clock.ts";

/** Why a job's endpoint gave no connection. */
export type DialFailure = "connect_failed" | "connect_timeout";

const KEEP_ALIVE_MS = 60_000;

/** Starts to connect. Both directions end on their own: who joins sockets needs half-close. The caller owns it, and hears its errors. */
export function openSocket(address: Address): Socket {
  const options = "unix" in address ? { path: address.unix } : { host: address.ip, port: address.port };
  return connect({
    ...options,
    allowHalfOpen: true,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: KEEP_ALIVE_MS,
  });
}

/** A connected socket, or why there is none; `signal` gives up (as connect_failed). The caller closes it. */
export function dial(
  deps: { readonly address: Address; readonly timeoutMs: number; readonly clock: Clock },
  signal: AbortSignal,
): Promise<Socket | DialFailure> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve("connect_failed");
    const socket = openSocket(deps.address);
    const settle = (result: Socket | DialFailure) => {
      timer[Symbol.dispose]();
      signal.removeEventListener("abort", giveUp);
      if (typeof result === "string") socket.destroy();
      resolve(result);
    };
    const giveUp = () => settle("connect_failed");
    const timer = deps.clock.after(deps.timeoutMs, () => settle("connect_timeout"));
    signal.addEventListener("abort", giveUp, { once: true });
    socket.on("error", giveUp); // stays: an error later is told by `close`
    socket.once("connect", () => settle(socket));
  });
}
