import { getCompileCacheDir } from "node:module";
import { dirname, join } from "node:path";
import type { Home } from "../../config/home.ts";
import type { LocalConfig } from "../../config/schema.ts";
import {
  GatewayError,
  isCode,
  type AttachSpec,
  type Identity,
  type RunSpec,
  type SourceUpdate,
} from "../../model/index.ts";
import type { Clock } from "../../platform/clock.ts";
import type { Logger } from "../../platform/logger.ts";
import type { Store } from "../../store/store.ts";
import type { LogOptions } from "../provider.ts";
import { AttachedTask } from "./attached-task.ts";
import { replicasOf } from "./build-task.ts";
import { checkName, checkRun, nameAfter } from "./check-run.ts";
import type { Discover } from "./discover/discover.ts";
import { LocalTask } from "./local-task.ts";
import { pause } from "../../platform/pause.ts";
import { pickPorts } from "./pick-ports.ts";
import { startPortWatch, type PortWatch } from "./port-watch.ts";
import { Publisher } from "./publisher.ts";
import { checkSocketPath } from "./supervisor-link.ts";
import { switchUser } from "./switch-user.ts";
import { sweepFolders, writeTaskFolder } from "./task-folders.ts";
import { readLog } from "./task-logs.ts";
import { attachRecordOf, portsOf, portsWanted, runRecordOf, type TaskRecord } from "./task-record.ts";
import { TaskRecords } from "./task-records.ts";

/** Tasks on record at once. */
const MOST_TASKS = 1000;
const LOAD_AGAIN_MS = 1000;
/** Adoption that takes longer than this goes on after the first publication. */
const ADOPT_MS = 5000;
/** How long what is there waits for the first look at its ports before it is told of. */
const FIRST_LOOK_MS = 2000;

export interface LocalDeps {
  readonly home: Home;
  readonly store: Store;
  readonly config: LocalConfig;
  /** Whose the tasks of this machine are. */
  readonly owner: Identity;
  /** Ports of the gate itself: never a target. */
  readonly ownPorts: () => ReadonlySet<number>;
  readonly discover: Discover;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Takes over what is on record, publishes it, and from then on what changes. Resolves with the first publication. Throws on abort. */
export async function startLocalTasks(
  deps: LocalDeps,
  publish: (update: SourceUpdate) => void,
  signal: AbortSignal,
): Promise<LocalTasks> {
  const tasks = new LocalTasks(deps);
  try {
    await tasks.start(publish, signal);
    return tasks;
  } catch (error) {
    await tasks[Symbol.asyncDispose]();
    throw error;
  }
}

/** All tasks of this machine, for as long as they are watched. Disposing ends the watching; the tasks go on. */
export class LocalTasks implements AsyncDisposable {
  readonly #deps: LocalDeps;
  readonly #records: TaskRecords;
  readonly #publisher: Publisher;
  readonly #tasks = new Map<string, LocalTask | AttachedTask>();
  /** Names that are about to be taken. */
  readonly #coming = new Set<string>();
  /** Ports that tasks were told to listen on, running or not. */
  readonly #ports = new Set<number>();
  readonly #life = new AbortController();
  /** Settles when what is on record was taken over and told of. */
  #adopting: Promise<void> = Promise.resolve();
  /** null: not ready, or no more. */
  #watch: PortWatch | null = null;
  #ending: Promise<void> | null = null;

  /** For `startLocalTasks`. */
  constructor(deps: LocalDeps) {
    this.#deps = deps;
    this.#records = new TaskRecords(deps.store);
    this.#publisher = new Publisher((id) => this.#tasks.get(id)?.task ?? null);
  }

