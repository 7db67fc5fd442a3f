import { connect } from "node:net";
import type { Clock } from "../../platform/clock.ts";
import { hostPort } from "../../model/index.ts";

export interface ProbeBounds {
  /** Longest time of a connect. */
  readonly connectMs: number;
  /** How long a connection that is to last is looked at. */
  readonly lastMs: number;
  /** Pause after a failure; each in a row doubles it. */
  readonly firstPauseMs: number;
  readonly mostPauseMs: number;
  /** Connects at a time. */
  readonly most: number;
}

const BOUNDS: ProbeBounds = Object.freeze({
  connectMs: 3000,
  lastMs: 150,
  firstPauseMs: 100,
  mostPauseMs: 5000,
  most: 64,
});

export interface ProbesDeps {
  /** An answer came that differs from the one before. */
  readonly changed: () => void;
  readonly clock: Clock;
  /** Default: those of this module. */
  readonly bounds?: Partial<ProbeBounds>;
}

/** open: somebody listened; else why nobody did, with when that was first so (epoch ms). unknown: not tried yet. */
export type Probed = "unknown" | "open" | { readonly failure: string; readonly since: number };

interface Probe {
  readonly ip: string;
  readonly port: number;
  readonly mustLast: boolean;
  said: Probed;
  failures: number;
  timer: Disposable | null;
  end: (() => void) | null;
}

/**
 * Whether an address of a Gateway takes connections from here, asked by connecting to it: a controller that says so knows nothing of firewalls, nor of
 * an address that was written down wrong. Each is tried until it is open.
 */
export class Probes implements Disposable {
  readonly #deps: ProbesDeps;
  readonly #bounds: ProbeBounds;
  readonly #probes = new Map<string, Probe>();
  readonly #waiting: Probe[] = [];
  #running = 0;

  constructor(deps: ProbesDeps) {
    this.#deps = deps;
    this.#bounds = { ...BOUNDS, ...deps.bounds };
  }

  /**
   * What is known of it; from now on it is tried until it is open. `mustLast`: one that ends connections at once is not: that is what Envoys do that have
   * a listener already, and nobody yet whom it leads to.
   */
  ask(ip: string, port: number, { mustLast = false }: { readonly mustLast?: boolean } = {}): Probed {
    const key = hostPort(ip, port);
    const known = this.#probes.get(key);
    const answers = known?.mustLast === mustLast || (known?.mustLast === true && known.said === "open");
    if (known !== undefined && answers) return known.said;
    if (known !== undefined) end(known);
    const probe: Probe = { ip, port, mustLast, said: "unknown", failures: 0, timer: null, end: null };
    this.#probes.set(key, probe);
    this.#queue(probe);
    return "unknown";
  }

  /** Forgets all that are not among these, each as `hostPort` writes it. */
  keepOnly(keys: ReadonlySet<string>): void {
    for (const [key, probe] of this.#probes) {
      if (keys.has(key)) continue;
      this.#probes.delete(key);
      end(probe);
    }
  }

  [Symbol.dispose](): void {
    this.keepOnly(new Set());
    this.#waiting.length = 0;
  }

  #queue(probe: Probe): void {
    this.#waiting.push(probe);
    this.#next();
  }

  #next(): void {
    while (this.#running < this.#bounds.most) {
      const probe = this.#waiting.shift();
      if (probe === undefined) return;
      if (this.#probes.get(hostPort(probe.ip, probe.port)) === probe) this.#try(probe);
    }
  }

  #try(probe: Probe): void {
    this.#running += 1;
    const { ip, port } = probe;
    const socket = connect({ host: ip, port });
    const { clock } = this.#deps;
    const { connectMs, lastMs } = this.#bounds;
    const timer = clock.after(connectMs, () => {
      socket.destroy(new Error(`nothing answered within ${String(connectMs / 1000)} s`));
    });
    let lasting: Disposable | null = null;
    let isOver = false;
    const over = (failure: string | null): void => {
      if (isOver) return;
      isOver = true;
      timer[Symbol.dispose]();
      lasting?.[Symbol.dispose]();
      socket.destroy();
      this.#running -= 1;
      this.#told(probe, failure);
      this.#next();
    };
    probe.end = () => over("it is no longer asked for");
    socket.once("connect", () => {
      if (!probe.mustLast) return over(null);
      lasting = clock.after(lastMs, () => over(null));
      socket.once("data", () => over(null));
      socket.once("end", () => over("it ends connections at once"));
    });
    socket.on("error", (error) => over(error.message));
  }

  #told(probe: Probe, failure: string | null): void {
    const { clock, changed } = this.#deps;
    probe.end = null;
    if (this.#probes.get(hostPort(probe.ip, probe.port)) !== probe) return;
    const before = probe.said;
    if (failure === null) {
      probe.said = "open";
      changed();
      return;
    }
    const since = typeof before === "string" ? clock.now() : before.since;
    probe.said = { failure, since };
    probe.failures += 1;
    const { firstPauseMs, mostPauseMs } = this.#bounds;
    const waitMs = Math.min(mostPauseMs, firstPauseMs * 2 ** Math.min(probe.failures - 1, 20));
    probe.timer = clock.after(waitMs, () => this.#queue(probe));
    if (typeof before === "string" || before.failure !== failure) changed();
  }
}

function end(probe: Probe): void {
  probe.timer?.[Symbol.dispose]();
  probe.end?.();
}
