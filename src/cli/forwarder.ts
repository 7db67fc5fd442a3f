import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { once } from "node:events";
import { CommandFailure, EXIT } from "./failure.ts";
import { resetSocket, splice } from "./splice.ts";
import { openTunnel, type TunnelDeps } from "./tunnel.ts";

/** Connections of one forward at a time; more are refused by the operating system's queue and then by us. */
const MOST_CONNECTIONS = 1024;

export interface ForwarderDeps extends Omit<TunnelDeps, "waiting"> {
  /** What is said to the person: refusals, a gate that is waited for. One line. */
  readonly say: (line: string) => void;
}

/** A local port that leads to a service. */
export interface Forwarder extends AsyncDisposable {
  readonly port: number;
}

/**
 * Listens on 127.0.0.1 and carries every connection to the service through the gate, each by a CONNECT of its own. It outlives the gate:
 * new connections wait for it to come back. Disposing cuts what is open. Throws `CommandFailure` where the port is taken.
 */
export async function startForwarder(deps: ForwarderDeps, localPort: number): Promise<Forwarder> {
  const stop = new AbortController();
  const open = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true }, (local) => {
    open.add(local);
    local.on("close", () => open.delete(local));
    void carry(deps, local, stop.signal);
  });
  server.maxConnections = MOST_CONNECTIONS;
  await listen(server, localPort);
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      const closed = once(server, "close");
      server.close();
      stop.abort(new DOMException("the forward was stopped", "AbortError"));
      for (const socket of open) resetSocket(socket);
      await closed;
    },
  };
}

/** Never throws: what goes wrong is said, and the local connection is reset. */
async function carry(deps: ForwarderDeps, local: Socket, signal: AbortSignal): Promise<void> {
  const gone = new AbortController();
  const leave = (): void => gone.abort(new DOMException("the local connection is gone", "AbortError"));
  local.on("error", leave); // a reset while waiting; afterwards `splice` sees to it
  local.on("close", leave);
  try {
    const waiting = (why: string): void => deps.say(`${why}; waiting for it`);
    const remote = await openTunnel({ ...deps, waiting }, AbortSignal.any([signal, gone.signal]));
    if (local.destroyed) {
      remote.destroy();
      return;
    }
    await splice(local, remote, resetSocket);
  } catch (error) {
    if (!signal.aborted && !gone.signal.aborted) deps.say(error instanceof Error ? error.message : String(error));
    resetSocket(local);
  }
}

async function listen(server: Server, port: number): Promise<void> {
  server.listen({ host: "127.0.0.1", port });
  try {
    await once(server, "listening");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const why = code === "EADDRINUSE" ? "is in use" : `cannot be listened on (${code ?? "error"})`;
    throw new CommandFailure(EXIT.failure, `local port ${port} ${why}`, {
      remedy: "another one, or none: then a free one is taken",
      cause: error,
    });
  }
  server.on("error", () => undefined); // accept(2) failing for one connection, as with EMFILE: that client sees it, the others go on
}
