import { spawn, type ChildProcess } from "node:child_process";
import { closeSync, fchmodSync, fstatSync, openSync, readFileSync, renameSync, statSync } from "node:fs";
import { makeHome, type GateFile, type Home } from "../config/home.ts";
import { isSameProcess } from "../platform/process-identity.ts";
import { createApiClient } from "./api-client.ts";
import { callerEnvironment } from "./caller-environment.ts";
import { CommandFailure, EXIT } from "./failure.ts";
import { ownCommand } from "../platform/package-info.ts";
import { pause } from "./pause.ts";
import { startProgress } from "./progress.ts";
import { findGate, readToken, requireGate } from "./running-gate.ts";
import { withStartLock } from "./start-lock.ts";
import { homeOf, note, type Terminal } from "./terminal.ts";

/** A gate that is started gets this long, and one that is asked to stop, beyond what is open in it. */
const START_MS = 30_000;
const STOP_MS = 50_000;
const POLL_MS = 50;
/** A log that is larger when a gate starts becomes `gate.log.1`. */
const LOG_BYTES = 10 * 1024 * 1024;

/** The gate that runs, or one that is started in the background, which is said on standard error. */
export async function ensureGate(terminal: Terminal): Promise<GateFile> {
  const found = findGate(homeOf(terminal));
  if (found.state === "running") return found.gate;
  const gate = await startInBackground(terminal, []);
  note(terminal, `No gate was running: started one in the background at ${gate.url} (stop it: taskgate stop --gate)`);
  return gate;
}

/**
 * Starts a gate of its own session, its log in the state folder, and returns when it answers. `words` are options of `taskgate up`. Where
 * another call starts one at the same time, that one is waited for instead.
 */
export async function startInBackground(terminal: Terminal, words: readonly string[]): Promise<GateFile> {
  const home = homeOf(terminal);
  makeHome(home);
  using progress = startProgress(terminal, "Starting the gate");
  const gate = await withStartLock(home, terminal.signal, async () => {
    const found = findGate(home);
    return found.state === "running" ? found.gate : launch(terminal, home, words);
  });
  progress[Symbol.dispose]();
  return gate;
}

async function launch(terminal: Terminal, home: Home, words: readonly string[]): Promise<GateFile> {
  const log = openLog(home);
  const from = fstatSync(log).size;
  const [node = process.execPath, ...entry] = ownCommand;
  const child = spawn(node, [...entry, "up", "--detached", "--home", home.directory, ...words], {
    detached: true,
    stdio: ["ignore", "ignore", log],
    cwd: terminal.directory, // relative paths of its options; it goes to the state folder once it has read them
    env: callerEnvironment(terminal.environment),
  });
  closeSync(log);
  // "error" is a failed spawn: then there is no exit, and `exited` says it instead.
  let spawnError: Error | undefined;
  child.on("error", (error) => (spawnError = error));
  try {
    return await awaitAnswer(terminal, home, () => {
      if (spawnError !== undefined)
        throw new CommandFailure(EXIT.failure, `cannot start the gate: ${spawnError.message}`);
      if (hasEnded(child)) throw launchFailure(home, from);
    });
  } catch (error) {
    // Whoever gives up on it must not leave it half started.
    if (!hasEnded(child)) child.kill("SIGTERM");
    throw error;
  } finally {
    child.unref();
  }
}

/** For its owner alone, whatever the umask was when it was made. */
function openLog(home: Home): number {
  const size = statSync(home.gateLog, { throwIfNoEntry: false })?.size ?? 0;
  if (size > LOG_BYTES) renameSync(home.gateLog, `${home.gateLog}.1`);
  const log = openSync(home.gateLog, "a", 0o600);
  fchmodSync(log, 0o600);
  return log;
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

async function awaitAnswer(terminal: Terminal, home: Home, check: () => void): Promise<GateFile> {
  const deadline = performance.now() + START_MS;
  let last: unknown;
  while (performance.now() < deadline) {
    check();
    const found = findGate(home);
    if (found.state === "running") {
      try {
        await createApiClient({ gate: found.gate, token: readToken(home, fileOnly) }).version(terminal.signal);
        return found.gate;
      } catch (error) {
        if (terminal.signal.aborted) throw error;
        last = error; // not yet, as long as there is time
      }
    }
    await pause(POLL_MS, terminal.signal);
  }
  const why = last instanceof Error ? `: ${last.message}` : "";
  throw new CommandFailure(EXIT.noGate, `the gate did not answer within ${START_MS / 1000} s${why}`, {
    remedy: `look into its log: ${home.gateLog}`,
  });
}

/** The gate's own file is what a gate that just started is asked with, whatever token the caller was given. */
const fileOnly = {};

/** What it said last before it ended: its own words where there are any, else the last lines of its log. */
function launchFailure(home: Home, from: number): CommandFailure {
  const lines = readFileSync(home.gateLog).subarray(from).toString("utf8").trimEnd().split("\n");
  const start = lines.findLastIndex((line) => line.startsWith("taskgate: "));
  const said =
    start === -1
      ? lines.slice(-8).join("\n")
      : lines
          .slice(start)
          .join("\n")
          .replace(/^taskgate: /, "");
  const [message = "", remedy] = said.split("\n  Try: ");
  return new CommandFailure(EXIT.failure, message === "" ? "the gate ended as soon as it was started" : message, {
    remedy: remedy ?? `look into its log: ${home.gateLog}`,
  });
}

/** Asks the gate of the state folder to stop, and returns when it has. Its tasks go on. */
export async function stopGate(terminal: Terminal): Promise<GateFile> {
  const gate = requireGate(homeOf(terminal));
  using progress = startProgress(terminal, "Stopping the gate");
  process.kill(gate.pid, "SIGTERM");
  const longestMs = (gate.drainMs ?? 0) + STOP_MS;
  const deadline = performance.now() + longestMs;
  while (isSameProcess(gate.pid, gate.processStart)) {
    if (performance.now() > deadline) {
      throw new CommandFailure(EXIT.failure, `the gate (pid ${gate.pid}) is still there after ${longestMs / 1000} s`, {
        remedy: `kill -9 ${gate.pid} (its tasks go on all the same)`,
      });
    }
    await pause(POLL_MS, terminal.signal);
  }
  progress[Symbol.dispose]();
  return gate;
}
