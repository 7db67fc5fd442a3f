import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { GatewayError, type Problem } from "../../../model/index.ts";
import type { Clock } from "../../../platform/clock.ts";
import type { Logger } from "../../../platform/logger.ts";
import { pause } from "../../../platform/pause.ts";
import { bootId } from "../../../platform/process-identity.ts";
import { type AskAdmin, askAdmin, readStats } from "./ask-admin.ts";
import {
  type EnvoyFiles,
  lastComplaints,
  makeEnvoyFolder,
  removeLeftovers,
  rotateLog,
  writeBootstrap,
} from "./envoy-files.ts";
import { type EnvoyProcess, findProcess, startProcess } from "./envoy-process.ts";
import type { EnvoyProgram } from "./find-envoy.ts";
import { type EnvoyRecord, isAlive, readRecord, removeRecord, writeRecord } from "./record.ts";

export interface LocalEnvoyDeps {
  readonly program: EnvoyProgram;
  readonly files: EnvoyFiles;
  readonly bootstrap: object;
  /** Where it will listen, once it is told: for the next gate to know. */
  readonly address: string;
  readonly port: number;
  readonly threads: number;
  /** How long what is open in a replaced process goes on. */
  readonly graceMs: number;
  readonly logBytes: number;
  /** Called when `problems` changed. */
  readonly changed: () => void;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** A process that is started answers its admin within this, or never. */
const ANSWER_MS = 15_000;
const POLL_MS = 25;
const END_POLL_MS = 10;
/** Between SIGTERM and SIGKILL. */
const STOP_MS = 2000;
const FIRST_BACKOFF_MS = 100;
const LONGEST_BACKOFF_MS = 10_000;
/** One that ran this long was well. */
const WELL_MS = 60_000;
const LOOK_AT_LOG_MS = 10_000;

/**
 * The Envoy of this machine. It is started in a session of its own and outlives this process, so that what is open goes on while the gate
 * is away; the next gate takes it over where program, arguments and bootstrap are the same, and otherwise replaces it by Envoy's own hot
 * restart. One that dies is started again. Disposing stops it.
 */
export class LocalEnvoy implements AsyncDisposable {
  readonly #deps: LocalEnvoyDeps;
  readonly #digest: string;
  readonly #stopping = new AbortController();
  #process: EnvoyProcess | null = null;
  /** Replaced ones that go on for a while. */
  #former: readonly EnvoyProcess[] = [];
  #epoch = 0;
  #startedAt = 0;
  #backoffMs = FIRST_BACKOFF_MS;
  #problem: Problem | null = null;
  /** One at a time starts another process. */
  #starting: Promise<void> = Promise.resolve();
  #logTimer: Disposable | null = null;

  constructor(deps: LocalEnvoyDeps) {
    this.#deps = deps;
    const { program, bootstrap, threads, graceMs } = deps;
    const told = JSON.stringify([program, bootstrap, threads, graceMs]);
    this.#digest = createHash("sha256").update(told).digest("base64url");
  }

  /** What stands in the way of its serving. */
  get problems(): readonly Problem[] {
    return this.#problem === null ? [] : [this.#problem];
  }

  /** Null: it does not run just now. */
  get pid(): number | null {
    return this.#process?.pid ?? null;
  }

