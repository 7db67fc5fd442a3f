import { rm } from "node:fs/promises";
import { connect } from "node:net";
import { GatewayError } from "../model/index.ts";

/** A unix socket refuses at once what is beyond it, and many may come at the same moment. */
export const SOCKET_BACKLOG = 4096;
/** sun_path of unix(7) holds 108 bytes, the last of them NUL; macOS has 104. A longer one would be cut without a word. */
const SOCKET_PATH_BYTES = 103;

/**
 * Makes way for a socket at `path`: one that nobody answers is removed. Throws `conflict` where somebody does, `bad_request` where no socket
 * can have that path.
 */
export async function claimSocketPath(path: string): Promise<void> {
  if (Buffer.byteLength(path) > SOCKET_PATH_BYTES) {
    throw new GatewayError(
      "bad_request",
      `a socket's path may be ${String(SOCKET_PATH_BYTES)} bytes long: set TASKGATE_HOME to a shorter one than that of ${path}`,
    );
  }
  if (await answers(path)) throw new GatewayError("conflict", `another gate already answers at ${path}`);
  await rm(path, { force: true });
}

async function answers(path: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect(path);
  socket.once("connect", () => resolve(true));
  socket.once("error", () => resolve(false));
  try {
    return await promise;
  } finally {
    socket.destroy();
  }
}
