import { once } from "node:events";
import { chmod, rm } from "node:fs/promises";
import type { Server } from "node:http";
import { connect } from "node:net";
import { createAdaptorServer } from "@hono/node-server";
import { GatewayError } from "../model/index.ts";
import type { Logger } from "../platform/logger.ts";
import type { Api } from "./api-env.ts";

/** More than the data plane ever lets through (`limits.headerBytes`) and adds: it bounds heads, and has an answer for too large ones. */
const HEADER_BYTES = 2 * 1024 * 1024;
/** For streams to end as they should, once the gate ends. */
const GRACE_MS = 500;
/** A unix socket refuses at once what is beyond it, and many visitors may come at the same moment. */
const BACKLOG = 4096;
/** sun_path of unix(7) holds 108 bytes, the last of them NUL; macOS has 104. A longer one would be cut without a word. */
const SOCKET_PATH_BYTES = 103;

export interface ApiServerDeps {
  readonly app: Api;
  /** In a folder that only the gate's user may enter. */
  readonly socketPath: string;
  readonly logger: Logger;
}

/**
 * Serves the app on a unix socket, 0600. A socket that nobody answers is replaced. Throws `conflict` where somebody does. Disposing lets what
 * is open end for half a second, cuts it, and removes the socket.
 */
export async function startApiServer(deps: ApiServerDeps): Promise<AsyncDisposable> {
  const { app, socketPath, logger } = deps;
  if (Buffer.byteLength(socketPath) > SOCKET_PATH_BYTES) {
    throw new GatewayError(
      "bad_request",
      `a socket's path may be ${String(SOCKET_PATH_BYTES)} bytes long: set TASKGATE_HOME to a shorter one than that of ${socketPath}`,
    );
  }
  await removeStale(socketPath);
  const server = createAdaptorServer({
    // The adapter would replace the process's Request and Response otherwise.
    overrideGlobalObjects: false,
    fetch: app.fetch,
    serverOptions: {
      maxHeaderSize: HEADER_BYTES,
      // The data plane keeps its connections, and ends them: a limit here would race with its next request.
      keepAliveTimeout: 0,
    },
  }) as Server;
  server.on("clientError", (err, socket) => {
    logger.debug({ err }, "api client error");
    socket.destroy();
  });
  server.listen({ path: socketPath, backlog: BACKLOG });
  await once(server, "listening");
  server.on("error", (err) => logger.error({ err }, "api server error"));
  await chmod(socketPath, 0o600);
  return {
    async [Symbol.asyncDispose]() {
      const closed = once(server, "close");
      server.close();
      server.closeIdleConnections();
      const cut = setTimeout(() => server.closeAllConnections(), GRACE_MS);
      await closed;
      clearTimeout(cut);
    },
  };
}

async function removeStale(socketPath: string): Promise<void> {
  if (await answers(socketPath)) throw new GatewayError("conflict", `another gate already answers at ${socketPath}`);
  await rm(socketPath, { force: true });
}

async function answers(socketPath: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect(socketPath);
  socket.once("connect", () => resolve(true));
  socket.once("error", () => resolve(false));
  try {
    return await promise;
  } finally {
    socket.destroy();
  }
}
