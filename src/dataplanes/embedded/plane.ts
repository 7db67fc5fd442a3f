import { randomBytes } from "node:crypto";
import type { LimitsConfig } from "../../config/schema.ts";
import type { Gatekeeper, Problem, RouteTable, Site, TableDiff, Upstream } from "../../model/index.ts";
import type { Clock } from "../../platform/clock.ts";
import type { Logger } from "../../platform/logger.ts";
import type { DataPlane, Explain, PlaneStatus } from "../dataplane.ts";
import type { PlaneFigures } from "../figures.ts";
import type { WatchHealth } from "./active-health.ts";
import { Admission, type Bound } from "./admission.ts";
import { Connections } from "./connections.ts";
import type { PlaneContext } from "./context.ts";
import { startEntrance } from "./entrance.ts";
import type { DialRules } from "../forbidden-target.ts";
import type { BoundListener } from "./listener.ts";
import type { Observation } from "./observe/observation.ts";
import { Refusals } from "./http1/refusals.ts";
import { RouteIndex } from "../route-index.ts";
import { StatusBoard } from "../status-board.ts";
import { Sticky } from "./sticky.ts";
import { TcpPorts, type TcpPortsDeps } from "./tcp-ports.ts";
import { Traffic } from "./traffic.ts";
import { upstreamContext } from "./tls/upstream-tls.ts";
import { Upstreams } from "./upstreams.ts";

export interface EmbeddedPlaneDeps {
  /** Owned by the plane from now on. */
  readonly listener: BoundListener;
  readonly limits: LimitsConfig;
  /** Processes that serve side by side, this one included: each has its part of the bounds that are totals. Default 1. */
  readonly share?: number;
  readonly site: Site;
  readonly dialRules: DialRules;
  /** The same in every process and life of the gate: what nobody but the gate may be able to make (ids in cookies). Never logged. */
  readonly secret: string;
  readonly gatekeeper: Gatekeeper;
  readonly explain: Explain;
  /** Access log and traces. Owned by the plane from now on. */
  readonly observation: Observation;
  /** This gate's name in Via: the same in all its processes. Absent: one of this plane alone. */
  readonly via?: string;
  /** For a worker: see `TcpPortsDeps.listen`. */
  readonly listenPort?: TcpPortsDeps["listen"];
  /** For a worker: see `UpstreamsDeps.watchHealth`. */
  readonly watchHealth?: WatchHealth;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** A name for Via. */
export function newVia(): string {
  return `taskgate-${randomBytes(6).toString("hex")}`;
}

const NAME = "embedded";
const LAST_WORDS_MS = 500;

/** The data plane inside the gate's own process. Serves the listener at once; until the first table every host is unknown. */
export function startEmbeddedPlane(deps: EmbeddedPlaneDeps): Promise<DataPlane> {
  return Promise.resolve(new EmbeddedPlane(deps));
}

class EmbeddedPlane implements DataPlane {
  readonly name = NAME;
  readonly #clock: Clock;
  readonly #listener: BoundListener;
  readonly #index: RouteIndex;
  readonly #upstreams: Upstreams;
  readonly #traffic: Traffic;
  readonly #observation: Observation;
  readonly #connections: Connections;
  readonly #entrance: ReturnType<typeof startEntrance>;
  readonly #tcp: TcpPorts;
  readonly #board: StatusBoard;
  readonly #lastUsed = new Map<string, number>();
  /** What this plane cannot do as it is told, by upstream. */
  readonly #unusable = new Map<string, Problem>();
  #applied = 0;

