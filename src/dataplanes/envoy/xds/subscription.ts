import { GatewayError } from "../../../model/index.ts";
import type { DeltaDiscoveryRequest } from "../proto/tables/discovery.ts";
import { IdSet } from "./id-set.ts";
import { Lane } from "./lane.ts";
import type { Rejections } from "./rejections.ts";
import type { ResourceStore, ResourceEvent } from "./resource-store.ts";
import type { ResourceType, StoredResource } from "./resource-type.ts";

const WILDCARD = "*";
/** Of one type, for one Envoy. */
const MAX_NAMES = 1_000_000;
const MAX_NAME_LENGTH = 4096;
/** Names in one response. */
const MAX_GONE = 4096;

/** Resources that are there, or names of such that are not: a response has one or the other. */
export type Part =
  | {
      readonly kind: "set";
      readonly ids: readonly number[];
      readonly entries: readonly Buffer[];
      readonly versions: readonly string[];
    }
  | { readonly kind: "gone"; readonly ids: readonly number[] };

const EMPTY: Part = Object.freeze({ kind: "set", ids: [], entries: [], versions: [] });

/** A response that is on its way, or was neither taken nor refused yet. */
interface Outstanding {
  readonly nonce: string;
  readonly kind: Part["kind"];
  readonly ids: readonly number[];
  readonly versions: readonly string[];
  /** Nothing that came before it waits. */
  readonly isLast: boolean;
  /** Epoch ms. */
  readonly at: number;
}

export interface SubscriptionDeps {
  readonly store: ResourceStore;
  readonly rejections: Rejections;
  readonly fleet: string;
  /** Node id. */
  readonly node: string;
}

/**
 * What one stream of one Envoy has, wants and is to be told of one type: delta xDS without the wire. Content is looked up when it is sent, so
 * what waits is numbers, however much changes meanwhile.
 *
 * A response that the Envoy refuses (NACK) is sent again in parts, until the bad resource is alone. That one is withheld until its content
 * changes: the Envoy goes on with what it had.
 */
export class Subscription {
  readonly type: ResourceType;
  readonly #deps: SubscriptionDeps;
  /** What comes, and what goes. */
  readonly #coming = new Lane();
  readonly #going = new Lane();
  #isFirst = true;
  #isWildcard = false;
  /** Asked for all there is, of which there is nothing: an Envoy that starts waits to hear so. */
  #owesEmpty = false;
  /** Asked for by name. */
  readonly #named = new IdSet();
  /** What the Envoy has, as far as it was told. */
  readonly #held = new IdSet();
  /** To be sent as it is then. */
  readonly #changed = new IdSet();
  /** Held, and not there any more. */
  readonly #gone = new IdSet();
  /** Asked for by name, and not there: said at once. */
  readonly #absent = new IdSet();
  /** Which of what waits to be sent was refused together with others, and goes in parts now; the last one first. */
  readonly #again: (readonly number[])[] = [];
  #outstanding: Outstanding | null = null;
  #loaded = false;

  constructor(type: ResourceType, deps: SubscriptionDeps) {
    this.type = type;
    this.#deps = deps;
  }

  /** False until the Envoy has taken, once, all there was. */
  get loaded(): boolean {
    return this.#loaded;
  }

  /** `seq` of the oldest change that the Envoy has not taken; Infinity: none. */
  get oldestComing(): number {
    const waits = this.#changed.size > 0 || this.#outstanding?.kind === "set";
    return waits ? this.#coming.first : Infinity;
  }

  get oldestGoing(): number {
    return this.#gone.size > 0 || this.#outstanding?.kind === "gone" ? this.#going.first : Infinity;
  }

  /** When what the Envoy has not answered yet was sent, epoch ms. */
  get waitsSince(): number | null {
    return this.#outstanding?.at ?? null;
  }

  get canSend(): boolean {
    return this.#outstanding === null;
  }

  get hasComing(): boolean {
    return this.#changed.size > 0;
  }

  get hasGoing(): boolean {
    return this.#gone.size > 0;
  }

  /** Takes what the Envoy says. Throws `too_large` where it asks for too much. */
  hear(request: DeltaDiscoveryRequest): void {
    this.#hearVerdict(request);
    this.#hearNames(request);
    this.#owesEmpty ||= this.#isFirst && this.#isWildcard && this.#changed.size === 0 && this.#held.size === 0;
    this.#isFirst = false;
    this.#noteLoad();
  }

