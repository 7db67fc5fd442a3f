import { existsSync } from "node:fs";
import { join } from "node:path";
import { GatewayError, type Identity, type Task } from "../../model/index.ts";
import type { Clock } from "../../platform/clock.ts";
import type { Logger } from "../../platform/logger.ts";
import { buildRunTask, isReady } from "./build-task.ts";
import type { FoundPort, Recognised } from "./discover/discover.ts";
import { admitPort, type OpenPorts } from "./found-services.ts";
import { pause } from "../../platform/pause.ts";
import { recoverTask } from "./recover-task.ts";
import type { Phase } from "./run-view.ts";
import { connectSupervisor, launchSupervisor, readCheckedState, type SupervisorLink } from "./supervisor-link.ts";
import { claimGeneration, highestClaim, isClaimAlive, readClaim } from "./supervisor/claim.ts";
import { nextAttempt, restartDelay, wantsRestart } from "./supervisor/restart-delay.ts";
import type { SupervisorOptions } from "./supervisor/spec.ts";
import { writeState, type SupervisorState } from "./supervisor/state.ts";
import type { RunRecord } from "./task-record.ts";
import { removeTaskFolder } from "./task-folders.ts";
import type { TaskRecords } from "./task-records.ts";

/** How long a task that opens no port counts as starting. */
const QUIET_MS = 30_000;
/** How long a new supervisor has to take its generation. */
const LAUNCH_MS = 20_000;
const LAUNCH_TRIES = 3;
const LOOK_AGAIN_MS = 30;
const TROUBLE_MS = 1000;
/** On top of the grace: for SIGKILL to work, and for the supervisor to tell. */
const STOP_MORE_MS = 20_000;

export interface LocalTaskDeps {
  readonly folder: string;
  readonly cache: string;
  readonly owner: Identity;
  readonly records: TaskRecords;
  readonly options: Omit<SupervisorOptions, "generation">;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Called when `task` may have changed. */
  readonly changed: () => void;
}

/**
 * One task of this machine as the gate sees it. A loop (`#keep`) brings it from whatever it is found in to a supervisor that is listened
 * to, and from there to its end; a new gate starts the same loop on the same folder and so adopts it.
 */
export class LocalTask {
  readonly kind = "run";
  readonly #deps: LocalTaskDeps;
  #record: RunRecord;
  #phase: Phase = "starting";
  #state: SupervisorState | null = null;
  #open: OpenPorts = new Map();
  /** Start times of the processes that were ready once; it is asked anew when others take their place. */
  #readySince: string | null = null;
  #wasReady = false;
  #link: SupervisorLink | null = null;
  /** Epoch ms when what is left is killed; null: nobody asked for the end. */
  #stopBy: number | null = null;
  #attempt = 0;
  #launches = 0;
  #troubled = false;
  #life = new AbortController();
  /** Aborts pauses of the loop that a stop makes pointless. */
  #hurry = new AbortController();
  #keeping: Promise<void> = Promise.resolve();
  readonly #known = Promise.withResolvers<undefined>();

  constructor(deps: LocalTaskDeps, record: RunRecord) {
    this.#deps = deps;
    this.#record = record;
  }

  get record(): RunRecord {
    return this.#record;
  }

  hasEnded(): boolean {
    return this.#phase === "ended";
  }

  /** Settles once it is known how the task is: running, ended, or about to be started. */
  get known(): Promise<undefined> {
    return this.#known.promise;
  }

