import { readFile } from "node:fs/promises";
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { createSecureContext } from "node:tls";
import type { ListenConfig } from "../../config/schema.ts";
import { GatewayError } from "../../model/index.ts";
import { bindError } from "../../platform/bind-error.ts";

/** The gate's port, taken before there is anything behind it, so that everybody can be told which it is. */
export interface BoundListener extends AsyncDisposable {
  readonly port: number;
  /** IP address. */
  readonly address: string;
  /** PEM; null: plain. */
  readonly tls: { readonly cert: Buffer; readonly key: Buffer } | null;
  /** From now on connections go here; those that came before are the first. Call it once. */
  accept(call: (socket: Socket) => void): void;
  /** Takes no more connections; open ones stay. */
  close(): void;
}

/** Connections kept waiting while the gate starts. */
const WAITING_MAX = 256;

/** Binds. Throws GatewayError `conflict` (taken), `denied` (not allowed), `bad_request` (unusable address or TLS files). */
export async function bindListener(listen: ListenConfig): Promise<BoundListener> {
  const tls = listen.tls === undefined ? null : await readTls(listen.tls);
  const waiting: Socket[] = [];
  let take: ((socket: Socket) => void) | null = null;
  const server = createServer({ allowHalfOpen: true, noDelay: true, keepAlive: true }, (socket) => {
    socket.on("error", () => undefined); // first of all: a reset at any moment must find somebody who hears it
    if (take !== null) take(socket);
    else if (waiting.push(socket) > WAITING_MAX) waiting.shift()?.destroy();
  });
  await listening(server, listen.address);
  const { port, address } = server.address() as AddressInfo;
  const close = () => void server.close();
  return {
    port,
    address,
    tls,
    close,
    accept(call) {
      take = call;
      for (const socket of waiting.splice(0)) if (!socket.destroyed) call(socket);
    },
    [Symbol.asyncDispose]() {
      for (const socket of waiting) socket.destroy();
      close();
      return Promise.resolve();
    },
  };
}

async function readTls(files: NonNullable<ListenConfig["tls"]>): Promise<NonNullable<BoundListener["tls"]>> {
  try {
    const [cert, key] = await Promise.all([readFile(files.certificate), readFile(files.key)]);
    createSecureContext({ cert, key });
    return { cert, key };
  } catch (cause) {
    const message = `Cannot use the certificate ${files.certificate} with the key ${files.key}: expected PEM files that belong together.`;
    throw new GatewayError("bad_request", message, { cause });
  }
}

function listening(server: Server, { host, port }: ListenConfig["address"]): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (cause) => reject(bindError("listen.address", { host, port }, cause)));
    server.listen({ host, port, backlog: 4096 }, () => {
      server.removeAllListeners("error");
      server.on("error", () => undefined); // accepting failed for one connection (no descriptors): the next may succeed
      resolve();
    });
  });
}
