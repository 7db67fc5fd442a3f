import {
  type CutReason,
  isGateService,
  type Gatekeeper,
  type RequestHead,
  type Route,
  type Session,
  type TrafficKind,
  type Use,
} from "../../model/index.ts";
import type { Clock } from "../../platform/clock.ts";
import { add, addTime, DIAL_SLOTS, SLOT, type Block, type PlaneFigures, type Source } from "../figures.ts";
import { Counters } from "../counters.ts";
import type { FlowSpan } from "../tracer.ts";
import type { DialFailure } from "./dial.ts";

export interface TrafficDeps {
  readonly gatekeeper: Gatekeeper;
  readonly observer: Observer;
  readonly clock: Clock;
  /** Somebody used a service just now. */
  used(service: string, at: number): void;
}

/** Who is told of each flow: access log, traces. Called on the hot path. */
export interface Observer {
  /** Fields of the request that the job gets: name, value, name, value. */
  upstreamFields(flow: Flow): readonly string[];
  requestId(flow: Flow): string;
  /** It is over. */
  closed(flow: Flow): void;
  readonly dropped: PlaneFigures["dropped"];
}

/** What is known of a request when its head was read. */
export interface Asked {
  readonly version: "1.0" | "1.1" | "2";
  readonly head: RequestHead;
  /** The visitor left before the exchange was whole. */
  readonly left: boolean;
}

/** What a flow tells of where it was sent. */
export interface Tried {
  /** Its address. */
  readonly key: string;
}

interface Open {
  readonly route: Route;
  readonly block: Block;
  readonly record: ReturnType<Gatekeeper["opened"]>;
  readonly cut: () => void;
}

/**
 * One request, stream or connection, from its first moment to its last: begun → (let in → tried at endpoints) → answered or refused →
 * closed. Bytes are added by whoever moves them.
 */
export class Flow implements Use {
  bytesIn = 0;
  bytesOut = 0;
  largestIn = 0;
  cutFor: CutReason | null = null;
  /** Of the answer; 0: there was none. */
  status = 0;
  source: Source = "app";
  /** Why the gate answered itself. */
  code: string | null = null;
  route: Route | null = null;
  /** What was asked for, let in or not. */
  wanted: Route | null = null;
  session: Session | null = null;
  /** The last endpoint tried. */
  tried: Tried | null = null;
  tries = 0;
  /** Of `performance.now()`, as all its times. */
  readonly startedAt = performance.now();
  /** The head of the job's answer; 0: none came. */
  firstByteAt = 0;
  closedAt = 0;
  readonly kind: TrafficKind;
  /** null: what came speaks no HTTP. */
  readonly asked: Asked | null;
  readonly peer: string;
  /** The observer's own: its part of a trace. */
  span: FlowSpan | null = null;
  /** The traffic's own: what is known of it since it was let in. */
  open: Open | null = null;
  readonly #traffic: Traffic;
  #fields: readonly string[] | null = null;
  #requestId: string | null = null;

  /** By `Traffic.begin` alone. */
  constructor(traffic: Traffic, kind: TrafficKind, from: Asked | string) {
    this.#traffic = traffic;
    this.kind = kind;
    this.asked = typeof from === "string" ? null : from;
    this.peer = typeof from === "string" ? from : from.head.peer;
  }

  get head(): RequestHead | null {
    return this.asked === null ? null : this.asked.head;
  }

  /** It ended before its answer was whole. */
  get aborted(): boolean {
    return this.asked?.left === true;
  }