  get task(): Task {
    const { owner } = this.#deps;
    const stopping = this.#stopBy !== null;
    const view = { record: this.#record, phase: this.#phase, state: this.#state, open: this.#open };
    return buildRunTask({ ...view, stopping, ready: this.#ready() }, owner);
  }

  /** Processes that lead a replica each. */
  get roots(): readonly { readonly replica: string; readonly pid: number }[] {
    if (this.#phase !== "supervised") return [];
    return (this.#state?.replicas ?? []).flatMap(({ replica, phase, process: leader }) =>
      phase === "running" && leader !== null ? [{ replica, pid: leader.pid }] : [],
    );
  }

  /** Starts the loop, from whatever is found. Dispose ends it; the task itself goes on. */
  start(): void {
    this.#keeping = this.#keep().finally(() => this.#known.resolve(undefined));
  }

  /** What its processes listen on now. */
  setOpen(open: OpenPorts): void {
    const same = describeOpen(open) === describeOpen(this.#open);
    this.#open = open;
    if (isReady(this.#record, open)) this.#readySince = this.#processes();
    const ready = this.#ready();
    if (same && ready === this.#wasReady) return;
    this.#wasReady = ready;
    this.#deps.changed();
  }

  /** A port turned out to be something. Throws as the store does. */
  async admit(replica: string, found: FoundPort, recognised: Recognised): Promise<void> {
    const arrival = { replica, port: found.port, recognised };
    const change = (record: RunRecord): RunRecord => admitPort(record, this.#open, arrival);
    this.#record = await this.#deps.records.update(this.#record.name, change);
    if (isReady(this.#record, this.#open)) this.#readySince = this.#processes();
    this.#deps.changed();
  }

  /** Resolves when none of its processes is left. `why`: its state will say so; absent: somebody asked. Throws `unavailable` where that does not come about. */
  async stop(graceMs: number, signal: AbortSignal, why?: string): Promise<void> {
    if (this.hasEnded()) return;
    const { clock, records } = this.#deps;
    if (why !== undefined) {
      const change = (record: RunRecord): RunRecord => ({ ...record, stoppedFor: why });
      this.#record = await records.update(this.#record.name, change);
    }
    this.#stopBy = Math.min(this.#stopBy ?? Infinity, clock.now() + graceMs);
    this.#hurry.abort();
    this.#link?.stop(graceMs);
    this.#deps.changed();
    const late = new AbortController();
    const end = AbortSignal.any([signal, late.signal]);
    await Promise.race([this.#keeping.then(() => late.abort()), pause(clock, graceMs + STOP_MORE_MS, end)]);
    signal.throwIfAborted();
    late.abort();
    if (this.hasEnded()) return;
    throw new GatewayError(
      "unavailable",
      `Some processes of ${this.#record.name} do not end, though they were killed.`,
    );
  }

  /** Starts it anew under its name. Throws `conflict` while it runs. */
  async restart(): Promise<void> {
    const { name } = this.#record;
    if (!this.hasEnded())
      throw new GatewayError("conflict", `${name} runs already. Stop it first: taskgate stop ${name}`);
    // At once, before anything is awaited: a second call finds it running.
    this.#phase = "starting";
    try {
      await this.#nextGeneration();
    } catch (error) {
      this.#phase = "ended";
      throw error;
    }
    this.#stopBy = null;
    this.#hurry = new AbortController();
    this.#attempt = 0;
    this.#state = null;
    this.#deps.changed();
    this.start();
  }

  /** Takes its folder away: commands, environment, logs. Call when it has ended. */
  async forget(): Promise<void> {
    await removeTaskFolder(this.#deps.folder);
  }

  /** Stops looking; its processes go on. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#life.abort();
    this.#link?.[Symbol.dispose]();
    await this.#keeping;
  }

  async #keep(): Promise<void> {
    while (!this.#isOver()) {
      try {
        await this.#listen();
        if (this.#isOver() || (await this.#look())) return;
      } catch (error) {
        if (this.#isOver()) return;
        if (!this.#troubled)
          this.#deps.logger.warn({ err: error, task: this.#record.name }, "task cannot be looked after");
        this.#troubled = true;
        await pause(this.#deps.clock, TROUBLE_MS, this.#life.signal);
      }
    }
  }

  /** Stays with the supervisor as long as there is one. */
  async #listen(): Promise<void> {
    const link = await connectSupervisor(this.#deps.folder, (state) => this.#heard(state));
    if (link === null) return;
    this.#link = link;
    if (this.#life.signal.aborted) link[Symbol.dispose]();
    if (this.#stopBy !== null) link.stop(Math.max(0, this.#stopBy - this.#deps.clock.now()));
    await link.closed;
    this.#link = null;
  }

  #heard(state: SupervisorState): void {
    this.#launches = 0;
    this.#troubled = false;
    this.#state = state;
    // The supervisor's last word: the loop goes on from there.
    if (state.ended) return;
    this.#phase = "supervised";
    this.#open = keepOpen(this.#open, state);
    this.#known.resolve(undefined);
    this.#deps.changed();
  }

  /** No supervisor listens: finds out why, and does the next thing about it. True: the task has ended. */
  async #look(): Promise<boolean> {
    const { folder, clock } = this.#deps;
    const generation = Math.max(this.#record.generation, highestClaim(folder));
    // What it said last counts more than what it could write down: the disk may be full.
    const state = this.#state?.ended === true ? this.#state : readCheckedState(folder);
    if (state?.generation === generation && state.ended) return await this.#atEnd(state);
    if (!existsSync(join(folder, "spec.json"))) return this.#atLoss(generation);
    const claim = readClaim(folder, generation);
    if (claim === null) {
      this.#known.resolve(undefined);
      await this.#launch(generation);
      return false;
    }
    if (isClaimAlive(claim)) {
      await pause(clock, LOOK_AGAIN_MS, this.#life.signal);
      return false;
    }
    this.#set("recovering", state);
    this.#known.resolve(undefined);
    const deadline = clock.now() + this.#deps.options.graceMs;
    await recoverTask(
      {
        folder,
        name: this.#record.name,
        generation,
        claim,
        state,
        stopping: () => this.#stopBy !== null,
        deadline: () => Math.min(this.#stopBy ?? Infinity, deadline),
      },
      this.#life.signal,
    );
    return false;
  }

  /** Somebody took its folder away: there is nothing to start again, and nowhere to write. */
  #atLoss(generation: number): true {
    this.#set("ended", { ...ENDED, generation, startedAt: this.#deps.clock.now(), lost: "its folder is gone" });
    return true;
  }

  /** The generation ended: for good, or its supervisor was lost and the policy wants another. */
  async #atEnd(state: SupervisorState): Promise<boolean> {
    const { clock, folder, logger } = this.#deps;
    const again = state.lost !== null && !state.stopping && wantsRestart(this.#record.restart, null);
    if (!again) {
      this.#set("ended", state);
      return true;
    }
    this.#set("starting", null);
    this.#known.resolve(undefined);
    this.#attempt = nextAttempt(this.#attempt, clock.now() - state.startedAt);
    await pause(
      clock,
      restartDelay(this.#attempt, Math.random()),
      AbortSignal.any([this.#life.signal, this.#hurry.signal]),
    );
    if (this.#isOver()) return false;
    if (this.#isStopping()) {
      writeState(folder, { ...state, stopping: true });
      return false;
    }
    logger.info({ task: this.#record.name, reason: state.lost }, "task is started again");
    await this.#nextGeneration();
    return false;
  }

  /** Starts a supervisor for a generation that nobody has; returns when it has it, or ended, or takes too long. */
  async #launch(generation: number): Promise<void> {
    const { folder, cache, options, clock } = this.#deps;
    if (this.#stopBy !== null) {
      this.#giveUp(generation, { stopping: true, lost: null });
      return;
    }
    if (this.#launches >= LAUNCH_TRIES) {
      this.#launches = 0;
      this.#giveUp(generation, { stopping: false, lost: "its supervisor could not be started" });
      return;
    }
    this.#launches += 1;
    this.#set("starting", null);
    const gone = new AbortController();
    const supervisor = launchSupervisor(folder, { ...options, generation }, cache).finally(() => gone.abort());
    // Looked at below where it matters; afterwards its end is seen on the socket.
    supervisor.catch(() => undefined);
    const over = AbortSignal.any([gone.signal, this.#life.signal]);
    const until = clock.now() + LAUNCH_MS;
    while (!over.aborted && clock.now() < until && readClaim(folder, generation) === null) {
      await pause(clock, LOOK_AGAIN_MS, over);
    }
    if (gone.signal.aborted) await supervisor;
  }

  /** Takes the generation ourselves, so that no late supervisor can, and writes its end down. */
  #giveUp(generation: number, end: Pick<SupervisorState, "stopping" | "lost">): void {
    const { folder, clock } = this.#deps;
    if (!claimGeneration(folder, generation)) return;
    writeState(folder, { ...ENDED, generation, startedAt: clock.now(), ...end });
  }

  async #nextGeneration(): Promise<void> {
    const { records, folder } = this.#deps;
    const generation = Math.max(this.#record.generation, highestClaim(folder)) + 1;
    this.#record = await records.update(this.#record.name, (record: RunRecord) => ({
      ...record,
      generation,
      stoppedFor: null,
    }));
  }

  #isStopping(): boolean {
    return this.#stopBy !== null;
  }

  /** Asked anew after everything that is waited for: the gate looks no longer. */
  #isOver(): boolean {
    return this.#life.signal.aborted;
  }

  #set(phase: Phase, state: SupervisorState | null): void {
    this.#phase = phase;
    this.#state = state;
    this.#open = new Map();
    this.#deps.changed();
  }

  #ready(): boolean {
    const processes = this.#processes();
    if (processes === "") return false;
    if (this.#readySince === processes || isReady(this.#record, this.#open)) return true;
    if (this.#record.declared.length > 0) return false;
    const last = Math.max(...(this.#state?.replicas ?? []).map((replica) => replica.startedAt ?? 0));
    return this.#deps.clock.now() - last >= QUIET_MS;
  }

  /** Names the running processes, all of them together. */
  #processes(): string {
    const running = (this.#state?.replicas ?? []).filter((replica) => replica.phase === "running");
    return running
      .map((replica) => `${replica.replica} ${String(replica.process?.pid)} ${String(replica.startedAt)}`)
      .join();
  }
}

const ENDED: SupervisorState = {
  format: 1,
  generation: 1,
  boot: "",
  startedAt: 0,
  stopping: false,
  ended: true,
  lost: null,
  replicas: [],
};

/** Ports of replicas whose process is there; those of one that ended are closed already. */
function keepOpen(open: OpenPorts, state: SupervisorState): OpenPorts {
  const running = new Set(state.replicas.filter((r) => r.phase === "running").map((r) => r.replica));
  return new Map([...open].filter(([replica]) => running.has(replica)));
}

function describeOpen(open: OpenPorts): string {
  return JSON.stringify([...open].map(([replica, ports]) => [replica, ports.map((found) => [found.port, found.ip])]));
}
