import type { Problem, RouteTable, TableDiff } from "../../../model/index.ts";
import { readHead } from "../../../model/index.ts";
import type { Clock } from "../../../platform/clock.ts";
import type { Logger } from "../../../platform/logger.ts";
import type { ProcessLink } from "../../../platform/process-link.ts";
import type { DataPlane, Explain, PlaneStatus } from "../../dataplane.ts";
import { NO_FIGURES, type PlaneFigures, sumFigures } from "../../figures.ts";
import { StatusBoard } from "../../status-board.ts";
import type { UpstreamsDeps } from "../upstreams.ts";
import type { BoundPort } from "./bound-port.ts";
import { Crew } from "./crew.ts";
import { goneFigures } from "./gone-figures.ts";
import { MergedStatus } from "./merged-status.ts";
import { CHANGE, CHECKED, EXPLAIN, LOG, OPEN_PORT, PORT, STATUS, type WorkerSettings } from "./messages.ts";
import { RawPorts } from "./raw-ports.ts";
import { SharedChecks } from "./shared-checks.ts";
import type { WorkerProcess } from "./worker-process.ts";
import { restOf, wholeTable } from "./worker-table.ts";

/** The gate's half of what decides in workers. */
export interface WorkerAuthority {
  /** Serves a worker's gatekeeper over this link until disposed. `grounding`: plain data for it, to be sent within this turn. */
  serve(link: ProcessLink): Disposable & { readonly grounding: unknown };
}

export interface WorkerPlaneDeps {
  /** At least 1. */
  readonly count: number;
  /** A module that calls `runWorker` with the other half of `authority`. */
  readonly entry: URL;
  /** The gate's port. Owned by the plane from now on. */
  readonly port: BoundPort;
  readonly settings: Omit<WorkerSettings, "share">;
  readonly authority: WorkerAuthority;
  readonly explain: Explain;
  /** For active checks, which are made here for all. */
  readonly checks: Omit<UpstreamsDeps, "changed" | "watchHealth">;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The embedded plane in processes of its own. */
export interface WorkerPlane extends DataPlane {
  /**
   * Puts fresh processes in the place of the present ones, without a connection refused: what is open in those may go on until `deadline`
   * (epoch ms). Resolves when the fresh ones serve. Throws what hinders them; the present ones then stay.
   */
  replace(deadline: number): Promise<void>;
  /** Process ids of the workers that are there now. */
  readonly pids: readonly number[];
}

const NAME = "embedded";

/** Starts the workers; all of them serve when it resolves. Throws GatewayError as `bindListener` does, and `unavailable`. */
export async function startWorkerPlane(deps: WorkerPlaneDeps): Promise<WorkerPlane> {
  const plane = new ProcessPlane(deps);
  try {
    await plane.start();
  } catch (error) {
    await plane[Symbol.asyncDispose]();
    throw error;
  }
  return plane;
}

class ProcessPlane implements WorkerPlane {
  readonly name = NAME;
  readonly #deps: WorkerPlaneDeps;
  readonly #crew: Crew;
  readonly #board: StatusBoard;
  readonly #status = new MergedStatus();
  readonly #ports: RawPorts;
  readonly #checks: SharedChecks;
  readonly #served = new Map<WorkerProcess, Disposable>();
  /** Services by route: what was used is forgotten with a service's last route. */
  readonly #services = new Map<string, string>();
  #table: RouteTable = NO_TABLE;
  /** Of workers that are gone. */
  #past: PlaneFigures = NO_FIGURES;
  #rotating: WorkerProcess | null = null;

  constructor(deps: WorkerPlaneDeps) {
    const { clock, logger, count, entry } = deps;
    this.#deps = deps;
    this.#board = new StatusBoard(clock, () => this.#read());
    const changed = (): void => this.#board.changed();
    this.#ports = new RawPorts(deps.port.address);
    this.#checks = new SharedChecks(deps.checks, (checked) => {
      for (const { link } of this.#crew.all) link.tell(CHECKED, checked);
    });
    const bring = (worker: WorkerProcess) => this.#bring(worker);
    const gone = (worker: WorkerProcess) => this.#gone(worker);
    this.#crew = new Crew({ count, entry, clock, logger, bring, gone, changed });
  }

  start(): Promise<void> {
    return this.#crew.start();
  }

