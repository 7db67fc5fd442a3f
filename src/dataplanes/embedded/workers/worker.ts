import { hash } from "node:crypto";
import module from "node:module";
import type { Server } from "node:net";
import type { Gatekeeper } from "../../../model/index.ts";
import { GatewayError, plainHead } from "../../../model/index.ts";
import type { Clock } from "../../../platform/clock.ts";
import { garbageCollector } from "../../../platform/garbage-collector.ts";
import type { Logger } from "../../../platform/logger.ts";
import { startOptimizing } from "../../../platform/optimizing-compiler.ts";
import { type Channel, ProcessLink } from "../../../platform/process-link.ts";
import type { DataPlane, Explain, Explanation } from "../../dataplane.ts";
import { bindListener } from "../listener.ts";
import { startObservation } from "../observe/observation.ts";
import { startEmbeddedPlane } from "../plane.ts";
import { openLocalAuthority } from "../tls/local-authority.ts";
import { CheckedTargets } from "./checked-targets.ts";
import {
  BEAT,
  CHANGE,
  CHECKED,
  DRAIN,
  EXPLAIN,
  FIGURES,
  READY,
  type Setup,
  SETUP,
  STATUS,
  type TableChange,
} from "./messages.ts";
import { PassedPorts } from "./passed-ports.ts";
import { StatusReport } from "./status-report.ts";
import { createWorkerLogger } from "./worker-logger.ts";
import { WorkerTable } from "./worker-table.ts";

export interface GatekeeperParts {
  readonly link: ProcessLink;
  /** What the gate's half sent for it. */
  readonly grounding: unknown;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface WorkerDeps {
  readonly startGatekeeper: (parts: GatekeeperParts) => Gatekeeper & Disposable;
  readonly clock: Clock;
}

const BEAT_MS = 1000;

/**
 * Makes this process a worker: it serves what its gate, which is at the other end of the channel, tells it to, and ends when it has
 * drained. Without a gate it takes no more connections and ends with the last one, or when the grace is over. Signals for the whole group
 * of processes (Ctrl-C, a service manager's stop) are the gate's to act on.
 */
export function runWorker(deps: WorkerDeps): void {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => undefined);
  const link = new ProcessLink(gateChannel(), deps.clock);
  const worker = new Worker({ ...deps, logger: createWorkerLogger(link) }, link);
  link.hear(SETUP, (setup, handle) => void worker.start(setup, handle));
  link.hear(CHANGE, (change) => worker.change(change));
  link.hear(DRAIN, (deadline) => void worker.end(deadline));
  link.answer(FIGURES, () => worker.figures());
  process.on("disconnect", () => {
    link[Symbol.dispose]();
    void worker.orphaned();
  });
}

class Worker {
  readonly #deps: WorkerDeps & { readonly logger: Logger };
  readonly #link: ProcessLink;
  readonly #table = new WorkerTable();
  readonly #targets = new CheckedTargets();
  readonly #ports: PassedPorts;
  /** Changes that came while the plane was starting. */
  #early: TableChange[] = [];
  #plane: DataPlane | null = null;
  #gatekeeper: Disposable | null = null;
  #graceMs = 0;
  #ending = false;

