import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import type { ListenConfig } from "../../config/schema.ts";
import { bindError } from "../../platform/bind-error.ts";
import { createNetworkCheck } from "../../platform/network-check.ts";
import { startCertificates, type Certificates, type CertificatesDeps } from "./tls/certificates.ts";

/** The gate's port, taken before there is anything behind it, so that everybody can be told which it is. */
export interface BoundListener extends AsyncDisposable {
  readonly port: number;
  /** IP address. */
  readonly address: string;
  /** null: plain. */
  readonly tls: Certificates | null;
  /** Whether connections from this address must begin with a PROXY header; from all others it is refused. */
  isProxy(ip: string): boolean;
  /** Whether this address is a front's, whose word for whom it asks counts. */
  isFront(ip: string): boolean;
  /** How many fronts stand one behind the other. */
  readonly frontHops: number;
  /** From now on connections go here; those that came before are the first. Call it once. */
  accept(call: (socket: Socket) => void): void;
  /** Takes no more connections; open ones stay. */
  close(): void;
}

export interface ListenerDeps extends Omit<CertificatesDeps, "config"> {
  /** Starts the server listening instead of binding `listen.address`: on a handle that another process bound. Errors go to the server. */
  readonly listenOn?: (server: Server, ready: () => void) => void;
}

/** Connections kept waiting while the gate starts. */
const WAITING_MAX = 256;

/**
 * Binds, and reads the certificates. Throws GatewayError `conflict` (taken), `denied` (not allowed), `bad_request` (unusable address or TLS
 * files).
 */
export async function bindListener(listen: ListenConfig, deps: ListenerDeps): Promise<BoundListener> {
  const tls = listen.tls === undefined ? null : await startCertificates({ ...deps, config: listen.tls });
  const waiting: Socket[] = [];
  let take: ((socket: Socket) => void) | null = null;
  const server = createServer({ allowHalfOpen: true, noDelay: true, keepAlive: true }, (socket) => {
    socket.on("error", ignore); // first of all: a reset at any moment must find somebody who hears it
    if (take !== null) take(socket);
    else if (waiting.push(socket) > WAITING_MAX) waiting.shift()?.destroy();
  });
  try {
    await listening(server, listen.address, deps.listenOn);
  } catch (error) {
    tls?.[Symbol.dispose]();
    throw error;
  }
  const { port, address } = server.address() as AddressInfo;
  const close = () => void server.close();
  return {
    ...{ port, address, tls, close },
    isProxy: createNetworkCheck(listen.proxyProtocol.from),
    isFront: createNetworkCheck(listen.forwarded.from),
    frontHops: listen.forwarded.hops,
    accept(call) {
      take = call;
      for (const socket of waiting.splice(0)) if (!socket.destroyed) call(socket);
    },
    [Symbol.asyncDispose]() {
      for (const socket of waiting) socket.destroy();
      close();
      tls?.[Symbol.dispose]();
      return Promise.resolve();
    },
  };
}

function ignore(): void {
  // "close" follows
}

function listening(
  server: Server,
  { host, port }: ListenConfig["address"],
  listenOn: ListenerDeps["listenOn"],
): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (cause) => reject(bindError("listen.address", { host, port }, cause)));
    const ready = () => {
      server.removeAllListeners("error");
      server.on("error", () => undefined); // accepting failed for one connection (no descriptors): the next may succeed
      resolve();
    };
    if (listenOn === undefined) server.listen({ host, port, backlog: 4096 }, ready);
    else listenOn(server, ready);
  });
}
