import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { processStart } from "../../../platform/process-identity.ts";
import { endSession, sessionOfChild } from "../../../platform/process-session.ts";
import { LineSplitter } from "./line-splitter.ts";
import type { LogWriter } from "./log-writer.ts";
import { openPipe, type OutputPipe } from "./output-pipe.ts";
import { nextAttempt, restartDelay, wantsRestart } from "./restart-delay.ts";
import type { TaskSpec } from "./spec.ts";
import type { ReplicaState } from "./state.ts";

/** How long output is waited for whose writer left the session and cannot be found. */
const DRAIN_MS = 500;

export interface ReplicaDeps {
  readonly spec: TaskSpec;
  readonly environment: Readonly<Record<string, string>>;
  readonly initial: ReplicaState;
  readonly log: LogWriter;
  /** The named pipe that takes its output. */
  readonly pipe: string;
  /** For what a process leaves behind when it ends by itself. */
  readonly graceMs: number;
  /** Called on every change of `state`. */
  readonly changed: () => void;
}

/** One replica: its process, one after the other as the restart policy wants, each the leader of a session of its own. */
export class Replica {
  readonly #deps: ReplicaDeps;
  readonly #stopped = new AbortController();
  #state: ReplicaState;
  /** Epoch ms; what is told to end is killed from then on. */
  #deadline = Infinity;
  #child: ChildProcess | null = null;
  /** Settles when nothing of the present session is left; null: nobody told it to end. */
  #ending: Promise<void> | null = null;

  constructor(deps: ReplicaDeps) {
    this.#deps = deps;
    this.#state = deps.initial;
  }

  get state(): ReplicaState {
    return this.#state;
  }

  /** Runs it until it ended for good. Called once. */
  async run(): Promise<void> {
    const { restart } = this.#deps.spec;
    let attempt = 0;
    while (!this.#isStopped()) {
      const startedAt = Date.now();
      await this.#runOnce();
      if (this.#isStopped() || !wantsRestart(restart, this.#state.exitCode)) break;
      attempt = nextAttempt(attempt, Date.now() - startedAt);
      await this.#wait(restartDelay(attempt, Math.random()));
      if (!this.#isStopped()) this.#set({ restarts: this.#state.restarts + 1 });
    }
    this.#set({ phase: "ended", nextAt: null });
  }

  /** Politely, and from `graceMs` after now not; asked again, the nearer end counts. `run` settles when it is done. */
  stop(graceMs: number): void {
    this.#deadline = Math.min(this.#deadline, Date.now() + graceMs);
    this.#stopped.abort();
    const pid = this.#child?.pid;
    if (pid === undefined || this.#ending !== null) return;
    this.#ending = endSession(sessionOfChild(pid), () => this.#deadline);
    this.#set({ phase: "ending" });
  }

  /** Asked anew after everything that is waited for. */
  #isStopped(): boolean {
    return this.#stopped.signal.aborted;
  }

  async #runOnce(): Promise<void> {
    this.#set({ phase: "starting", nextAt: null, process: null, startedAt: Date.now(), endedAt: null });
    let pipe: OutputPipe;
    try {
      pipe = openPipe(this.#deps.pipe);
    } catch (error) {
      this.#failed(error);
      return;
    }
    const drained = this.#capture(pipe);
    const ended = this.#spawn(pipe.writeFd);
    pipe.handOver();
    // Most reasons come as an event; some (arguments too long for the kernel) are thrown.
    await ended.catch((error: unknown) => this.#failed(error));
    await Promise.race([drained, delay(DRAIN_MS)]);
    pipe.output.destroy();
    await drained;
  }

  /** Settles when the process and all of its session are gone. */
  async #spawn(outputFd: number): Promise<void> {
    const { spec, environment } = this.#deps;
    const [program = "", ...rest] = spec.command;
    const child = spawn(program, rest, {
      cwd: spec.directory,
      env: environment,
      detached: true,
      stdio: ["ignore", outputFd, outputFd],
    });
    const { pid } = child;
    if (pid === undefined) {
      const [error] = (await once(child, "error")) as [Error];
      this.#failed(error);
      return;
    }
    // A failed `kill` of ours would come here; nothing depends on it.
    child.on("error", () => undefined);
    const start = processStart(pid);
    this.#child = child;
    this.#set({ phase: "running", process: start === null ? null : { pid, start }, error: null });
    await new Promise<void>((resolve) =>
      child.once("exit", (code, signal) => resolve(this.#exited(pid, code, signal))),
    );
    this.#set({ process: null });
  }

  /** On `exit`, before anything else can run: what it leaves behind is still surely of its session. */
  async #exited(pid: number, exitCode: number | null, signal: string | null): Promise<void> {
    this.#child = null;
    this.#deadline = Math.min(this.#deadline, Date.now() + this.#deps.graceMs);
    const ending = this.#ending ?? endSession(sessionOfChild(pid), () => this.#deadline);
    this.#set({ phase: "ending", exitCode, signal, endedAt: Date.now() });
    await ending;
    this.#ending = null;
    if (!this.#isStopped()) this.#deadline = Infinity;
  }

  #failed(error: unknown): void {
    const { directory } = this.#deps.spec;
    // spawn(2) says ENOENT for the program and for the directory alike.
    const reason = existsSync(directory) ? (error as Error).message : `the directory ${directory} is not there`;
    this.#set({
      process: null,
      exitCode: null,
      signal: null,
      endedAt: Date.now(),
      error: `could not start: ${reason}`,
    });
  }

  async #wait(delayMs: number): Promise<void> {
    this.#set({ phase: "waiting", nextAt: Date.now() + delayMs });
    // Aborted means stopped: the loop looks for itself.
    await delay(delayMs, undefined, { signal: this.#stopped.signal }).catch(() => undefined);
  }

  /** Settles when the pipe is at its end or was destroyed, and what it held is in the log. */
  #capture(pipe: OutputPipe): Promise<void> {
    const lines = new LineSplitter();
    const { output } = pipe;
    output.on("data", (chunk: Buffer) => this.#deps.log.write(lines.push(chunk)));
    // An unreadable pipe ends like an empty one; `close` follows.
    output.on("error", () => undefined);
    return new Promise((resolve) =>
      output.once("close", () => {
        const rest = lines.flush();
        if (rest !== null) this.#deps.log.write([rest]);
        resolve();
      }),
    );
  }

  #set(change: Partial<ReplicaState>): void {
    this.#state = { ...this.#state, ...change };
    this.#deps.changed();
  }
}