  /** What its admin tells. Rejects where it does not answer. */
  readonly ask: AskAdmin = (path) => askAdmin(this.#deps.files.adminSocket, "GET", path);

  /** Resolves when a process is there that answers. Throws what it says where it cannot start. */
  async start(): Promise<void> {
    const { files, bootstrap } = this.#deps;
    makeEnvoyFolder(files);
    const record = readRecord(files.record);
    const left = record !== null && isAlive(record) ? record : null;
    writeBootstrap(files.bootstrap, bootstrap);
    if (left === null) await this.#startAlone();
    else {
      this.#takeOver(left);
      if (left.digest === this.#digest) this.#record();
      else await this.#replace();
    }
    this.#lookAtLog();
  }

  /** Another process takes over the port from the present one; no connection is refused, and open ones get `graceMs`. */
  restart(): Promise<void> {
    return this.#next(() => this.#replace());
  }

  async #replace(): Promise<void> {
    const old = this.#process;
    if (old === null) return;
    try {
      await this.#start(this.#epoch + 1);
      this.#former = [...this.#former.filter((each) => each.alive()), old];
      this.#record();
      this.#deps.logger.info({ pid: this.pid, replaces: old.pid }, "Envoy was replaced by hot restart");
    } catch (err) {
      // One that had not begun to serve, or speaks another version of the protocol, cannot hand over: nothing is lost that it had not lost.
      this.#deps.logger.warn({ err }, "Envoy could not be replaced by hot restart: it is stopped and started");
      this.#process = null;
      await end(old);
      await this.#startAlone();
    }
  }

  /** Takes no new connections, and waits until nothing is open or `deadline` (epoch ms) is there. */
  async drain(deadline: number): Promise<void> {
    const { files, clock } = this.#deps;
    const late = new AbortController();
    const timer = clock.after(Math.max(0, deadline - clock.now()), () => late.abort());
    try {
      // The first has answers say that their connection ends, the second closes the port.
      await askAdmin(files.adminSocket, "POST", "/healthcheck/fail");
      await askAdmin(files.adminSocket, "POST", "/drain_listeners");
      while (!late.signal.aborted && (await openUses(this.ask)) > 0) await pause(clock, POLL_MS * 2, late.signal);
    } catch (err) {
      this.#deps.logger.warn({ err }, "Envoy did not answer while it was drained");
    } finally {
      timer[Symbol.dispose]();
    }
  }

  /** May be called twice. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    this.#logTimer?.[Symbol.dispose]();
    await this.#starting.catch(() => undefined);
    const all = [...this.#former, ...(this.#process === null ? [] : [this.#process])];
    this.#process = null;
    await Promise.all(all.map(end));
    removeRecord(this.#deps.files.record);
    removeLeftovers(this.#deps.files);
  }

  #takeOver({ pid, start, epoch, former }: EnvoyRecord): void {
    this.#epoch = epoch;
    this.#former = former.map((each) => findProcess(each.pid, each.start));
    this.#watch(findProcess(pid, start));
    this.#deps.logger.info({ pid }, "took over the Envoy of an earlier gate");
  }

  /** Does it after what was begun before. */
  #next(work: () => Promise<void>): Promise<void> {
    this.#starting = this.#starting.catch(() => undefined).then(work);
    return this.#starting;
  }

  async #startAlone(): Promise<void> {
    removeLeftovers(this.#deps.files);
    // Replaced ones were to be told by the one that is gone when their time is over.
    const orphaned = this.#former.filter((each) => each.alive());
    await this.#start(0);
    this.#former = orphaned;
    this.#record();
    if (orphaned.length > 0) this.#retire(orphaned);
    this.#deps.logger.info({ pid: this.pid, version: this.#deps.program.version }, "started Envoy");
  }

  #retire(processes: readonly EnvoyProcess[]): void {
    const timer = this.#deps.clock.after(this.#deps.graceMs, () => void Promise.all(processes.map(end)));
    this.#stopping.signal.addEventListener("abort", () => timer[Symbol.dispose]());
  }

  async #start(epoch: number): Promise<void> {
    const { program, files } = this.#deps;
    const process = await startProcess(program.path, this.#words(epoch), files.log);
    try {
      await this.#answers(process, epoch);
    } catch (error) {
      await end(process);
      throw error;
    }
    this.#epoch = epoch;
    this.#watch(process);
  }