  /** A resource of the type changed, came or went. */
  changed({ id, fleet }: ResourceEvent): void {
    const { type } = this;
    if (!this.#wants(id) || (fleet !== null && fleet !== this.#deps.fleet)) return;
    if (fleet === null && type.get(id, this.#deps.fleet) !== undefined) return;
    if (this.#find(id) === undefined) {
      this.#changed.delete(id);
      if (this.#held.has(id)) this.#goes(id);
      else if (this.#named.has(id)) this.#absent.add(id);
    } else this.#comes(id);
  }

  /** Resources to send, of up to so many bytes, or one that is larger; null: there are none. */
  nextComing(maxBytes: number): Part | null {
    for (let group = this.#again.pop(); group !== undefined; group = this.#again.pop()) {
      const part = this.#collect(group, maxBytes);
      if (part !== null) return part;
    }
    return this.#collect(this.#changed, maxBytes);
  }

  nextGoing(): Part | null {
    return collectGone(this.#gone);
  }

  /** Names that are not there, or that there is nothing at all: what can only be said once it is known. */
  nextAbsent(): Part | null {
    return this.#owesEmpty ? EMPTY : collectGone(this.#absent);
  }

  /** A part is on its way under this nonce, now (epoch ms). */
  sent(part: Part, nonce: string, now: number): void {
    const { kind, ids } = part;
    const versions = kind === "set" ? part.versions : [];
    const waiting = kind === "set" ? this.#changed : this.#gone;
    for (const id of ids) {
      waiting.delete(id);
      if (kind === "set") this.#hold(id);
      else this.#absent.delete(id);
    }
    this.#owesEmpty = false;
    const isLast = waiting.size === 0;
    if (isLast) this.#laneOf(kind).sentAll();
    this.#outstanding = { nonce, kind, ids, versions, isLast, at: now };
  }

  /** Gives back what is held of the type, once the stream is over. */
  end(): void {
    for (const set of [this.#named, this.#held]) for (const id of set) this.type.release(id);
  }

  #hearNames(request: DeltaDiscoveryRequest): void {
    const versions = new Map(this.#isFirst ? Object.entries(request.initialResourceVersions ?? {}) : []);
    const { resourceNamesSubscribe: names = [], resourceNamesUnsubscribe: unwanted = [] } = request;
    // A first request without names is one for all: that is how it was before there was "*".
    if ((this.#isFirst && names.length === 0) || names.includes(WILDCARD)) this.#subscribeAll(versions);
    for (const name of names) if (name !== WILDCARD) this.#subscribe(name, versions.get(name));
    for (const name of unwanted) {
      if (name === WILDCARD) this.#unsubscribeAll();
      else this.#unsubscribe(name);
    }
  }

  /** Only the last response can be spoken of: there is never more than one. */
  #hearVerdict({ responseNonce = "", errorDetail }: DeltaDiscoveryRequest): void {
    const outstanding = this.#outstanding;
    if (outstanding?.nonce !== responseNonce) return;
    if (errorDetail === undefined) this.#accepted(outstanding);
    else this.#refused(outstanding, errorDetail.message ?? "");
  }

  #accepted({ kind, ids }: Outstanding): void {
    const { rejections, node } = this.#deps;
    for (const id of ids) {
      if (kind === "set") rejections.accepted(this.type, id, node);
      else if (this.#held.delete(id)) this.type.release(id);
    }
    this.#settle();
  }

  #refused(outstanding: Outstanding, message: string): void {
    const { kind, ids, versions } = outstanding;
    const [id = 0, ...others] = ids;
    if (kind === "gone") {
      this.#accepted(outstanding);
    } else if (others.length === 0) {
      this.#withhold(id, versions[0] ?? "", message);
      this.#settle();
    } else {
      const wanted = ids.filter((each) => this.#wants(each) && this.#find(each) !== undefined);
      for (const each of wanted) this.#changed.add(each);
      this.#again.push(...this.#split(wanted, message));
      if (wanted.length === 0) this.#settle();
      this.#outstanding = null;
    }
  }

  #withhold(id: number, version: string, message: string): void {
    const { rejections, node, fleet } = this.#deps;
    const resource = this.#find(id);
    if (resource?.version !== version) return; // it changed meanwhile, and goes out again
    this.#changed.delete(id);
    rejections.refused({ type: this.type, id, resource, node, fleet, message });
  }

  /** Names that the Envoy gives as its reasons are alone then, the rest together, which goes out first; else halves. */
  #split(ids: readonly number[], message: string): number[][] {
    const named = ids.filter((id) => message.includes(this.type.nameOf(id)));
    if (named.length > 0 && named.length < ids.length) {
      const blamed = new Set(named);
      return [...named.map((id) => [id]), ids.filter((id) => !blamed.has(id))];
    }
    const middle = Math.ceil(ids.length / 2);
    return [ids.slice(middle), ids.slice(0, middle)].filter((half) => half.length > 0);
  }

  /** What was outstanding is done with, one way or the other. */
  #settle(): void {
    if (this.#outstanding?.isLast === true) this.#laneOf(this.#outstanding.kind).taken();
    this.#outstanding = null;
  }

  #noteLoad(): void {
    this.#loaded ||= this.#changed.size === 0 && this.#outstanding?.kind !== "set";
  }

  #subscribeAll(versions: ReadonlyMap<string, string>): void {
    if (this.#isWildcard) return;
    this.#isWildcard = true;
    for (const name of versions.keys()) this.#hadBefore(this.type.idOf(name));
    for (const id of this.type.idsFor(this.#deps.fleet)) {
      const had = this.#held.has(id) ? versions.get(this.type.nameOf(id)) : undefined;
      const isCurrent = this.#isFirst ? had === this.#find(id)?.version : this.#held.has(id);
      if (!isCurrent) this.#comes(id);
    }
  }

  /** Whoever asks again for a name wants it again. */
  #subscribe(name: string, had: string | undefined): void {
    if (name.length > MAX_NAME_LENGTH || this.#named.size >= MAX_NAMES)
      throw new GatewayError("too_large", `too many names, or too long ones, of ${this.type.shortName} were asked for`);
    const id = this.type.idOf(name);
    if (this.#named.add(id)) this.type.hold(id);
    if (had !== undefined) this.#hadBefore(id);
    const resource = this.#find(id);
    if (resource === undefined) {
      if (!this.#gone.has(id)) this.#absent.add(id);
    } else if (had !== resource.version) this.#comes(id);
  }

  #unsubscribe(name: string): void {
    const id = this.type.idOf(name);
    if (!this.#named.delete(id)) {
      this.type.sweep(id);
      return;
    }
    // It may be one of all that there are: the Envoy is told which.
    if (this.#isWildcard) {
      this.#absent.delete(id);
      if (this.#find(id) === undefined) this.#hadBefore(id);
      else this.#comes(id);
    } else this.#forget(id);
    this.type.release(id);
  }

  #unsubscribeAll(): void {
    this.#isWildcard = false;
    for (const set of [this.#changed, this.#gone, this.#held]) {
      for (const id of set) if (!this.#named.has(id)) this.#forget(id);
    }
  }

  #forget(id: number): void {
    for (const set of [this.#changed, this.#gone, this.#absent]) set.delete(id);
    if (this.#held.delete(id)) this.type.release(id);
  }

  /** What an Envoy brings from an earlier stream. */
  #hadBefore(id: number): void {
    this.#hold(id);
    if (this.#find(id) === undefined) this.#goes(id);
  }

  #hold(id: number): void {
    if (this.#held.add(id)) this.type.hold(id);
  }

  #comes(id: number): void {
    this.#coming.came(this.#deps.store.seq, this.oldestComing === Infinity);
    this.#changed.add(id);
    this.#gone.delete(id);
    this.#absent.delete(id);
  }

  #goes(id: number): void {
    this.#going.came(this.#deps.store.seq, this.oldestGoing === Infinity);
    this.#gone.add(id);
  }

  #laneOf(kind: Part["kind"]): Lane {
    return kind === "set" ? this.#coming : this.#going;
  }

  #wants(id: number): boolean {
    return this.#isWildcard || this.#named.has(id);
  }

  #find(id: number): StoredResource | undefined {
    return this.type.find(id, this.#deps.fleet);
  }

  /** Of these what waits. What another Envoy refused goes alone, so that the others do not wait for it to be found again. */
  #collect(from: Iterable<number>, maxBytes: number): Part | null {
    const ids: number[] = [];
    const entries: Buffer[] = [];
    const versions: string[] = [];
    let bytes = 0;
    let suspect: number | null = null;
    for (const id of from) {
      const resource = this.#changed.has(id) ? this.#find(id) : undefined;
      if (resource === undefined) continue;
      if (this.#deps.rejections.has(this.type, id, resource.version)) {
        suspect ??= id;
        continue;
      }
      bytes += resource.entry.length;
      if (bytes > maxBytes && ids.length > 0) break;
      ids.push(id);
      entries.push(resource.entry);
      versions.push(resource.version);
    }
    if (ids.length > 0) return { kind: "set", ids, entries, versions };
    const alone = suspect === null ? undefined : this.#find(suspect);
    if (suspect === null || alone === undefined) return null;
    return { kind: "set", ids: [suspect], entries: [alone.entry], versions: [alone.version] };
  }
}

function collectGone(from: IdSet): Part | null {
  const ids: number[] = [];
  for (const id of from) if (ids.push(id) === MAX_GONE) break;
  return ids.length === 0 ? null : { kind: "gone", ids };
}