  constructor(deps: WorkerDeps & { readonly logger: Logger }, link: ProcessLink) {
    this.#deps = deps;
    this.#link = link;
    this.#ports = new PassedPorts(link);
    link.hear(CHECKED, (checked) => this.#targets.take(checked));
  }

  async start(setup: Setup, handle: unknown): Promise<void> {
    try {
      this.#graceMs = setup.settings.graceMs;
      this.#targets.take(setup.checked);
      const plane = await this.#startPlane(setup, handle);
      for (const change of [setup.table, ...this.#early.splice(0)]) plane.apply(this.#table.apply(change), change.diff);
      this.#plane = plane;
      const report = new StatusReport((news) => this.#link.tell(STATUS, news));
      plane.observe((status) => report.take(status));
      this.#link.tell(READY, null);
      this.#beat(plane);
      module.flushCompileCache(); // a worker may be killed, and the next one is to come up faster
      // What starting left behind is a third of the heap, and nobody may come for long.
      garbageCollector()({ type: "major", execution: "sync", flavor: "last-resort" });
      startOptimizing();
    } catch (error) {
      const code = error instanceof GatewayError ? error.code : "unavailable";
      this.#link.tell(READY, { code, message: error instanceof Error ? error.message : String(error) });
    }
  }

  change(change: TableChange): void {
    if (this.#plane === null) this.#early.push(change);
    else this.#plane.apply(this.#table.apply(change), change.diff);
  }

  async figures(): ReturnType<DataPlane["figures"]> {
    if (this.#plane === null) throw new GatewayError("unavailable", "this worker is only starting");
    return this.#plane.figures();
  }

  /** Lets what is open go on until the deadline (epoch ms), then ends the process. */
  async end(deadline: number): Promise<void> {
    if (this.#ending) return;
    this.#ending = true;
    const plane = this.#plane;
    await plane?.drain(deadline);
    if (plane !== null) this.#link.tell(BEAT, await plane.figures());
    await plane?.[Symbol.asyncDispose]();
    this.#gatekeeper?.[Symbol.dispose]();
    setImmediate(() => process.exit(0)); // after what is still to be told
  }

  async orphaned(): Promise<void> {
    await this.end(this.#deps.clock.now() + this.#graceMs);
  }

  async #startPlane({ settings, rotatesLog, grounding }: Setup, handle: unknown): Promise<DataPlane> {
    const { clock, logger } = this.#deps;
    const link = this.#link;
    const listenOn = (server: Server, ready: () => void): void => void server.listen(handle, BACKLOG, ready);
    const authority =
      settings.authority === null ? null : await openLocalAuthority({ ...settings.authority, now: clock.now() });
    const ticketSecret = hash("sha256", `TLS session tickets ${settings.secret}`, "buffer");
    const listenerDeps = { authority, ticketSecret, clock, logger, listenOn };
    const listener = await bindListener(settings.listen, listenerDeps);
    const observation = await startObservation({ config: settings.observe, logger, rotatesLog });
    const gatekeeper = this.#deps.startGatekeeper({ link, grounding, clock, logger });
    this.#gatekeeper = gatekeeper;
    return startEmbeddedPlane({
      ...{ listener, observation, clock, logger },
      ...{ limits: settings.limits, site: settings.site, secret: settings.secret },
      ...{ via: settings.via, share: settings.share },
      dialRules: { loopback: settings.loopback, sockets: settings.sockets, ownPorts: new Set(settings.ownPorts) },
      gatekeeper,
      explain: explainBy(link),
      listenPort: (server, port) => this.#ports.listen(server, port),
      watchHealth: (watched) => this.#targets.watch(watched),
    });
  }

  #beat(plane: DataPlane): void {
    this.#deps.clock.after(BEAT_MS, () => {
      if (this.#ending) return;
      void plane.figures().then((figures) => this.#link.tell(BEAT, figures));
      this.#beat(plane);
    });
  }
}

const BACKLOG = 4096;

/** The channel to the process that forked this one. Throws if nobody did. */
function gateChannel(): Channel {
  if (process.send === undefined) throw new Error("a worker is started by a gate, and by nobody else");
  return {
    send(message) {
      // A gate that is gone hears nothing, and is noticed by "disconnect".
      if (process.connected) process.send?.(message, undefined, undefined, () => undefined);
    },
    receive: (take) => void process.on("message", take),
  };
}

const NOBODY: Explanation = Object.freeze({
  status: 503,
  code: "unavailable",
  title: "Not now",
  message: "The gate is being restarted. Try again in a moment.",
  retryAfterSeconds: 1,
});

function explainBy(link: ProcessLink): Explain {
  const never = new AbortController().signal;
  return ({ route, head, session, failure }) =>
    link.ask(EXPLAIN, { route, head: plainHead(head), session, failure }, never).catch(() => NOBODY);
}
