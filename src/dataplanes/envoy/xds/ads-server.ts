import grpc from "@grpc/grpc-js";
import type { Problem } from "../../../model/index.ts";
import type { Clock } from "../../../platform/clock.ts";
import type { Logger } from "../../../platform/logger.ts";
import { failCall, type GrpcService, leaveConnection, peerOf } from "../grpc-server.ts";
import { typeUrl } from "../proto/kit.ts";
import type { Proxy } from "../../dataplane.ts";
import { LOCAL_FLEET } from "../names.ts";
import type { ResourceChange } from "../resource.ts";
import { type Admit, type AdsCall, AdsStream } from "./ads-stream.ts";
import { Rejections } from "./rejections.ts";
import { ResourceStore } from "./resource-store.ts";

const MAX_STREAMS = 1024;
/** What a stream does not say, do or take for so long is told; and after so long the stream is ended. */
const STUCK_MS = 30_000;
const DROP_MS = 120_000;
const LOOK_MS = 1000;
/** Longest that anybody waits for Envoys. */
const WAIT_MS = 1000;
/** An Envoy that went away is told of for so long; one that another took the place of (a hot restart), for so long. */
const FORGET_MS = 10 * 60_000;
const FORGET_REPLACED_MS = 1000;

const LEAVING = "the gate stops";

const PATH = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources";
const asIs = (bytes: Buffer): Buffer => bytes;

/** One Envoy, by its node id. */
export interface EnvoyStatus extends Proxy {
  /** `seq` up to which it has taken all changes that concern it; 0: not all there was, yet. What it refused is a problem, and does not count. */
  readonly applied: number;
}

export interface XdsStatus {
  readonly envoys: ReadonlyMap<string, EnvoyStatus>;
  readonly problems: readonly Problem[];
}

/** What went out, of all streams. */
export interface SentCount {
  readonly responses: number;
  readonly bytes: number;
}

export interface AdsServerDeps {
  readonly admit: Admit;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Something of `status` changed. Called often: settle it. */
  readonly changed: () => void;
}

interface Envoy {
  readonly streams: Set<AdsStream>;
  fleet: string;
  version: string;
  address: string | null;
  /** As it was when its last stream ended. */
  applied: number;
  /** Epoch ms. */
  goneAt: number;
}

/** Tells Envoys what they are to have: the delta variant of the aggregated discovery service (ADS). Disposing ends all streams. */
export class AdsServer implements Disposable {
  readonly service: GrpcService;
  readonly #deps: AdsServerDeps;
  readonly #store = new ResourceStore();
  readonly #rejections: Rejections;
  readonly #streams = new Set<AdsStream>();
  readonly #envoys = new Map<string, Envoy>();
  /** Of those who wait for Envoys to take something. */
  readonly #waiting = new Set<() => void>();
  readonly #sent = { responses: 0, bytes: 0 };
  #looking: Disposable | null = null;
  #isLeaving = false;

