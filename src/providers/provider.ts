import type { AttachSpec, ReachReport, RunSpec, SourceUpdate, Told } from "../model/index.ts";

/** Which lines of a log. */
export interface LogOptions {
  /** Stay, and yield what comes, until the signal aborts or the task is gone. */
  readonly follow: boolean;
  /** Only the last so many lines of what is there; absent: all that is kept. */
  readonly tail?: number;
  /** Absent: the first replica. */
  readonly replica?: string;
}

/** What a provider can do to tasks that it runs itself. What does something throws GatewayError. */
export interface TaskControl {
  /** Whether this provider started it. If not (a port that was taken in), it can be removed, and nothing more. */
  isOwn(task: string): boolean;
  /**
   * Politely, then not; resolves when all its processes are gone. Stopping a stopped task is no error. `why`: what its state says from
   * then on, where the gate stops it by itself.
   */
  stop(task: string, signal: AbortSignal, why?: string): Promise<void>;
  /** Stops it, and forgets it with its logs. */
  remove(task: string, signal: AbortSignal): Promise<void>;
  /** Whole lines, in order, without line ends. */
  logs(task: string, options: LogOptions, signal: AbortSignal): AsyncIterable<string>;
}

/** What only the provider of this machine can: start commands, take in ports. Resolves to the task's id once it is on record. */
export interface Runner {
  run(spec: RunSpec, signal: AbortSignal): Promise<string>;
  attach(spec: AttachSpec, signal: AbortSignal): Promise<string>;
  /** Starts a stopped, finished or failed task anew under its name. */
  restart(task: string, signal: AbortSignal): Promise<void>;
}

/** Says what exists. Several run at once; none knows of the others, of the core, or of who moves the bytes. */
export interface Provider {
  /** Unique among the running providers; first part of every task key. DNS label. */
  readonly name: string;
  /**
   * Resolves once watching; publishes from then on: the first update is whole (or stale). What it returns stops the watching, and
   * nothing is published after that. Tasks go on.
   */
  start(publish: (update: SourceUpdate) => void, signal: AbortSignal): Promise<AsyncDisposable>;
  /**
   * Optional way back, called on the leader only: everything once when elected, though that be nothing, then what changed. `leading` is
   * another signal with each election; it aborts when another may lead, and nothing that was told is to be written after that.
   */
  tell?(told: Told, leading: AbortSignal): void;
  /** Only of one behind a reach that has something to tell of itself: as it is when asked. */
  report?(): ReachReport;
  /** Only where this provider runs the task itself. */
  readonly control?: TaskControl;
}
