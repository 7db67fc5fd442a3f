import { once } from "node:events";
import { chmod } from "node:fs/promises";
import type { Server } from "node:http";
import { createAdaptorServer } from "@hono/node-server";
import type { Logger } from "../platform/logger.ts";
import { claimSocketPath, SOCKET_BACKLOG } from "../platform/unix-socket.ts";
import type { Api } from "./api-env.ts";

/** More than the data plane ever lets through (`limits.headerBytes`) and adds: it bounds heads, and has an answer for too large ones. */
const HEADER_BYTES = 2 * 1024 * 1024;
/** For streams to end as they should, once the gate ends. */
const GRACE_MS = 500;

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
  await claimSocketPath(socketPath);
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
  server.listen({ path: socketPath, backlog: SOCKET_BACKLOG });
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
