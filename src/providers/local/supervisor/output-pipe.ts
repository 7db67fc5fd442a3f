import { execFileSync } from "node:child_process";
import { closeSync, constants, openSync, rmSync } from "node:fs";
import { Socket } from "node:net";

/** A pipe that takes a process's output: give `writeFd` to it, close it with `handOver`, then read `output`. */
export interface OutputPipe {
  readonly writeFd: number;
  readonly output: Socket;
  /** Call once the process has `writeFd`: the end of the output is seen only when nobody else holds it. */
  handOver(): void;
}

/**
 * Makes the named pipes of a task at `files`. Real pipes, because Node's own stdio pipes are sockets, which programs cannot open anew as
 * `/dev/stdout` or `/dev/stderr` (shell scripts and servers do). Open to writers, so that a task of another user can do so, too: the
 * folder around it lets nobody else near.
 */
export function makePipes(files: readonly string[]): void {
  for (const file of files) rmSync(file, { force: true });
  execFileSync("mkfifo", ["-m", "622", "--", ...files], { env: { PATH: SYSTEM_PATH }, stdio: "ignore" });
}

/** Opens one of them for a process that is about to start. Throws as open(2) does. */
export function openPipe(file: string): OutputPipe {
  // The reader first, and without blocking: a writer's open waits for a reader.
  const readFd = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
  const output = new Socket({ fd: readFd, readable: true, writable: false });
  const writeFd = openSync(file, constants.O_WRONLY);
  return { writeFd, output, handOver: () => closeSync(writeFd) };
}

const SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin";
