import { type AuditSink, laterUse, type LastUse, type Problem } from "../model/index.ts";
import type { Clock } from "../platform/clock.ts";
import type { Logger } from "../platform/logger.ts";

/** A task that may be stopped when nobody uses it. */
export interface Idler {
  /** `provider/task`. */
  readonly key: string;
  readonly owner: string | null;
  readonly startedAt: number;
  /** Each service, and how long nobody may have used it, ms; Infinity: it keeps its task. */
  readonly services: readonly (readonly [service: string, afterMs: number])[];
}

export interface CullerDeps {
  readonly warnBeforeMs: number;
  /** All that may be stopped now. */
  idlers(): readonly Idler[];
  /** By service key. */
  lastUse(): ReadonlyMap<string, LastUse>;
  /** Whether the task says that it works, though nobody looks at it. Never throws. */
  isBusy(key: string): Promise<boolean>;
  /** `why`: for the task's owner, in its state. */
  stop(key: string, why: string): Promise<void>;
  readonly audit: Pick<AuditSink, "record">;
  /** Warnings changed. */
  changed(): void;
  readonly clock: Clock;
  readonly logger: Logger;
}

const SHORTEST_LOOK_MS = 500;
const LONGEST_LOOK_MS = 30_000;
/** Parts of the shortest time that a look comes late at most. */
const LOOKS = 20;
/** A task that works is asked again after so long, or half of its time if that is less. */
const BUSY_MS = 60_000;

interface Warning {
  readonly since: number;
  readonly problem: Problem;
}

/**
 * Stops tasks that nobody uses: used → (idle but for `warnBefore`) warned → (still idle) asked whether it works → stopped. A warning always
 * stands for its whole time first, also for a gate that just started. Disposing ends it; a stop that is under way goes on.
 */
export class Culler implements Disposable {
  readonly #deps: CullerDeps;
  readonly #warnings = new Map<string, Warning>();
  /** Busy, or being stopped: by task, until when nothing is asked (epoch ms). */
  readonly #until = new Map<string, number>();
  #timer: Disposable | null = null;
  #disposed = false;

  constructor(deps: CullerDeps) {
    this.#deps = deps;
    this.#look();
  }

  /** What is about to be stopped, each with its time. */
  get problems(): readonly Problem[] {
    return [...this.#warnings.values()].map(({ problem }) => problem);
  }

  [Symbol.dispose](): void {
    this.#disposed = true;
    this.#timer?.[Symbol.dispose]();
  }

  #look(): void {
    if (this.#disposed) return;
    const idlers = this.#deps.idlers();
    const lastUse = this.#deps.lastUse();
    const before = this.problems;
    const present = new Set(idlers.map(({ key }) => key));
    for (const known of [this.#warnings, this.#until])
      for (const key of known.keys()) if (!present.has(key)) known.delete(key);
    for (const idler of idlers) this.#judge(idler, lastUse);
    const after = this.problems;
    if (before.length !== after.length || before.some((problem, at) => after[at] !== problem)) this.#deps.changed();
    const shortest = Math.min(
      LONGEST_LOOK_MS * LOOKS,
      ...idlers.flatMap(({ services }) => services.map(([, after]) => after)),
    );
    const delay = Math.max(SHORTEST_LOOK_MS, Math.min(LONGEST_LOOK_MS, shortest / LOOKS));
    this.#timer = this.#deps.clock.after(delay, () => this.#look());
  }

  #judge(idler: Idler, lastUse: ReadonlyMap<string, LastUse>): void {
    const now = this.#deps.clock.now();
    const { key } = idler;
    if (now < (this.#until.get(key) ?? 0)) return;
    const end = endOf(idler, lastUse);
    const warnMs = Math.min(this.#deps.warnBeforeMs, end.afterMs / 2);
    const warning = this.#warnings.get(key);
    if (now < end.at - warnMs) {
      this.#warnings.delete(key);
      return;
    }
    if (warning === undefined) {
      const stopAt = Math.max(end.at, now + warnMs);
      this.#warnings.set(key, { since: now, problem: warn(idler, end, stopAt) });
      return;
    }
    if (now < Math.max(end.at, warning.since + warnMs)) return;
    this.#until.set(key, now + Math.min(BUSY_MS, end.afterMs / 2));
    void this.#end(idler, end);
  }

  async #end(idler: Idler, end: End): Promise<void> {
    const { clock, audit, logger, stop, isBusy } = this.#deps;
    const { key, owner } = idler;
    if (await isBusy(key)) return;
    // Somebody may have come while it was asked.
    if (this.#disposed || endOf(idler, this.#deps.lastUse()).at > clock.now()) return;
    const reason = `stopped after ${lengthText(clock.now() - end.since)} without use; ${usedText(end.use)}`;
    const entry = {
      kind: "gate",
      event: "once",
      operation: "cull",
      object: key,
      task: key,
      ...(owner === null ? {} : { owner }),
    } as const;
    try {
      await stop(key, reason);
      logger.info({ task: key, reason }, "idle task stopped");
      audit.record({ ...entry, outcome: "allowed", reason });
    } catch (err) {
      logger.warn({ err, task: key }, "idle task could not be stopped");
      audit.record({ ...entry, outcome: "failed", reason });
    }
  }
}

interface End {
  /** Epoch ms; Infinity: never. */
  readonly at: number;
  readonly since: number;
  readonly afterMs: number;
  readonly use: LastUse | undefined;
}

/** When the last of its services will have been without use for long enough. */
function endOf({ services, startedAt }: Idler, lastUse: ReadonlyMap<string, LastUse>): End {
  const ends = services.map(([service, afterMs]): End => {
    const use = lastUse.get(service);
    const since = Math.max(startedAt, use?.at ?? 0);
    return { at: since + afterMs, since, afterMs, use };
  });
  const last = ends.reduce((one, other) => (other.at > one.at ? other : one));
  const use = ends.map((end) => end.use).reduce((one, other) => laterUse(one, other));
  return { ...last, use, since: Math.max(...ends.map((end) => end.since)) };
}

function warn({ key }: Idler, { use }: End, stopAt: number): Problem {
  const message = `Nobody uses it: ${usedText(use)}. It is stopped at ${timeText(stopAt)} unless somebody does. To keep it: use it.`;
  return { subject: key, code: "idle_stop_soon", message };
}

function usedText(use: LastUse | undefined): string {
  if (use === undefined) return "not used since it started";
  return `last used at ${timeText(use.at)}${use.by === null ? "" : ` by ${use.by}`}`;
}

/** `2026-01-31 12:00:05 UTC`. */
function timeText(at: number): string {
  return `${new Date(at).toISOString().slice(0, 19).replace("T", " ")} UTC`;
}

const UNITS = [
  [86_400_000, "d"],
  [3_600_000, "h"],
  [60_000, "min"],
  [1000, "s"],
] as const;

/** `2 h`, `1 d 3 h`, `45 s`. */
function lengthText(ms: number): string {
  const parts: string[] = [];
  let rest = ms;
  for (const [unit, name] of UNITS) {
    const count = Math.floor(rest / unit);
    rest -= count * unit;
    if (count > 0) parts.push(`${String(count)} ${name}`);
  }
  return parts.slice(0, 2).join(" ") || "0 s";
}
