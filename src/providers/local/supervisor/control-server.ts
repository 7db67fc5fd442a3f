import { rmSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { readJsonLines } from "./json-lines.ts";
import type { SupervisorCommand, SupervisorState } from "./state.ts";

/** Longest command, and most that is held for a gate that does not read. */
const BOUND_BYTES = 1024 * 1024;

/** What tells gates of a task, and hears from them. */
export interface ControlServer {
  /** To everybody who listens. */
  push(state: SupervisorState): void;
  /** Gives the socket's name back at once, tells the last state to everybody who listens, and ends when they have it. */
  close(last: SupervisorState): Promise<void>;
}

/**
 * Listens on the unix socket `path`, newline JSON both ways: the present state at once and every later one, commands back. Whoever may
 * enter the folder around it may command. What was there by that name is taken for a left-over: claim the generation first.
 */
export async function startControlServer(
  path: string,
  present: () => SupervisorState,
  command: (command: SupervisorCommand) => void,
): Promise<ControlServer> {
  const clients = new Set<Socket>();
  const server = createServer((socket) => {
    clients.add(socket);
    socket.once("close", () => clients.delete(socket));
    // A gate that was killed: `close` follows.
    socket.on("error", () => undefined);
    readJsonLines(socket, BOUND_BYTES, { read: readCommand, take: command });
    send(socket, present());
  });
  rmSync(path, { force: true });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(path, resolve);
  });
  return {
    push(state) {
      for (const client of clients) send(client, state);
    },
    async close(last) {
      // The name first: whoever hears of the end may start the next supervisor, whose socket has the same name.
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const client of clients) {
        send(client, last);
        client.end();
      }
      // A gate that neither reads nor closes must not keep us.
      setTimeout(() => clients.forEach((client) => client.destroy()), 1000).unref();
      await closed;
    },
  };
}

function send(socket: Socket, state: SupervisorState): void {
  if (socket.writableLength > BOUND_BYTES) socket.destroy();
  else if (socket.writable) socket.write(`${JSON.stringify(state)}\n`);
}

function readCommand(value: unknown): SupervisorCommand | null {
  const { stop } = value as Partial<SupervisorCommand>;
  return typeof stop?.graceMs === "number" && stop.graceMs >= 0 ? { stop: { graceMs: stop.graceMs } } : null;
}
