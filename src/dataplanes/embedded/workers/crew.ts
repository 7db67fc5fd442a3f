import type { Problem } from "../../../model/index.ts";
import type { Clock } from "../../../platform/clock.ts";
import type { Logger } from "../../../platform/logger.ts";
import { endOf, WorkerProcess } from "./worker-process.ts";

export interface CrewDeps {
  /** Workers that are to be there. */
  readonly count: number;
  readonly entry: URL;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Brings a process up to serving; throws what hinders it. */
  bring(worker: WorkerProcess): Promise<void>;
  /** It is gone, whether it ever served or not. */
  gone(worker: WorkerProcess): void;
  /** `problems` changed. */
  changed(): void;
}

/** Who served for so long did not fail by what it is. */
const STABLE_MS = 10_000;
const FIRST_DELAY_MS = 100;
const LONGEST_DELAY_MS = 10_000;
/** Fast ends in a row from which on it is said. */
const MANY = 3;

/** Keeps so many workers there: one that ends is followed by another at once; later and later, where they keep ending. */
export class Crew {
  readonly #deps: CrewDeps;
  /** Those that are to stay. */
  readonly #present = new Set<WorkerProcess>();
  /** Those that are draining. */
  readonly #leaving = new Set<WorkerProcess>();
  readonly #retries = new Set<Disposable>();
  #names = 0;
  #fastEnds = 0;
  #closed = false;

  constructor(deps: CrewDeps) {
    this.#deps = deps;
  }

  /** Everybody who is there, draining ones included. */
  get all(): readonly WorkerProcess[] {
    return [...this.#present, ...this.#leaving];
  }

  get problems(): readonly Problem[] {
    if (this.#fastEnds < MANY) return [];
    const message =
      "Worker processes of the data plane keep ending as soon as they are started. They are started again; the gate's log says how each of them ended.";
    return [{ subject: "dataPlane", code: "worker_failing", message }];
  }

  /** Starts all of them. Throws what the first one that cannot serve says; the others are ended then. */
  async start(): Promise<void> {
    const results = await Promise.allSettled(Array.from({ length: this.#deps.count }, () => this.#add()));
    const failed = results.find((result) => result.status === "rejected");
    if (failed === undefined) return;
    await this.end(0);
    throw failed.reason;
  }

  /** Puts fresh processes in the place of all: those take new connections before the old ones, which drain, stop doing so. */
  async replace(deadline: number): Promise<void> {
    const old = [...this.#present];
    await Promise.all(Array.from({ length: this.#deps.count }, () => this.#add()));
    for (const worker of old) {
      if (!this.#present.delete(worker)) continue;
      this.#leaving.add(worker);
      void worker.drain(deadline);
    }
  }

  /** Drains all, and starts no others. Resolves when they are gone. */
  async end(deadline: number): Promise<void> {
    this.#closed = true;
    for (const retry of this.#retries) retry[Symbol.dispose]();
    await Promise.all(this.all.map((worker) => worker.drain(deadline)));
  }

  /** Cuts all. Resolves when they are gone. */
  async kill(): Promise<void> {
    this.#closed = true;
    for (const retry of this.#retries) retry[Symbol.dispose]();
    for (const worker of this.all) worker.kill();
    await Promise.all(this.all.map((worker) => worker.ended));
  }

  async #add(): Promise<void> {
    this.#names += 1;
    const { entry, clock } = this.#deps;
    const worker = new WorkerProcess({ entry, clock, name: `worker-${String(this.#names)}` });
    this.#present.add(worker);
    let servedAt = Infinity;
    void worker.ended.then(({ code, signal }) => this.#ended(worker, servedAt, endOf(code, signal)));
    await this.#deps.bring(worker);
    servedAt = clock.now();
  }

  #ended(worker: WorkerProcess, servedAt: number, how: string): void {
    const { clock, logger, gone } = this.#deps;
    gone(worker);
    this.#leaving.delete(worker);
    if (!this.#present.delete(worker) || this.#closed) return;
    const stable = clock.now() - servedAt >= STABLE_MS;
    this.#count(stable ? 0 : this.#fastEnds + 1);
    logger.error({ worker: worker.name, pid: worker.pid, how }, "a worker process ended; another one is started");
    this.#again();
  }

  /** The first one that ends early is followed at once: it may be the only one that does. */
  #again(): void {
    const { clock, logger } = this.#deps;
    const doublings = Math.min(this.#fastEnds - 2, 10);
    const delay = this.#fastEnds < 2 ? 0 : Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** doublings);
    const retry = clock.after(delay, () => {
      this.#retries.delete(retry);
      if (this.#closed || this.#present.size >= this.#deps.count) return;
      this.#add().then(
        () => this.#settled(),
        (error: unknown) => logger.error({ err: error }, "a worker process cannot serve"),
      );
    });
    this.#retries.add(retry);
  }

  /** Forgives once everybody has been there for a while. */
  #settled(): void {
    const retry = this.#deps.clock.after(STABLE_MS, () => {
      this.#retries.delete(retry);
      if (this.#present.size === this.#deps.count) this.#count(0);
    });
    this.#retries.add(retry);
  }

  #count(fastEnds: number): void {
    const before = this.problems.length;
    this.#fastEnds = fastEnds;
    if (this.problems.length !== before) this.#deps.changed();
  }
}
