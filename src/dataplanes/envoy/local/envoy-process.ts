import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, closeSync, openSync } from "node:fs";
import { text } from "node:stream/consumers";
import { isSameProcess, processStart } from "../../../platform/process-identity.ts";

/** A process that is nobody's child here: of this gate, or of one that is gone. */
export interface EnvoyProcess {
  readonly pid: number;
  /** See `processStart`. */
  readonly start: string;
  /** Resolves when it has ended. */
  readonly ended: Promise<void>;
  alive(): boolean;
  /** Does nothing where it is gone. */
  signal(signal: NodeJS.Signals): void;
}

const LOOK_MS = 100;

/**
 * Envoy has the kernel send it SIGTERM when its parent dies (PR_SET_PDEATHSIG of prctl(2)), and it is to outlive a gate that is killed. So it
 * is no child of the gate: it waits until the shell that it comes from is gone, and becomes the program then.
 */
const ORPHANED = '( while kill -0 $$ 2>/dev/null; do sleep 0.01; done; exec "$0" "$@" ) >&2 & echo $!';

/**
 * Starts the program in a session of its own, so that nobody's closing terminal ends it. What it says before it has a log goes there, too.
 * Throws where it cannot be run.
 */
export async function startProcess(program: string, words: readonly string[], log: string): Promise<EnvoyProcess> {
  const out = openSync(log, "a", 0o600);
  chmodSync(log, 0o600);
  const shell = spawn("/bin/sh", ["-c", ORPHANED, program, ...words], {
    detached: true,
    stdio: ["ignore", "pipe", out],
    cwd: "/",
    env: { PATH: "/usr/local/bin:/usr/bin:/bin" },
  });
  closeSync(out);
  const exited = once(shell, "exit");
  const pid = shell.stdout === null ? 0 : Number(await text(shell.stdout));
  await exited;
  return findProcess(pid, processStart(pid) ?? "");
}

/** One that runs already. */
export function findProcess(pid: number, start: string): EnvoyProcess {
  const alive = (): boolean => isSameProcess(pid, start);
  const { promise: ended, resolve } = Promise.withResolvers<undefined>();
  const timer = setInterval(() => {
    if (alive()) return;
    clearInterval(timer);
    resolve(undefined);
  }, LOOK_MS);
  timer.unref();
  return {
    ...{ pid, start, ended, alive },
    signal(signal) {
      if (pid > 1 && alive()) process.kill(pid, signal);
    },
  };
}