  /** Names it in logs, on pages and to the job. */
  get requestId(): string {
    return (this.#requestId ??= this.#traffic.observer.requestId(this));
  }

  /** What the job gets besides: request id and trace context. The visitor's own are never passed on. The same on every try. */
  get upstreamFields(): readonly string[] {
    return (this.#fields ??= this.#traffic.observer.upstreamFields(this));
  }

  /**
   * Somebody was let in. From now on it counts as open. `cut` ends it at once, when its route goes away or the session is revoked; it may
   * be called at any time, also twice.
   */
  enter(route: Route, session: Session | null, cut: () => void): void {
    this.route = route;
    this.session = session;
    this.open = this.#traffic.enter(this, route, cut);
  }

  /** Before each try at an endpoint. */
  attempt(tried: Tried): void {
    this.tried = tried;
    this.tries += 1;
    if (this.tries > 1) this.#traffic.retried(this);
  }

  /** The head of the job's answer is on its way. */
  answered(status: number): void {
    this.firstByteAt = performance.now();
    this.status = status;
    if (this.route !== null && isGateService(this.route.service)) this.source = "gate";
    this.#traffic.answered(this);
  }

  /** The gate answers itself. `code`: see docs/errors.md; null: nothing is wrong (a redirect). `status` 0: nothing could be said. */
  refused(status: number, code: string | null): void {
    this.status = status;
    this.source = "gate";
    this.code = code;
    this.#traffic.answered(this);
  }

  /** It is over. Only the first call counts. */
  close(): void {
    if (this.closedAt !== 0) return;
    this.closedAt = performance.now();
    this.#traffic.close(this);
  }
}

/** What is open now, by route: told to the gatekeeper and counted, and found again when a route goes away. */
export class Traffic {
  readonly observer: Observer;
  readonly #deps: TrafficDeps;
  readonly #counters = new Counters();
  readonly #byRoute = new Map<string, Set<Flow>>();
  #count = 0;
  readonly #idle: (() => void)[] = [];

  constructor(deps: TrafficDeps) {
    this.#deps = deps;
    this.observer = deps.observer;
  }

  get count(): number {
    return this.#count;
  }

  get figures(): PlaneFigures {
    return this.#counters.figures(this.observer.dropped);
  }

  /** The first moment of every request. Whoever begins one closes it. */
  begin(kind: TrafficKind, asked: Asked): Flow {
    return new Flow(this, kind, asked);
  }

  /** The first moment of a connection that speaks no HTTP. `peer`: IP address of who connected. */
  beginRaw(kind: TrafficKind, peer: string): Flow {
    return new Flow(this, kind, peer);
  }

  /** What came was no request that anybody could be asked about, and was refused with this answer. */
  rejected(kind: TrafficKind, answer: { readonly status: number; readonly code: string; readonly peer: string }): void {
    const flow = this.beginRaw(kind, answer.peer);
    flow.refused(answer.status, answer.code);
    flow.close();
  }

  /** A connection to an endpoint of this service was tried. */
  dialled(service: string, seconds: number, failure: DialFailure | null): void {
    addDial(this.#counters.upstreams, seconds, failure);
    addDial(this.#counters.service(service), seconds, failure);
  }

  /** Something was refused because this bound was reached. */
  limited(bound: string): void {
    this.#counters.limited(bound);
  }

  /** Ends all that came by this route. */
  cut(routeId: string): void {
    for (const flow of [...(this.#byRoute.get(routeId) ?? [])]) {
      flow.cutFor ??= "route_gone";
      flow.open?.cut();
    }
  }

  /** A route's content changed, but not where it leads: whoever came by it is judged again. */
  moved(route: Route): void {
    for (const { open } of [...(this.#byRoute.get(route.id) ?? [])]) open?.record.moved(route);
  }

  /** The service left the table. */
  forget(service: string): void {
    this.#counters.forget(service);
  }

  /** Resolves when nothing is open. */
  idle(): Promise<void> {
    return this.#count === 0 ? Promise.resolve() : new Promise((resolve) => void this.#idle.push(resolve));
  }

  /** By `Flow` alone, as all that follow. */
  enter(flow: Flow, route: Route, cut: () => void): Open {
    const { gatekeeper, clock, used } = this.#deps;
    const block = this.#counters.service(route.service);
    this.#count += 1;
    add(block, SLOT.open, 1);
    add(this.#counters.kind(flow.kind), SLOT.open, 1);
    let flows = this.#byRoute.get(route.id);
    if (flows === undefined) this.#byRoute.set(route.id, (flows = new Set()));
    flows.add(flow);
    used(route.service, clock.now());
    return { route, block, cut, record: gatekeeper.opened(flow, route, cut) };
  }

  retried({ kind, open }: Flow): void {
    add(this.#counters.kind(kind), SLOT.retries, 1);
    if (open !== null) add(open.block, SLOT.retries, 1);
  }

  answered(flow: Flow): void {
    this.#counters.answered(flow, flow.open?.block ?? null);
    if (flow.firstByteAt === 0) return;
    addTime(this.#counters.kind(flow.kind), SLOT.firstByte, (flow.firstByteAt - flow.startedAt) / 1000);
  }

  close(flow: Flow): void {
    if (flow.open !== null) this.#leave(flow, flow.open);
    else if (flow.source === "gate" && flow.code !== null) this.#deps.gatekeeper.refused(flow, flow.wanted);
    this.observer.closed(flow);
  }

  #leave(flow: Flow, { block, record, route: { id, service } }: Open): void {
    const { kind } = flow;
    const flows = this.#byRoute.get(id);
    flows?.delete(flow);
    if (flows?.size === 0) this.#byRoute.delete(id);
    this.#count -= 1;
    const seconds = (flow.closedAt - flow.startedAt) / 1000;
    const sums = this.#counters.kind(kind);
    addEnd(sums, flow);
    addEnd(block, flow);
    addTime(sums, SLOT.duration, seconds);
    if (kind === "http" || kind === "grpc") addTime(block, SLOT.duration, seconds);
    this.#deps.used(service, this.#deps.clock.now());
    record.closed();
    if (this.#count === 0) for (const resolve of this.#idle.splice(0)) resolve();
  }
}

function addDial(block: Block, seconds: number, failure: DialFailure | null): void {
  if (failure === null) addTime(block, SLOT.connect, seconds);
  else add(block, DIAL_SLOTS[failure], 1);
}

function addEnd(block: Block, flow: Flow): void {
  add(block, SLOT.open, -1);
  add(block, SLOT.bytesIn, flow.bytesIn);
  add(block, SLOT.bytesOut, flow.bytesOut);
  if (flow.aborted) add(block, SLOT.aborted, 1);
}
