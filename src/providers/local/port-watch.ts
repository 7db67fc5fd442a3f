import type { Clock } from "../../platform/clock.ts";
import type { Logger } from "../../platform/logger.ts";
import type { AttachedTask } from "./attached-task.ts";
import type { Discover, FoundPort, Recognised } from "./discover/discover.ts";
import { readListeningSockets } from "./discover/listening-sockets.ts";
import type { OpenPorts } from "./found-services.ts";
import type { LocalTask } from "./local-task.ts";
import { pause } from "../../platform/pause.ts";
import { Recogniser } from "./recogniser.ts";

/** While a task starts its ports are looked for this often, so that it is ready soon after it listens. */
const EAGER_MS = 100;
const EAGER_FOR_MS = 15_000;
/** One look costs milliseconds whatever it finds, so a machine where nothing has changed for this long is looked at less often. */
const CALM_AFTER_MS = 60_000;
const CALM_FACTOR = 4;
const LINUX = process.platform === "linux";

export interface PortWatchDeps {
  readonly discover: Discover;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly everyMs: number;
  readonly ownPorts: () => ReadonlySet<number>;
  readonly tasks: () => Iterable<LocalTask | AttachedTask>;
}

/** A watch that runs. */
export interface PortWatch extends AsyncDisposable {
  /** Resolves when it has looked once, whatever came of it. */
  readonly looked: Promise<undefined>;
  /** Looks soon, and often for a while: something is starting. */
  hurry(): void;
}

/** Looks again and again at what the tasks' processes listen on, and finds out what that is. Disposing waits for the look at hand. */
export function startPortWatch(deps: PortWatchDeps): PortWatch {
  const watch = new Watch(deps);
  const running = watch.run();
  return {
    looked: watch.looked,
    hurry: () => watch.hurry(),
    async [Symbol.asyncDispose]() {
      watch.end();
      await running;
    },
  };
}

interface Attached {
  /** Names the sockets that listened; null where that cannot be seen. */
  readonly signature: string | null;
  readonly found: FoundPort | null;
}

class Watch {
  readonly #deps: PortWatchDeps;
  readonly #recogniser: Recogniser;
  readonly #life = new AbortController();
  #wake = new AbortController();
  /** What each attached port was when it was looked up last. */
  readonly #attached = new WeakMap<AttachedTask, Attached>();
  #eagerUntil = 0;
  /** What all tasks had open at the last look, and since when that is so. */
  #seen = "";
  #seenSince = 0;
  #failing = false;
  readonly #looked = Promise.withResolvers<undefined>();

  constructor(deps: PortWatchDeps) {
    this.#deps = deps;
    this.#recogniser = new Recogniser({ ...deps, signal: this.#life.signal });
  }

  get looked(): Promise<undefined> {
    return this.#looked.promise;
  }

  hurry(): void {
    const { clock } = this.#deps;
    this.#eagerUntil = clock.now() + EAGER_FOR_MS;
    this.#seenSince = clock.now();
    this.#wake.abort();
  }

  end(): void {
    this.#life.abort();
  }

