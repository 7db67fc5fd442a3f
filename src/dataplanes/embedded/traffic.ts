import type { Gatekeeper, Route, Session } from "../../model/index.ts";
import type { Clock } from "../../platform/clock.ts";
import type { PlaneMetrics, TrafficKind } from "../dataplane.ts";

export interface TrafficDeps {
  readonly gatekeeper: Gatekeeper;
  readonly metrics: PlaneMetrics;
  readonly clock: Clock;
  /** Somebody used a service just now. */
  used(service: string, at: number): void;
}

/** One request, stream or connection that somebody was let in with, while it lives. Bytes are added by whoever moves them. */
export interface Flow {
  bytesIn: number;
  bytesOut: number;
  /** It is over. Only the first call counts. */
  close(): void;
}

export interface FlowInput {
  readonly kind: TrafficKind;
  readonly route: Route;
  readonly session: Session | null;
  /** Ends it at once; may be called at any time, also twice. */
  readonly cut: () => void;
}

/** What is open now, by route: told to the gatekeeper and the metrics, and found again when a route goes away. */
export class Traffic {
  readonly #deps: TrafficDeps;
  readonly #byRoute = new Map<string, Set<FlowInput>>();
  #count = 0;
  readonly #idle: (() => void)[] = [];

  constructor(deps: TrafficDeps) {
    this.#deps = deps;
  }

  get count(): number {
    return this.#count;
  }

  open(input: FlowInput): Flow {
    const { gatekeeper, metrics, clock, used } = this.#deps;
    const { kind, route } = input;
    const startedAt = clock.now();
    this.#add(input);
    metrics.opened(kind);
    used(route.service, startedAt);
    const record = gatekeeper.opened(input.session, route, input.cut);
    let open = true;
    const flow: Flow = {
      bytesIn: 0,
      bytesOut: 0,
      close: () => {
        if (!open) return;
        open = false;
        this.#remove(input);
        const now = clock.now();
        used(route.service, now);
        metrics.closed(kind, (now - startedAt) / 1000, flow.bytesIn, flow.bytesOut);
        record.closed(flow.bytesIn, flow.bytesOut);
      },
    };
    return flow;
  }

  /** Ends all that came by this route. */
  cut(routeId: string): void {
    for (const { cut } of [...(this.#byRoute.get(routeId) ?? [])]) cut();
  }

  /** Resolves when nothing is open. */
  idle(): Promise<void> {
    return this.#count === 0 ? Promise.resolve() : new Promise((resolve) => void this.#idle.push(resolve));
  }

  #add(input: FlowInput): void {
    this.#count += 1;
    let flows = this.#byRoute.get(input.route.id);
    if (flows === undefined) this.#byRoute.set(input.route.id, (flows = new Set()));
    flows.add(input);
  }

  #remove(input: FlowInput): void {
    this.#count -= 1;
    const flows = this.#byRoute.get(input.route.id);
    flows?.delete(input);
    if (flows?.size === 0) this.#byRoute.delete(input.route.id);
    if (this.#count === 0) for (const resolve of this.#idle.splice(0)) resolve();
  }
}
