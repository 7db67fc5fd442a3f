import { statSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { bootId } from "../../../platform/process-identity.ts";
import { claimGeneration } from "./claim.ts";
import { startControlServer, type ControlServer } from "./control-server.ts";
import { LogWriter } from "./log-writer.ts";
import { makePipes } from "./output-pipe.ts";
import { Replica } from "./replica.ts";
import { readSpec, type SupervisorOptions, type TaskSpec } from "./spec.ts";
import { initialReplica, readState, writeState, type ReplicaState, type SupervisorState } from "./state.ts";

const SAVE_AGAIN_MS = 1000;
const SAVE_TRIES = 60;
const LOOK_MS = 1000;
/** So often in a row its folder is not there before that is believed. */
const MISSES = 3;

/**
 * Runs one generation of the task in the working directory from its first process to its last, and writes down and tells what becomes of
 * it. Returns when all ended for good, or at once if another supervisor has the generation.
 */
export async function supervise(options: SupervisorOptions): Promise<void> {
  if (!claimGeneration(FOLDER, options.generation)) return;
  const supervisor = new Supervisor(options, readSpec(FOLDER), readState(FOLDER));
  await supervisor.run();
}

/** The working directory: a socket's path may have 107 bytes at most, and `ctl` is 3. */
const FOLDER = ".";

class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #replicas: readonly Replica[];
  readonly #startedAt = Date.now();
  readonly #boot = bootId();
  #stopping = false;
  #ended = false;
  #lost: string | null = null;
  #server: ControlServer | null = null;
  #saved = true;
  #missed = 0;

  constructor(options: SupervisorOptions, spec: TaskSpec, before: SupervisorState | null) {
    this.#options = options;
    this.#replicas = spec.replicas.map(
      ({ replica, environment }, index) =>
        new Replica({
          spec,
          environment,
          initial: initialState(replica, before?.lost === null ? undefined : before?.replicas[index]),
          log: new LogWriter({ folder: FOLDER, replica, logBytes: options.logBytes, logFiles: options.logFiles }),
          pipe: `${FOLDER}/out.${replica}`,
          graceMs: options.graceMs,
          changed: () => this.#changed(),
        }),
    );
  }

  async run(): Promise<void> {
    this.#save();
    makePipes(this.#replicas.map((replica) => `${FOLDER}/out.${replica.state.replica}`));
    this.#server = await startControlServer(
      "ctl",
      () => this.#state(),
      ({ stop }) => this.#stop(stop.graceMs, null),
    );
    for (const signal of ["SIGTERM", "SIGINT"] as const) {
      process.on(signal, () => this.#stop(this.#options.graceMs, `its supervisor was told to end (${signal})`));
    }
    // The terminal that a gate was started from may go.
    process.on("SIGHUP", () => undefined);
    const looking = setInterval(() => this.#lookForFolder(), LOOK_MS);
    await Promise.all(this.#replicas.map((replica) => replica.run()));
    clearInterval(looking);
    this.#ended = true;
    this.#save();
    for (let tries = 0; !this.#saved && this.#missed < MISSES && tries < SAVE_TRIES; tries += 1) {
      await delay(SAVE_AGAIN_MS);
      this.#save();
    }
    await this.#server.close(this.#state());
  }

  /** `lost`: nobody asked for the end of the task, only of its supervisor. */
  #stop(graceMs: number, lost: string | null): void {
    if (lost === null) this.#stopping = true;
    else this.#lost ??= lost;
    this.#changed();
    for (const replica of this.#replicas) replica.stop(graceMs);
  }

  /** Whoever took the folder away meant the task, too: without it nobody could ever stop it, or see that it is there. */
  #lookForFolder(): void {
    if (isThere("spec.json")) this.#missed = 0;
    else this.#missed += 1;
    if (this.#missed === MISSES) this.#stop(this.#options.graceMs, "its folder is gone");
  }

  #state(): SupervisorState {
    return {
      format: 1,
      generation: this.#options.generation,
      boot: this.#boot,
      startedAt: this.#startedAt,
      stopping: this.#stopping,
      ended: this.#ended,
      lost: this.#lost,
      replicas: this.#replicas.map((replica) => replica.state),
    };
  }

  #changed(): void {
    this.#save();
    this.#server?.push(this.#state());
  }

  /** A full disk is no reason to end a task: what is not saved now is saved with the next change, or at the end. */
  #save(): void {
    try {
      writeState(FOLDER, this.#state());
      this.#saved = true;
    } catch (error) {
      if (this.#saved) process.stderr.write(`state not saved: ${String(error)}\n`);
      this.#saved = false;
    }
  }
}

/** Only what is surely not there is missing: a disk that fails for a while is no reason to end a task. */
function isThere(file: string): boolean {
  try {
    return statSync(file, { throwIfNoEntry: false }) !== undefined;
  } catch {
    return true;
  }
}

/** A supervisor that follows one that was lost goes on counting. */
function initialState(replica: string, before: ReplicaState | undefined): ReplicaState {
  const fresh = initialReplica(replica);
  return before === undefined ? fresh : { ...fresh, restarts: before.restarts + 1 };
}
