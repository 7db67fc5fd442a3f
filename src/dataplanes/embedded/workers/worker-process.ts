import { type ChildProcess, fork, type SendHandle, type StdioOptions } from "node:child_process";
import module from "node:module";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { GatewayError, type ErrorCode } from "../../../model/index.ts";
import type { Clock } from "../../../platform/clock.ts";
import { WITHOUT_OPTIMIZING } from "../../../platform/optimizing-compiler.ts";
import { ProcessLink } from "../../../platform/process-link.ts";
import { NO_FIGURES, type PlaneFigures } from "../../figures.ts";
import { BEAT, DRAIN, FIGURES, READY, type Setup, SETUP } from "./messages.ts";

/** How a worker ended. */
export interface WorkerEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface WorkerProcessDeps {
  /** Runs `runWorker`. */
  readonly entry: URL;
  /** Unique in this gate's life. */
  readonly name: string;
  readonly clock: Clock;
}

/** It comes up in a fraction of a second; a machine that swaps may need more. */
const START_MS = 30_000;
/** A worker that has not said for so many looks in a row that it lives hangs: its event loop is stuck. */
const MISSED_BEATS = 15;
const LOOK_MS = 2000;
/** Beyond its deadline a worker has so long to end by itself. */
const END_MARGIN_MS = 2000;
const FIGURES_MS = 2000;
/** Each worker has a processor to itself at best: helper threads of its collector would only get in the way of the other workers. */
const FLAGS = ["--v8-pool-size=1", ...WITHOUT_OPTIMIZING];
/** glibc makes heaps for every thread; a worker's threads hardly allocate. */
const FEW_HEAPS = { MALLOC_ARENA_MAX: "2" };

/** One worker as the gate's process sees it. */
export class WorkerProcess {
  readonly name: string;
  readonly link: ProcessLink;
  /** Resolves when it is gone, whatever the cause. */
  readonly ended: Promise<WorkerEnd>;
  readonly #child: ChildProcess;
  readonly #clock: Clock;
  readonly #ready = Promise.withResolvers<undefined>();
  #figures: PlaneFigures = NO_FIGURES;
  #beats = 0;
  #look: Disposable | null = null;

  constructor({ entry, name, clock }: WorkerProcessDeps) {
    this.name = name;
    this.#clock = clock;
    const stdio: StdioOptions = ["ignore", "inherit", "inherit", "ipc"];
    this.#child = fork(fileURLToPath(entry), [], { execArgv: FLAGS, env: workerEnvironment(), stdio });
    this.link = new ProcessLink(channelTo(this.#child), clock);
    this.ended = this.#watchEnd();
    this.#ready.promise.catch(() => undefined); // whoever starts it asks; nobody need
    this.link.hear(READY, (failure) => {
      if (failure === null) this.#ready.resolve(undefined);
      else this.#ready.reject(new GatewayError(failure.code as ErrorCode, failure.message));
    });
    this.link.hear(BEAT, (figures) => {
      this.#beats += 1;
      this.#figures = figures;
    });
  }

  get pid(): number {
    return this.#child.pid ?? -1;
  }

  /** Sends it what it works with, and waits until it serves. Throws what it could not do, `unavailable` if it ended or takes too long. */
  async start(setup: Setup, handle: object): Promise<void> {
    this.link.tell(SETUP, setup, handle);
    const late = this.#clock.after(START_MS, () =>
      this.#ready.reject(new GatewayError("unavailable", "a worker process does not start in time")),
    );
    try {
      await this.#ready.promise;
    } catch (error) {
      this.kill();
      throw error;
    } finally {
      late[Symbol.dispose]();
    }
    this.#watchBeats(0, 0);
  }

  /** What it counts now; what it said last if it does not answer. */
  async figures(): Promise<PlaneFigures> {
    return this.link.ask(FIGURES, null, AbortSignal.timeout(FIGURES_MS)).catch(() => this.#figures);
  }

  /** What it said last. */
  get lastFigures(): PlaneFigures {
    return this.#figures;
  }

  /** Takes no more connections; ends when nothing is open, at the latest at the deadline (epoch ms). Resolves when it is gone. */
  async drain(deadline: number): Promise<void> {
    this.link.tell(DRAIN, deadline);
    const patience = Math.max(0, deadline - this.#clock.now()) + END_MARGIN_MS;
    const late = this.#clock.after(patience, () => this.kill());
    await this.ended;
    late[Symbol.dispose]();
  }

  /** At once, with all that is open. */
  kill(): void {
    this.#child.kill("SIGKILL");
  }

  #watchEnd(): Promise<WorkerEnd> {
    const { promise, resolve } = Promise.withResolvers<WorkerEnd>();
    const end = (code: number | null, signal: NodeJS.Signals | null): void => {
      this.#look?.[Symbol.dispose]();
      this.link[Symbol.dispose]();
      this.#ready.reject(
        new GatewayError("unavailable", `a worker process ended as it started (${endOf(code, signal)})`),
      );
      resolve({ code, signal });
    };
    this.#child.on("error", () => {
      if (this.#child.pid === undefined) end(null, null); // it could not be started: then there is no exit
    });
    this.#child.once("exit", end);
    return promise;
  }

  /** Counts looks, not time: a machine that slept is no reason. */
  #watchBeats(seen: number, missed: number): void {
    this.#look = this.#clock.after(LOOK_MS, () => {
      if (this.#beats > seen) this.#watchBeats(this.#beats, 0);
      else if (missed + 1 < MISSED_BEATS) this.#watchBeats(seen, missed + 1);
      else this.kill();
    });
  }
}

/** The code that is compiled already: what a worker loads, its gate loads as well, and a checkout's TypeScript costs 40 MiB to strip. */
function workerEnvironment(): NodeJS.ProcessEnv {
  const cache = module.getCompileCacheDir();
  const environment = { ...FEW_HEAPS, ...process.env };
  if (cache === undefined) return environment;
  module.flushCompileCache();
  return { ...environment, NODE_COMPILE_CACHE: dirname(cache) }; // node makes a folder of its version below the one it is given
}

/** `exit code 1`, `SIGKILL`. */
export function endOf(code: number | null, signal: NodeJS.Signals | null): string {
  return signal ?? (code === null ? "it could not be started" : `exit code ${String(code)}`);
}

function channelTo(child: ChildProcess): ConstructorParameters<typeof ProcessLink>[0] {
  return {
    send(message, handle) {
      // A worker that is gone hears nothing, and is noticed by "exit".
      if (child.connected) child.send(message as object, handle as SendHandle, {}, () => undefined);
    },
    receive: (take) => void child.on("message", take),
  };
}