  constructor(deps: EmbeddedPlaneDeps) {
    const { listener, limits, site, gatekeeper, explain, observation, clock, logger } = deps;
    this.#clock = clock;
    this.#listener = listener;
    this.#board = new StatusBoard(clock, () => this.#status());
    const changed = () => this.#board.changed();
    listener.tls?.onChange(changed);
    this.#index = new RouteIndex(site.domain);
    const sticky = new Sticky({ site, secret: deps.secret });
    this.#upstreams = new Upstreams({
      ...{ limits, clock, changed, dialRules: deps.dialRules },
      ...{ stickyId: sticky.idOf, watchHealth: deps.watchHealth },
      dialled: (upstream, seconds, failure) => this.#traffic.dialled(upstream, seconds, failure),
    });
    this.#observation = observation;
    const used = (service: string, at: number) => this.#used(service, at);
    this.#traffic = new Traffic({ gatekeeper, observer: observation, clock, used });
    const refused = (bound: Bound) => this.#traffic.limited(bound);
    const admission = new Admission({ limits, share: deps.share ?? 1, clock, logger, refused });
    this.#connections = new Connections(admission);
    const context: PlaneContext = {
      ...{ limits, site, gatekeeper, explain, clock, logger },
      ...{ index: this.#index, upstreams: this.#upstreams, sticky, traffic: this.#traffic, admission },
      via: deps.via ?? newVia(),
      refusals: new Refusals(logger, clock),
    };
    this.#tcp = new TcpPorts({
      ...{ address: listener.address, context, connections: this.#connections },
      ...{ listen: deps.listenPort, changed },
    });
    this.#entrance = startEntrance(listener, context, this.#connections);
  }

  apply(table: RouteTable, diff: TableDiff): void {
    for (const upstream of diff.upstreams.set) this.#checkTls(upstream);
    for (const id of diff.upstreams.removed) this.#unusable.delete(id);
    this.#upstreams.apply(diff);
    const lost = this.#index.apply(diff.routes);
    this.#tcp.apply(this.#index.ports);
    for (const { id, service } of lost) {
      this.#traffic.cut(id);
      if (this.#index.hasService(service)) continue;
      this.#lastUsed.delete(service);
      this.#traffic.forget(service);
    }
    for (const route of diff.routes.set) this.#traffic.moved(route);
    this.#applied = table.revision.seq;
    this.#board.changed();
  }

  observe(listener: (status: PlaneStatus) => void): Disposable {
    return this.#board.observe(listener);
  }

  figures(): Promise<PlaneFigures> {
    return Promise.resolve(this.#traffic.figures);
  }

  async drain(deadline: number): Promise<void> {
    this.#tcp[Symbol.dispose]();
    this.#entrance.drain();
    const { promise: late, resolve } = Promise.withResolvers<undefined>();
    const timer = this.#clock.after(Math.max(0, deadline - this.#clock.now()), () => resolve(undefined));
    await Promise.race([this.#quiet(), late]);
    timer[Symbol.dispose]();
    this.#connections[Symbol.dispose]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#tcp[Symbol.dispose]();
    this.#entrance[Symbol.dispose]();
    this.#connections[Symbol.dispose]();
    this.#upstreams[Symbol.dispose]();
    this.#board[Symbol.dispose]();
    await this.#listener[Symbol.asyncDispose]();
    await this.#observation[Symbol.asyncDispose]();
  }

  /** Resolves when nothing is open, and nothing came in the meantime from who had connected before. */
  async #quiet(): Promise<void> {
    do {
      await this.#traffic.idle();
      await this.#lastWords();
    } while (this.#traffic.count > 0);
  }

  /** Answers are on their way to the last visitors; connections on which nobody ever asked are not waited for. */
  async #lastWords(): Promise<void> {
    const { promise: over, resolve } = Promise.withResolvers<undefined>();
    const timer = this.#clock.after(LAST_WORDS_MS, () => resolve(undefined));
    await Promise.race([this.#connections.empty(), over]);
    timer[Symbol.dispose]();
  }

  #status(): PlaneStatus {
    return {
      instances: new Map([[NAME, { applied: this.#applied, connected: true }]]),
      endpoints: this.#upstreams.verdicts,
      lastUsed: this.#lastUsed,
      problems: [...this.#tcp.problems, ...this.#unusable.values(), ...(this.#listener.tls?.problems ?? [])],
    };
  }

  #used(service: string, at: number): void {
    this.#lastUsed.set(service, at);
    this.#board.used();
  }

  /** What a service says of TLS to its tasks can be wrong in ways that only TLS itself finds. */
  #checkTls({ id, protocol, policy }: Upstream): void {
    this.#unusable.delete(id);
    if (policy.upstreamTls === undefined || protocol === "tls") return;
    try {
      upstreamContext(policy.upstreamTls);
    } catch {
      const message =
        "policy.upstreamTls cannot be used: expected certificates in PEM as authority, and a chain with its private key as identity.";
      this.#unusable.set(id, { subject: id, code: "upstream_tls_unusable", message });
    }
  }
}
