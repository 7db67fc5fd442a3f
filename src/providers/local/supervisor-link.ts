import { spawn, type ChildProcess } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { z } from "zod";
import { GatewayError } from "../../model/index.ts";
import { readJsonLines } from "./supervisor/json-lines.ts";
import { readState, type SupervisorCommand, type SupervisorState } from "./supervisor/state.ts";
import type { SupervisorOptions } from "./supervisor/spec.ts";

/** Of sockaddr_un, less the zero at its end. */
const SOCKET_PATH_BYTES = process.platform === "linux" ? 107 : 103;
const LINE_CHARACTERS = 4 * 1024 * 1024;

const ReplicaState = z.object({
  replica: z.string().max(10),
  phase: z.enum(["starting", "running", "waiting", "ending", "ended"]),
  process: z.object({ pid: z.int().min(2), start: z.string() }).nullable(),
  exitCode: z.int().nullable(),
  signal: z.string().max(20).nullable(),
  error: z.string().nullable(),
  restarts: z.int().min(0),
  startedAt: z.number().nullable(),
  endedAt: z.number().nullable(),
  nextAt: z.number().nullable(),
});

const State = z.object({
  format: z.literal(1),
  generation: z.int().min(1),
  boot: z.string(),
  startedAt: z.number(),
  stopping: z.boolean(),
  ended: z.boolean(),
  lost: z.string().nullable(),
  replicas: z.array(ReplicaState).max(64),
}) satisfies z.ZodType<SupervisorState>;

/** A connection to the supervisor of a task. */
export interface SupervisorLink extends Disposable {
  /** Settles when the supervisor is gone or the link was disposed. */
  readonly closed: Promise<void>;
  stop(graceMs: number): void;
}

/** Throws `bad_request` where the folder's name is too long for a socket in it. */
export function checkSocketPath(folder: string): void {
  const path = controlSocket(folder);
  if (Buffer.byteLength(path) <= SOCKET_PATH_BYTES) return;
  throw new GatewayError(
    "bad_request",
    `${path} is longer than the ${String(SOCKET_PATH_BYTES)} bytes that a socket's path may have. Set TASKGATE_HOME to a shorter folder.`,
  );
}

/** null: no supervisor listens. `onState` is called with the present state first. Throws what else goes wrong (EMFILE, EACCES). */
export async function connectSupervisor(
  folder: string,
  onState: (state: SupervisorState) => void,
): Promise<SupervisorLink | null> {
  const socket = await dial(controlSocket(folder));
  if (socket === null) return null;
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  // The supervisor was killed: `close` follows.
  socket.on("error", () => undefined);
  readJsonLines(socket, LINE_CHARACTERS, { read: (value) => State.parse(value), take: onState });
  return {
    closed,
    stop(graceMs) {
      const command: SupervisorCommand = { stop: { graceMs } };
      if (socket.writable) socket.write(`${JSON.stringify(command)}\n`);
    },
    [Symbol.dispose]: () => void socket.destroy(),
  };
}

/** What the last supervisor left; null: nothing, or nothing that can be trusted. */
export function readCheckedState(folder: string): SupervisorState | null {
  const state = State.safeParse(readState(folder));
  return state.success ? state.data : null;
}

/**
 * Starts a supervisor that outlives us. Settles when that process ended; it claims its generation and listens some time before. Of our
 * environment it gets nothing; `cache` is a folder that makes the next one start from compiled code.
 */
export async function launchSupervisor(folder: string, options: SupervisorOptions, cache: string): Promise<void> {
  const child = spawnSupervisor(folder, options, cache);
  child.unref();
  await new Promise<void>((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", () => resolve());
  });
}

function spawnSupervisor(folder: string, options: SupervisorOptions, cache: string): ChildProcess {
  const output = openSync(join(folder, "supervisor.log"), "w", 0o600);
  try {
    return spawn(process.execPath, [MAIN, JSON.stringify(options)], {
      cwd: folder,
      env: { NODE_COMPILE_CACHE: cache },
      detached: true,
      stdio: ["ignore", output, output],
    });
  } finally {
    closeSync(output);
  }
}

const MAIN = join(import.meta.dirname, "supervisor", import.meta.filename.endsWith(".ts") ? "main.ts" : "main.js");

function controlSocket(folder: string): string {
  return join(folder, "ctl");
}

function dial(path: string): Promise<Socket | null> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.removeAllListeners("error");
      resolve(socket);
    });
    socket.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT" || error.code === "ECONNREFUSED") resolve(null);
      else reject(error);
    });
  });
}
