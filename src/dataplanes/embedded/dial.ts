import { connect, type Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { type Address } from "../../model/index.ts";
import type { Clock } from "../../platform/clock.ts";
import { proxyHeader, type ConnectionEnds } from "./proxy-protocol.ts";
import type { UpstreamTls } from "./tls/upstream-tls.ts";

/** Why a job's endpoint gave no connection. `tls_failed`: something listens there, but no TLS that the service asks for came about. */
export type DialFailure = "connect_failed" | "connect_timeout" | "tls_failed";

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

export interface DialDeps {
  readonly address: Address;
  /** For the connection and the TLS on it together. */
  readonly timeoutMs: number;
  readonly clock: Clock;
  /** null: in the clear. */
  readonly tls: UpstreamTls | null;
  /** The header that goes first, before any TLS; null: none. `ends` null: the gate speaks for itself. */
  readonly proxy: { readonly version: "v1" | "v2"; readonly ends: ConnectionEnds | null } | null;
}

/** A connected socket, with TLS on it where it is asked for, or why there is none; `signal` gives up (as connect_failed). The caller closes it. */
export function dial(deps: DialDeps, signal: AbortSignal): Promise<Socket | DialFailure> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve("connect_failed");
    const raw = openSocket(deps.address);
    let secure: TLSSocket | null = null;
    const settle = (result: Socket | DialFailure) => {
      timer[Symbol.dispose]();
      signal.removeEventListener("abort", giveUp);
      if (typeof result === "string") {
        secure?.destroy();
        raw.destroy();
      }
      resolve(result);
    };
    const giveUp = () => settle("connect_failed");
    const timer = deps.clock.after(deps.timeoutMs, () => settle("connect_timeout"));
    signal.addEventListener("abort", giveUp, { once: true });
    raw.on("error", giveUp); // stays: an error later is told by `close`
    raw.once("connect", () => {
      if (deps.proxy !== null) raw.write(proxyHeader(deps.proxy.version, deps.proxy.ends));
      if (deps.tls === null) return settle(raw);
      const refused = () => settle("tls_failed");
      secure = deps.tls.secure(raw);
      if (secure === null) return refused();
      const socket = secure;
      socket.on("error", refused); // stays, as above
      socket.once("close", refused);
      socket.once("secureConnect", () => {
        socket.off("close", refused);
        settle(socket);
      });
    });
  });
}