  async run(): Promise<void> {
    const { clock, everyMs, logger } = this.#deps;
    const life = this.#life.signal;
    while (!life.aborted) {
      try {
        await this.#look();
        this.#failing = false;
      } catch (error) {
        if (!this.#failing) logger.warn({ err: error }, "listening ports cannot be looked for");
        this.#failing = true;
      }
      this.#looked.resolve(undefined);
      const every = this.#pauseMs();
      // A hurry that comes while this look is under way is not lost: the next one comes after the eager time.
      this.#wake = new AbortController();
      await pause(clock, Math.min(EAGER_MS, everyMs), life);
      await pause(clock, every - Math.min(EAGER_MS, everyMs), AbortSignal.any([life, this.#wake.signal]));
    }
    await this.#recogniser.idle();
  }

  #pauseMs(): number {
    const { clock, everyMs } = this.#deps;
    if (clock.now() < this.#eagerUntil) return Math.min(EAGER_MS, everyMs);
    return clock.now() - this.#seenSince > CALM_AFTER_MS ? everyMs * CALM_FACTOR : everyMs;
  }

  #note(seen: string): void {
    if (seen === this.#seen) return;
    this.#seen = seen;
    this.#seenSince = this.#deps.clock.now();
  }

  async #look(): Promise<void> {
    const own = this.#deps.ownPorts();
    const tasks = [...this.#deps.tasks()];
    const runs = await this.#lookAtRuns(
      tasks.filter((task) => task.kind === "run"),
      own,
    );
    const attached = await this.#lookAtAttached(
      tasks.filter((task) => task.kind === "attach"),
      own,
    );
    this.#note([...runs, ...attached].join("\n"));
    this.#recogniser.forgetUnseen();
  }

  /** Gives what was seen, in a form that is equal for the same. */
  async #lookAtRuns(tasks: readonly LocalTask[], own: ReadonlySet<number>): Promise<string[]> {
    const seen: string[] = [];
    const roots = new Map(tasks.map((task) => [task, task.roots]));
    const pids = [...roots.values()].flat().map((root) => root.pid);
    const found =
      pids.length === 0 ? new Map<number, readonly FoundPort[]>() : await this.#deps.discover.listening(pids);
    for (const task of tasks) {
      const open = new Map<string, readonly FoundPort[]>();
      // Those that were looked at: meanwhile others may have taken their place, of which nothing is known yet.
      for (const { replica, pid } of roots.get(task) ?? []) {
        const there = LINUX ? (found.get(pid) ?? []) : await this.#dialDeclared(task, replica, pid);
        const ports = there.filter((port) => !own.has(port.port));
        if (ports.length > 0) open.set(replica, ports);
        seen.push([task.record.name, replica, pid, ...ports.map((port) => port.port)].join(" "));
      }
      task.setOpen(open);
      this.#recogniseAll(task, open);
    }
    return seen;
  }

  /** Where process trees cannot be looked into: what was declared, by dialling it. */
  async #dialDeclared(task: LocalTask, replica: string, pid: number): Promise<readonly FoundPort[]> {
    const ports = task.record.declared.flatMap((service) => service.ports[Number(replica)] ?? []);
    const found = await Promise.all(
      ports.map(async (port) => {
        const who = await this.#deps.discover.whoListens(port);
        return who === null ? [] : [{ port, ip: who.ip, pid, command: who.command }];
      }),
    );
    return found.flat();
  }

  #recogniseAll(task: LocalTask, open: OpenPorts): void {
    for (const [replica, ports] of open) {
      for (const found of ports) {
        this.#recogniser.see(`${task.record.name} ${replica}`, found, (what: Recognised) =>
          task.admit(replica, found, what),
        );
      }
    }
  }

  /** Reads the table of listening sockets once; who has a port is looked up only when its sockets are others than before. */
  async #lookAtAttached(tasks: readonly AttachedTask[], own: ReadonlySet<number>): Promise<string[]> {
    const seen: string[] = [];
    const sockets = LINUX && tasks.length > 0 ? await readListeningSockets() : null;
    for (const task of tasks) {
      const { port } = task.record;
      const inodes = sockets?.filter((socket) => socket.port === port).map((socket) => socket.inode);
      const signature = inodes === undefined ? null : [String(own.has(port)), ...inodes].join(" ");
      const before = this.#attached.get(task);
      const now =
        before !== undefined && signature !== null && before.signature === signature
          ? before
          : { signature, found: await this.#whoListens(task, own, inodes?.length !== 0) };
      this.#attached.set(task, now);
      if (now.found !== null) this.#recogniser.see(task.record.name, now.found, (what) => task.admit(what));
      seen.push(`${task.record.name} ${signature ?? ""}`);
    }
    return seen;
  }

  /** `maybe`: not known to be closed. */
  async #whoListens(task: AttachedTask, own: ReadonlySet<number>, maybe: boolean): Promise<FoundPort | null> {
    const { port } = task.record;
    const who = own.has(port) || !maybe ? null : await this.#deps.discover.whoListens(port);
    if (own.has(port) || who?.pid === process.pid) {
      task.setOpen(null, `port ${String(port)} is the gate's own`);
      return null;
    }
    task.setOpen(who?.ip ?? null, who === null ? `nothing listens on port ${String(port)}` : null);
    return who === null ? null : { port, ip: who.ip, pid: who.pid ?? 0, command: who.command };
  }
}
