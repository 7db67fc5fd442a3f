import { spawn } from "node:child_process";
import { chmodSync, closeSync, openSync } from "node:fs";
import { isSameProcess, processStart } from "../../../platform/process-identity.ts";

/** One process, a child of this one or of a gate that is gone. */
export interface EnvoyProcess {
  readonly pid: number;
  /** See `processStart`. */
  readonly start: string;
  /** Called once when it has ended; a process that ends as `stop` was called too. */
  readonly ended: Promise<void>;
  alive(): boolean;
  /** Does nothing where it is gone. */
  signal(signal: NodeJS.Signals): void;
}

const LOOK_MS = 200;

/**
 * Starts the program in a session of its own, so that nobody's closing terminal ends it and neither does the end of this process. What it says
 * before it has a log goes there, too. Throws where it cannot be run.
 */
export async function startProcess(program: string, words: readonly string[], log: string): Promise<EnvoyProcess> {
  const out = openSync(log, "a", 0o600);
  chmodSync(log, 0o600);
  const child = spawn(program, words, { detached: true, stdio: ["ignore", out, out], cwd: "/", env: {} });
  closeSync(out);
  const { promise: ended, resolve } = Promise.withResolvers<undefined>();
  child.once("exit", () => resolve(undefined));
  await new Promise<void>((started, failed) => {
    child.once("spawn", started);
    child.once("error", failed);
  });
  child.unref();
  const pid = child.pid ?? 0;
  const start = processStart(pid) ?? "";
  return { ...known(pid, start), ended };
}

/** One that runs already. */
export function findProcess(pid: number, start: string): EnvoyProcess & Disposable {
  const { promise: ended, resolve } = Promise.withResolvers<undefined>();
  const timer = setInterval(() => {
    if (isSameProcess(pid, start)) return;
    clearInterval(timer);
    resolve(undefined);
  }, LOOK_MS);
  timer.unref();
  return { ...known(pid, start), ended, [Symbol.dispose]: () => clearInterval(timer) };
}

function known(pid: number, start: string): Omit<EnvoyProcess, "ended"> {
  const alive = (): boolean => isSameProcess(pid, start);
  return {
    ...{ pid, start, alive },
    signal(signal) {
      if (pid > 1 && alive()) process.kill(pid, signal);
    },
  };
}