  get pids(): readonly number[] {
    return this.#crew.all.map(({ pid }) => pid);
  }

  apply(table: RouteTable, diff: TableDiff): void {
    this.#table = table;
    this.#ports.apply(diff.routes);
    this.#checks.apply(table, diff);
    this.#forgetServices(diff.routes.removed);
    for (const { id, service } of diff.routes.set) this.#services.set(id, service);
    const change = { diff, rest: diff.rest ? restOf(table) : null };
    // One that only starts has not been sent the table, or will apply this after it.
    for (const worker of this.#served.keys()) worker.link.tell(CHANGE, change);
    this.#board.changed();
  }

  observe(listener: (status: PlaneStatus) => void): Disposable {
    return this.#board.observe(listener);
  }

  async figures(): Promise<PlaneFigures> {
    const now = await Promise.all([...this.#served.keys()].map((worker) => worker.figures()));
    const sum = sumFigures([this.#past, ...now]);
    const there = new Set(this.#services.values());
    return { ...sum, services: sum.services.filter(([service]) => there.has(service)) };
  }

  replace(deadline: number): Promise<void> {
    return this.#crew.replace(deadline);
  }

  async drain(deadline: number): Promise<void> {
    this.#closePorts(); // while it is open anywhere, the system takes connections for it that nobody would serve
    await this.#crew.end(deadline);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closePorts();
    this.#checks[Symbol.dispose]();
    await this.#crew.kill();
    this.#board[Symbol.dispose]();
  }

  #closePorts(): void {
    this.#deps.port[Symbol.dispose]();
    this.#ports[Symbol.dispose]();
  }

  #bring(worker: WorkerProcess): Promise<void> {
    const { authority, explain, port, settings, count, logger } = this.#deps;
    const { link } = worker;
    link.answer(EXPLAIN, ({ head, ...question }) => explain({ ...question, head: readHead(head) }));
    link.answer(OPEN_PORT, (wanted) => this.#openPort(link, wanted));
    link.hear(LOG, ({ level, fields, message }) => logger[level]({ worker: worker.name, ...fields }, message));
    link.hear(STATUS, (news) => {
      this.#status.take(worker.name, news);
      this.#board.changed();
    });
    const serving = authority.serve(link);
    this.#served.set(worker, serving);
    this.#status.joined(worker.name);
    this.#rotating ??= worker;
    const setup = {
      settings: { ...settings, share: count },
      rotatesLog: this.#rotating === worker,
      grounding: serving.grounding,
      table: wholeTable(this.#table),
      checked: this.#checks.all,
    };
    return worker.start(setup, port.handle);
  }

  #gone(worker: WorkerProcess): void {
    this.#served.get(worker)?.[Symbol.dispose]();
    this.#served.delete(worker);
    this.#status.left(worker.name);
    this.#past = sumFigures([this.#past, goneFigures(worker.lastFigures)]);
    if (this.#rotating === worker) this.#rotating = null;
    this.#board.changed();
  }

  async #openPort(link: ProcessLink, wanted: number): Promise<string | null> {
    try {
      const { handle } = await this.#ports.open(wanted);
      link.tell(PORT, wanted, handle);
      return null;
    } catch (error) {
      return (error as NodeJS.ErrnoException).code ?? "EIO";
    }
  }

  #forgetServices(removed: readonly string[]): void {
    const services = new Set<string>();
    for (const id of removed) {
      const service = this.#services.get(id);
      if (service !== undefined) services.add(service);
      this.#services.delete(id);
    }
    if (services.size === 0) return;
    for (const service of this.#services.values()) services.delete(service);
    for (const service of services) this.#status.forget(service);
  }

  #read(): PlaneStatus {
    const problems: readonly Problem[] = this.#crew.problems;
    return this.#status.read(problems);
  }
}

const NO_ENTRIES: ReadonlyMap<string, never> = new Map<string, never>();
const NO_TABLE: RouteTable = Object.freeze({
  revision: { epoch: "", seq: 0 },
  ...{ listeners: NO_ENTRIES, certificates: NO_ENTRIES, routes: NO_ENTRIES, upstreams: NO_ENTRIES },
  ...{ endpoints: NO_ENTRIES, keys: NO_ENTRIES, problems: NO_ENTRIES },
});