  constructor(deps: AdsServerDeps) {
    this.#deps = deps;
    this.#rejections = new Rejections(deps.changed);
    const method = {
      requestSerialize: asIs,
      requestDeserialize: asIs,
      responseSerialize: asIs,
      responseDeserialize: asIs,
    };
    this.service = {
      definition: { delta: { path: PATH, requestStream: true, responseStream: true, ...method } },
      implementation: { delta: (call: AdsCall) => this.#open(call) },
    };
  }

  /**
   * Takes a change, which makes the table's revision `seq`, or (`isLast` false) is a part of what does. Never throws: what is wrong with a
   * resource is a problem of its subject.
   */
  apply(change: ResourceChange, seq: number, isLast = true): void {
    const events = this.#store.apply(change, seq, isLast);
    for (const { type, id, fleet } of events) {
      if (type.get(id, fleet) === undefined) this.#rejections.removed(type, id);
    }
    if (events.length > 0) for (const stream of this.#streams) stream.hearOf(events);
    this.#store.sweep(events);
    if (events.length > 0) for (const stream of this.#streams) stream.pump();
    this.#deps.changed();
  }

  /** All that there is has been applied once: from now on Envoys lose what is gone. Before, what is not known yet is not gone. */
  settled(): void {
    this.#store.settled();
    for (const stream of this.#streams) stream.settled();
    this.#deps.changed();
  }

  status(): XdsStatus {
    const envoys = new Map<string, EnvoyStatus>();
    for (const [id, envoy] of this.#envoys) envoys.set(id, this.#statusOf(id, envoy));
    return { envoys, problems: [...this.#rejections.problems(), ...this.#unencodable()] };
  }

  /**
   * Resolves when all Envoys that are connected have taken what there is of a type (`envoy.config.core.v3.TypedExtensionConfig`), but for those
   * that owe an answer for more than a second.
   */
  async taken(type: string): Promise<void> {
    const url = typeUrl({ name: type });
    const { clock } = this.#deps;
    const isTaken = (): boolean => {
      const now = clock.now();
      const isWaitedFor = ({ waitsSince }: AdsStream): boolean => now - (waitsSince ?? now) < WAIT_MS;
      return [...this.#streams].every((stream) => stream.hasTaken(url) || !isWaitedFor(stream));
    };
    if (isTaken()) return;
    const { promise, resolve } = Promise.withResolvers<undefined>();
    const look = (): void => {
      if (isTaken()) resolve(undefined);
    };
    using scope = new DisposableStack();
    scope.use(clock.after(WAIT_MS, () => resolve(undefined)));
    scope.defer(() => this.#waiting.delete(look));
    this.#waiting.add(look);
    await promise;
  }

  /**
   * From now on Envoys elsewhere get nothing here: they go to another gate. Those of this machine stay. Returns whether there are any elsewhere.
   */
  leave(): boolean {
    this.#isLeaving = true;
    const elsewhere = [...this.#streams].filter((stream) => stream.isElsewhere);
    for (const stream of elsewhere) stream.leave(LEAVING);
    return elsewhere.length > 0;
  }

  /** Since the start. */
  get sent(): SentCount {
    return { ...this.#sent };
  }

  [Symbol.dispose](): void {
    for (const stream of this.#streams) stream.end(grpc.status.UNAVAILABLE, LEAVING);
    this.#looking?.[Symbol.dispose]();
  }

  #open(call: AdsCall): void {
    if (this.#streams.size >= MAX_STREAMS) {
      failCall(call, grpc.status.RESOURCE_EXHAUSTED, `there are ${MAX_STREAMS} streams already`);
      return;
    }
    if (this.#isLeaving && peerOf(call).kind !== "unix") {
      failCall(call, grpc.status.UNAVAILABLE, LEAVING);
      leaveConnection(call);
      return;
    }
    const { admit, clock, logger } = this.#deps;
    const stream = new AdsStream({
      call,
      store: this.#store,
      rejections: this.#rejections,
      admit,
      clock,
      logger,
      entered: (entered) => this.#entered(entered),
      changed: () => this.#changed(),
      sent: (bytes) => this.#count(bytes),
      ended: (ended) => this.#ended(ended),
    });
    this.#streams.add(stream);
    this.#lookLater();
  }

  #entered(stream: AdsStream): void {
    if (stream.who === null) return;
    const { node, fleet } = stream.who;
    const { version } = node;
    const { address } = stream;
    const envoy = this.#envoys.get(node.id) ?? { streams: new Set(), fleet, version, address, applied: 0, goneAt: 0 };
    Object.assign(envoy, { fleet, version, address });
    envoy.streams.add(stream);
    this.#envoys.set(node.id, envoy);
    this.#deps.logger.info({ node: node.id, fleet, version, address }, "envoy connected");
  }

  #changed(): void {
    for (const look of this.#waiting) look();
    this.#deps.changed();
  }

  #ended(stream: AdsStream): void {
    this.#streams.delete(stream);
    for (const look of this.#waiting) look();
    const envoy = this.#envoys.get(stream.who?.node.id ?? "");
    if (envoy?.streams.delete(stream) !== true) return;
    envoy.applied = stream.applied;
    envoy.goneAt = this.#deps.clock.now();
    this.#deps.logger.info({ node: stream.who?.node.id, fleet: envoy.fleet }, "envoy disconnected");
    this.#deps.changed();
  }

  #count(bytes: number): void {
    this.#sent.responses += 1;
    this.#sent.bytes += bytes;
  }

  #statusOf(id: string, { streams, fleet, version, address, applied, goneAt }: Envoy): EnvoyStatus {
    const known = { fleet, version, address, streams: streams.size, refused: this.#rejections.countOf(id) };
    if (streams.size === 0) return { ...known, applied, since: null, heardAt: goneAt, stuckSince: null };
    const all = [...streams];
    const now = this.#deps.clock.now();
    const stuck = all.map(({ waitsSince }) => waitsSince ?? now).filter((since) => now - since >= STUCK_MS);
    return {
      ...known,
      applied: Math.min(...all.map((stream) => stream.applied)),
      since: Math.min(...all.map(({ openedAt }) => openedAt)),
      heardAt: Math.max(...all.map(({ heardAt }) => heardAt)),
      stuckSince: stuck.length === 0 ? null : Math.min(...stuck),
    };
  }

  #lookLater(): void {
    this.#looking ??= this.#deps.clock.after(LOOK_MS, () => {
      this.#looking = null;
      this.#look();
      if (this.#streams.size > 0 || this.#envoys.size > 0) this.#lookLater();
    });
  }

  #look(): void {
    const now = this.#deps.clock.now();
    this.#tryAgain(now);
    let isNews = this.#endStuck(now);
    for (const [id, envoy] of this.#envoys) {
      if (envoy.streams.size > 0 || now - envoy.goneAt < this.#forgetAfter(envoy)) continue;
      this.#envoys.delete(id);
      this.#rejections.forget(id);
      isNews = true;
    }
    if (isNews) this.#deps.changed();
  }

  #tryAgain(now: number): void {
    for (const { type, id, nodes } of this.#rejections.due(now)) {
      for (const node of nodes) for (const stream of this.#envoys.get(node)?.streams ?? []) stream.tryAgain(type, id);
    }
  }

  /** Returns whether somebody is stuck only now. */
  #endStuck(now: number): boolean {
    let isNews = false;
    for (const stream of this.#streams) {
      stream.pump(); // what was held back is no more, as time goes on
      const waits = now - (stream.waitsSince ?? now);
      isNews ||= waits >= STUCK_MS && waits < STUCK_MS + 2 * LOOK_MS;
      if (waits < DROP_MS) continue;
      this.#deps.logger.warn({ node: stream.who?.node.id, waitsMs: waits }, "envoy is stuck and given up");
      stream.giveUp(`nothing was heard for ${Math.round(waits / 1000)} s`);
    }
    return isNews;
  }

  #forgetAfter({ fleet }: Envoy): number {
    if (fleet !== LOCAL_FLEET) return FORGET_MS;
    const isReplaced = [...this.#envoys.values()].some((other) => other.fleet === fleet && other.streams.size > 0);
    return isReplaced ? FORGET_REPLACED_MS : FORGET_MS;
  }

  *#unencodable(): Generator<Problem, void> {
    for (const { resource, message } of this.#store.unencodable) {
      const { type, name, subject } = resource;
      yield { subject, code: "envoy_refused", message: `No Envoy can be told of ${type} ${name}: ${message}` };
    }
  }
}