  #words(epoch: number): string[] {
    const { files, threads, graceMs } = this.#deps;
    const graceS = String(Math.max(1, Math.ceil(graceMs / 1000)));
    return [
      ...["-c", files.bootstrap, "--log-path", files.log, "--log-level", "warning"],
      ...["--service-node", `local-${String(epoch)}`, "--concurrency", String(threads)],
      ...["--base-id", String(files.baseId), "--restart-epoch", String(epoch)],
      ...["--socket-path", files.restartSocket, "--socket-mode", "600"],
      ...[
        "--file-flush-interval-msec",
        "500",
        "--drain-strategy",
        "immediate",
        "--drain-time-s",
        graceS,
        "--parent-shutdown-time-s",
        graceS,
      ],
    ];
  }

  async #answers(process: EnvoyProcess, epoch: number): Promise<void> {
    const { files, clock } = this.#deps;
    const deadline = clock.now() + ANSWER_MS;
    while (process.alive() && clock.now() < deadline) {
      if ((await epochOf(files)) === epoch) return;
      await pause(clock, POLL_MS, this.#stopping.signal);
      this.#stopping.signal.throwIfAborted();
    }
    throw new GatewayError("unavailable", `Envoy did not start: ${lastComplaints(files.log)}`);
  }

  #watch(process: EnvoyProcess): void {
    this.#process = process;
    this.#startedAt = this.#deps.clock.now();
    void process.ended.then(() => {
      if (!this.#stopping.signal.aborted) void this.#next(() => this.#revive(process));
    });
  }

  /** Name of the loop: reviving Envoy. Ends when one runs, or when disposed of. */
  async #revive(ended: EnvoyProcess): Promise<void> {
    const { files, clock, logger } = this.#deps;
    if (this.#process !== ended) return; // another one serves already
    this.#process = null;
    if (clock.now() - this.#startedAt > WELL_MS) this.#backoffMs = FIRST_BACKOFF_MS;
    logger.error({ said: lastComplaints(files.log) }, "Envoy ended by itself");
    this.#tell({
      subject: "envoy",
      code: "envoy_stopped",
      message: "Envoy ended by itself and is being started again.",
    });
    for (;;) {
      await pause(clock, this.#backoffMs, this.#stopping.signal);
      this.#backoffMs = Math.min(LONGEST_BACKOFF_MS, this.#backoffMs * 2);
      if (this.#stopping.signal.aborted) return;
      try {
        await this.#startAlone();
        this.#tell(null);
        return;
      } catch (err) {
        logger.error({ err }, "Envoy could not be started");
      }
    }
  }

  #tell(problem: Problem | null): void {
    this.#problem = problem;
    this.#deps.changed();
  }

  #record(): void {
    const { files, address, port } = this.#deps;
    const process = this.#process;
    if (process === null) return;
    writeRecord(files.record, {
      ...{ format: 1, pid: process.pid, start: process.start, boot: bootId() },
      ...{ epoch: this.#epoch, digest: this.#digest, address, port },
      former: this.#former.map(({ pid, start }) => ({ pid, start })),
    });
  }

  /** Name of the loop: looking at the size of the log. Ends when disposed of. */
  #lookAtLog(): void {
    const { files, logBytes, clock, logger } = this.#deps;
    this.#logTimer = clock.after(LOOK_AT_LOG_MS, () => {
      if (rotateLog(files.log, logBytes)) {
        askAdmin(files.adminSocket, "POST", "/reopen_logs").catch((err: unknown) => {
          logger.warn({ err }, "Envoy could not be told to open its log again");
        });
      }
      this.#lookAtLog();
    });
  }
}

/** Of the process that has the admin socket; null: none answers. */
async function epochOf({ adminSocket }: EnvoyFiles): Promise<number | null> {
  try {
    const { body } = await askAdmin(adminSocket, "GET", "/server_info");
    const info = JSON.parse(body) as { readonly command_line_options?: { readonly restart_epoch?: number } };
    return info.command_line_options?.restart_epoch ?? null;
  } catch {
    return null;
  }
}

/** Requests under way, and connections that carry none: those of visitors alone. */
async function openUses(ask: AskAdmin): Promise<number> {
  let requests = 0;
  let raw = 0;
  for (const [name, value] of await readStats(ask, "downstream_(rq|cx)_active$")) {
    if (/^(http|listener)\.admin\.|envoy_internal|worker_\d/.test(name)) continue;
    if (/^http\..*\.downstream_rq_active$/.test(name)) requests += value;
    else if (/^http\..*\.downstream_cx_active$/.test(name)) raw -= value;
    else if (/^listener\..*\.downstream_cx_active$/.test(name)) raw += value;
  }
  return requests + Math.max(0, raw);
}

async function end(process: EnvoyProcess): Promise<void> {
  const deadline = Date.now() + STOP_MS;
  process.signal("SIGTERM");
  while (process.alive()) {
    if (Date.now() > deadline) process.signal("SIGKILL");
    await sleep(END_POLL_MS);
  }
}