  /** Called once. */
  async start(publish: (update: SourceUpdate) => void, signal: AbortSignal): Promise<void> {
    const spoken = Promise.withResolvers<undefined>();
    const end = (): void => void (this.#ending ??= this.#end());
    signal.addEventListener("abort", end, { once: true });
    this.#life.signal.addEventListener("abort", () => signal.removeEventListener("abort", end));
    // Without its records it is stale, not broken: it says so, and goes on trying behind our back.
    this.#adopting = this.#adopt((update) => {
      if (!this.#life.signal.aborted) publish(update);
      spoken.resolve(undefined);
    });
    await Promise.race([this.#adopting, spoken.promise]);
    signal.throwIfAborted();
  }

  isReady(): boolean {
    return this.#watch !== null && !this.#life.signal.aborted;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await (this.#ending ??= this.#end());
  }

  async #end(): Promise<void> {
    this.#life.abort();
    this.#publisher.end();
    await this.#adopting;
    await this.#watch?.[Symbol.asyncDispose]();
    const runs = [...this.#tasks.values()].filter((task) => task.kind === "run");
    await Promise.all(runs.map((task) => task[Symbol.asyncDispose]()));
  }

  async run(wanted: RunSpec, signal: AbortSignal): Promise<string> {
    await checkRun(wanted);
    const as = await switchUser(wanted.user);
    for (const { port } of wanted.services) if (port !== undefined) await this.#checkFixedPort(port);
    signal.throwIfAborted();
    return await this.#named(wanted.name, wanted.command[0] ?? "", async (name) => {
      const folder = this.#folder(name);
      checkSocketPath(folder);
      const picked = await pickPorts(portsWanted(wanted), this.#ports, this.#deps.ownPorts());
      const record = runRecordOf(wanted, { name, picked, now: this.#deps.clock.now() });
      try {
        await writeTaskFolder(folder, record, { spec: wanted, as });
        await this.#records.create(record);
      } catch (error) {
        for (const port of picked) this.#ports.delete(port);
        throw error;
      }
      const task = this.#take(record);
      this.#publisher.changed(name);
      // A gate that ends just now leaves it to the next one, as any task on record that nobody started.
      if (task.kind === "run" && !this.#life.signal.aborted) task.start();
      this.#watch?.hurry();
    });
  }

  async attach(wanted: AttachSpec, signal: AbortSignal): Promise<string> {
    const { port } = wanted;
    if (!Number.isInteger(port) || port < 1 || port > 65_535)
      throw new GatewayError("bad_request", "A port is 1 to 65535.");
    this.#checkNotOwn(port);
    signal.throwIfAborted();
    return await this.#named(wanted.name, `port-${String(port)}`, async (name) => {
      const record = attachRecordOf(wanted, { name, now: this.#deps.clock.now() });
      await this.#records.create(record);
      this.#take(record);
      this.#publisher.changed(name);
      this.#watch?.hurry();
    });
  }

  isOwn(id: string): boolean {
    return this.#tasks.get(id)?.kind === "run";
  }

  async restart(id: string): Promise<void> {
    await this.#run(id, "has nothing to start: its process is not ours").restart();
    this.#watch?.hurry();
  }

  async stop(id: string, signal: AbortSignal, why?: string): Promise<void> {
    await this.#run(id, `is not ours to stop. To forget it: taskgate rm ${id}`).stop(
      this.#deps.config.stopGrace,
      signal,
      why,
    );
  }

  async remove(id: string, signal: AbortSignal): Promise<void> {
    const task = this.#get(id);
    if (task.kind === "run") await task.stop(this.#deps.config.stopGrace, signal);
    await this.#records.remove(id);
    // Before the name is free: the next task of that name has the same folder.
    if (task.kind === "run") await task.forget();
    this.#tasks.delete(id);
    this.#publisher.changed(id);
    for (const port of portsOf(task.record)) this.#ports.delete(port);
  }

  async *logs(id: string, options: LogOptions, signal: AbortSignal): AsyncGenerator<string> {
    const task = this.#run(id, "is not ours: its output goes where it was started");
    const replica = options.replica ?? "0";
    if (!replicasOf(task.record).includes(replica)) {
      throw new GatewayError(
        "not_found",
        `${id} has no replica ${JSON.stringify(replica)}: they are 0 to ${String(task.record.replicas - 1)}.`,
      );
    }
    const ended = (): boolean => task.hasEnded() || this.#tasks.get(id) !== task;
    const log = { folder: this.#folder(id), replica, clock: this.#deps.clock, ended };
    yield* readLog(log, { tail: options.tail ?? null, follow: options.follow }, signal);
  }

  /** Takes over what is on record. Never rejects. */
  async #adopt(publish: (update: SourceUpdate) => void): Promise<void> {
    const { clock, home, logger, discover, ownPorts, config } = this.#deps;
    const over = this.#life.signal;
    const records = await this.#load(publish);
    if (records === null) return;
    await sweepFolders(home.tasks, (name) => records.some((record) => record.name === name), logger);
    if (over.aborted) return;
    const runs = records.map((record) => this.#take(record)).filter((task) => task.kind === "run");
    for (const task of runs) task.start();
    const known = new AbortController();
    void Promise.all(runs.map((task) => task.known)).then(() => known.abort());
    await pause(clock, ADOPT_MS, AbortSignal.any([known.signal, over]));
    if (this.#life.signal.aborted) return;
    const everyMs = config.discoverEvery;
    this.#watch = startPortWatch({ discover, clock, logger, ownPorts, everyMs, tasks: () => this.#tasks.values() });
    this.#watch.hurry();
    if (!(await this.#isLookedAt(this.#watch))) return;
    this.#publisher.begin(publish, [...this.#tasks.keys()]);
    logger.info({ tasks: records.length }, "local tasks taken over");
  }

  /** Whoever came to one of them while there was no gate finds it as it was, not without its ports. false: it is over meanwhile. */
  async #isLookedAt({ looked }: PortWatch): Promise<boolean> {
    const over = this.#life.signal;
    const seen = new AbortController();
    void looked.then(() => seen.abort());
    await pause(this.#deps.clock, FIRST_LOOK_MS, AbortSignal.any([seen.signal, over]));
    return !over.aborted;
  }

  async #load(publish: (update: SourceUpdate) => void): Promise<readonly TaskRecord[] | null> {
    const { clock } = this.#deps;
    const since = clock.now();
    for (let told = false; !this.#life.signal.aborted; told = true) {
      try {
        return await this.#records.load();
      } catch (error) {
        if (!told) publish({ kind: "stale", since, error: error instanceof Error ? error : new Error(String(error)) });
        await pause(clock, LOAD_AGAIN_MS, this.#life.signal);
      }
    }
    return null;
  }

  /** Runs `work` with a name that nobody else gets meanwhile; returns the name. Throws `conflict` for one that is taken. */
  async #named(wanted: string | undefined, program: string, work: (name: string) => Promise<void>): Promise<string> {
    if (this.#tasks.size + this.#coming.size >= MOST_TASKS) {
      throw new GatewayError(
        "too_large",
        `There are ${String(MOST_TASKS)} tasks already. Remove some that ended: taskgate rm NAME`,
      );
    }
    const isTaken = (name: string): boolean => this.#tasks.has(name) || this.#coming.has(name);
    const name = wanted ?? nameAfter(program, isTaken);
    checkName(name);
    if (isTaken(name)) throw this.#nameTaken(name);
    this.#coming.add(name);
    try {
      await work(name);
      return name;
    } catch (error) {
      throw isCode(error, "conflict") ? this.#nameTaken(name) : error;
    } finally {
      this.#coming.delete(name);
    }
  }

  #nameTaken(name: string): GatewayError {
    const state = this.#tasks.get(name)?.task.state;
    const what = state === undefined ? "There is a task" : `There is a ${state} task`;
    return new GatewayError(
      "conflict",
      `${what} named ${name}. Choose another name, or remove it: taskgate rm ${name}`,
    );
  }

  #take(record: TaskRecord): LocalTask | AttachedTask {
    const { home, owner, config, clock, logger } = this.#deps;
    const { name } = record;
    const changed = (): void => this.#publisher.changed(name);
    const options = { logBytes: config.logBytes, logFiles: config.logFiles, graceMs: config.stopGrace };
    const common = { owner, records: this.#records, changed };
    const task =
      record.kind === "attach"
        ? new AttachedTask(common, record)
        : new LocalTask(
            { ...common, folder: this.#folder(name), cache: compileCache(home), options, clock, logger },
            record,
          );
    this.#tasks.set(name, task);
    for (const port of portsOf(record)) this.#ports.add(port);
    return task;
  }

  #folder(name: string): string {
    return join(this.#deps.home.tasks, name);
  }

  #get(id: string): LocalTask | AttachedTask {
    const task = this.#tasks.get(id);
    if (task === undefined) throw new GatewayError("not_found", `There is no task ${JSON.stringify(id)} here.`);
    return task;
  }

  /** Only a task that we run; `why` goes on from the name of an attached one. */
  #run(id: string, why: string): LocalTask {
    const task = this.#get(id);
    if (task.kind === "run") return task;
    throw new GatewayError("unsupported", `${id} ${why}`);
  }

  #checkNotOwn(port: number): void {
    if (!this.#deps.ownPorts().has(port)) return;
    throw new GatewayError("denied", `Port ${String(port)} is the gate's own and leads nowhere else.`);
  }

  async #checkFixedPort(port: number): Promise<void> {
    this.#checkNotOwn(port);
    const who = await this.#deps.discover.whoListens(port);
    if (who === null) return;
    const by = who.pid === null ? "" : ` by process ${String(who.pid)}`;
    throw new GatewayError(
      "conflict",
      `Port ${String(port)} is in use${by}. Choose another, leave it out, or take in what is there: taskgate attach ${String(port)}`,
    );
  }
}

/** Where the gate keeps its own compiled code, if it does: supervisors then start from it, each 30 MB smaller. */
function compileCache(home: Home): string {
  const own = getCompileCacheDir();
  // Node names the folder for this version of itself, inside the one that it was given.
  return own === undefined ? join(home.directory, "cache") : dirname(own);
}
