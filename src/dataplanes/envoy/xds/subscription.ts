import { GatewayError } from "../../../model/index.ts";
import { IdSet } from "./id-set.ts";
import { isOfMany } from "./order.ts";
import { type Kind, Outstanding, type Part, type SentResponse } from "./outstanding.ts";
import type { AdsRequest } from "./read-request.ts";
import { type Rejections, triedAgain } from "./rejections.ts";
import type { ResourceStore, ResourceEvent } from "./resource-store.ts";
import type { ResourceType, StoredResource } from "./resource-type.ts";

const WILDCARD = "*";
/** Of one type, for one Envoy. */
const MAX_NAMES = 1_000_000;
const MAX_NAME_LENGTH = 4096;
/** Names in one response. */
const MAX_GONE = 4096;
/** Names that are taken in one part: a few milliseconds of work. */
const PART_NAMES = 2048;
/** What an Envoy has had for so long holds back nothing that could refer to it: it has it, but waits for a job's health. */
const HOLDS_BACK_MS = 2000;

const EMPTY: Part = partOf([]);

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
  #isFirst = true;
  #isWildcard = false;
  /** Asked for all there is, of which there is nothing: an Envoy that starts waits to hear so. */
  #owesEmpty = false;
  /** Asked for by name. */
  readonly #named = new IdSet();
  /** What the Envoy has, as far as it was told. */
  readonly #held = new IdSet();
  /** Of these, what is not there yet, and may come as the Envoy has it: see `ResourceType.expect`. */
  readonly #expected = new IdSet();
  /** Versions that are held, and stay so until all sources were heard: see `isOfMany`. */
  readonly #kept = new Map<number, string>();
  /** To be sent as it is then. */
  readonly #changed = new IdSet();
  /** Held, and not there any more. */
  readonly #gone = new IdSet();
  /** `seq` of the oldest change in them, where they are not empty. */
  readonly #since = { set: 0, gone: 0 };
  /** Asked for by name, and not there: said at once. */
  readonly #absent = new IdSet();
  /** Which of what waits to be sent was refused together with others, and goes in parts now; the last one first. */
  readonly #again: (readonly number[])[] = [];
  readonly #outstanding = new Outstanding();
  #loaded = false;

  constructor(type: ResourceType, deps: SubscriptionDeps) {
    this.type = type;
    this.#deps = deps;
  }

  /** False until the Envoy has taken, once, all there was. */
  get loaded(): boolean {
    return this.#loaded;
  }

  /** `seq` of the oldest change of the kind that the Envoy has not taken; Infinity: none. */
  oldest(kind: Kind): number {
    return Math.min(this.waits(kind), this.#outstanding.oldest(kind));
  }

  /** The same, of those that were not sent yet. */
  waits(kind: Kind): number {
    return (kind === "set" ? this.#changed : this.#gone).size > 0 ? this.#since[kind] : Infinity;
  }

  /** The same, of those that what comes after them in order has to wait for. */
  holdsBack(kind: Kind, now: number): number {
    return Math.min(this.waits(kind), this.#outstanding.oldest(kind, now - HOLDS_BACK_MS));
  }

  /** When the oldest that the Envoy has not answered yet was sent, epoch ms. */
  get waitsSince(): number | null {
    return this.#outstanding.since;
  }

  get canSend(): boolean {
    return !this.#outstanding.isFull;
  }

  /** Takes what the Envoy says, by parts; until all are done, nothing may be sent. Throws `too_large` where it asks for too much. */
  *hear(request: AdsRequest): Generator<void, void> {
    this.#hearVerdict(request);
    yield* this.#hearNames(request);
    this.#owesEmpty ||= this.#isFirst && this.#isWildcard && this.#changed.size === 0 && this.#held.size === 0;
    this.#isFirst = false;
    this.#loaded ||= this.oldest("set") === Infinity;
  }

  /** A resource of the type changed, came or went. */
  changed(event: ResourceEvent): void {
    const { type } = this;
    const { id } = event;
    if (!this.#concerns(event)) return;
    const resource = this.#find(id);
    if (this.#expected.delete(id) && resource !== undefined && type.expects(id, resource.version)) {
      this.#gone.delete(id);
    } else if (resource === undefined) {
      this.#changed.delete(id);
      if (this.#held.has(id)) this.#goes(id);
      else if (this.#named.has(id)) this.#absent.add(id);
    } else this.#comes(id);
  }

  /** All that there is has come. */
  settled(): void {
    for (const [id, had] of this.#kept) {
      const resource = this.#find(id);
      if (resource === undefined) this.#goes(id);
      else if (resource.version !== had) this.#comes(id);
    }
    this.#kept.clear();
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
    for (const id of part.ids) {
      if (part.kind === "gone") this.#drop(id);
      else {
        this.#changed.delete(id);
        this.#hold(id);
      }
    }
    this.#owesEmpty = false;
    this.#outstanding.add(nonce, part, { since: this.#since[part.kind], at: now });
  }

  /** An Envoy that has asked for the name waits to hear of it again. */
  tellAgain(name: string): void {
    const id = this.type.knownId(name);
    if (id !== undefined && this.#wants(id) && this.#find(id) !== undefined) this.#comes(id);
  }

  /** Gives back what is held of the type, once the stream is over. */
  end(): void {
    for (const set of [this.#named, this.#held]) for (const id of set) this.type.release(id);
  }

  /** Not what stands elsewhere in place of what this Envoy gets, nor what it is to keep for now. */
  #concerns({ id, fleet }: ResourceEvent): boolean {
    if (!this.#wants(id) || this.#kept.has(id)) return false;
    return fleet === null ? this.type.get(id, this.#deps.fleet) === undefined : fleet === this.#deps.fleet;
  }

  *#hearNames({ subscribe, unsubscribe, versions: said }: AdsRequest): Generator<void, void> {
    const versions = this.#isFirst ? said : NO_VERSIONS;
    // A first request without names is one for all: that is how it was before there was "*".
    if ((this.#isFirst && subscribe.length === 0) || subscribe.includes(WILDCARD)) yield* this.#subscribeAll(versions);
    yield* byParts(subscribe, (name) => {
      if (name !== WILDCARD) this.#subscribe(name, versions.get(name));
    });
    yield* byParts(unsubscribe, (name) => {
      if (name === WILDCARD) this.#unsubscribeAll();
      else this.#unsubscribe(name);
    });
  }

  #hearVerdict({ nonce, errorDetail }: AdsRequest): void {
    const response = this.#outstanding.answered(nonce);
    // One that it does not want to lose it will not lose by being told again.
    if (response === undefined || response.kind === "gone") return;
    const { rejections, node } = this.#deps;
    if (errorDetail !== undefined) this.#refused(response, errorDetail.message ?? "");
    else for (const id of response.ids) rejections.accepted(this.type, id, node);
  }

  #refused({ ids, versions, since }: SentResponse, message: string): void {
    // What is another by now goes, or went, out again anyway.
    const same = ids.filter((id, at) => this.#wants(id) && this.#find(id)?.version === versions[at]);
    const [first] = same;
    if (first === undefined) return;
    if (ids.length === 1) {
      this.#withhold(first, message);
      return;
    }
    this.#since.set = this.#changed.size > 0 ? Math.min(this.#since.set, since) : since;
    for (const id of same) this.#changed.add(id);
    this.#again.push(...triedAgain(this.type, same, message));
  }

  #withhold(id: number, message: string): void {
    const { rejections, node, fleet } = this.#deps;
    const resource = this.#find(id);
    if (resource === undefined) return;
    this.#changed.delete(id);
    rejections.refused({ type: this.type, id, resource, node, fleet, message });
  }

  *#subscribeAll(versions: ReadonlyMap<string, string>): Generator<void, void> {
    if (this.#isWildcard) return;
    this.#isWildcard = true;
    yield* byParts(versions, ([name, version]) => this.#hadBefore(this.type.idOf(name), version));
    yield* byParts(this.type.idsFor(this.#deps.fleet), (id) => {
      const had = this.#held.has(id) ? versions.get(this.type.nameOf(id)) : undefined;
      const isCurrent = this.#isFirst ? had === this.#find(id)?.version : this.#held.has(id);
      if (!isCurrent) this.#comes(id);
    });
  }

  /** Whoever asks again for a name wants it again. */
  #subscribe(name: string, had: string | undefined): void {
    if (name.length > MAX_NAME_LENGTH || this.#named.size >= MAX_NAMES)
      throw new GatewayError("too_large", `too many names, or too long ones, of ${this.type.shortName} were asked for`);
    const id = this.type.idOf(name);
    if (this.#named.add(id)) this.type.hold(id);
    if (had !== undefined) this.#hadBefore(id, had);
    const resource = this.#find(id);
    if (resource === undefined) {
      if (!this.#gone.has(id)) this.#absent.add(id);
    } else if (had !== undefined && isOfMany(this.type.url) && !this.#deps.store.isSettled) this.#kept.set(id, had);
    else if (had !== resource.version) this.#comes(id);
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
      this.#hold(id);
      if (this.#find(id) === undefined) this.#goes(id);
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
    this.#changed.delete(id);
    this.#drop(id);
  }

  #drop(id: number): void {
    this.#gone.delete(id);
    this.#absent.delete(id);
    this.#kept.delete(id);
    if (this.#held.delete(id)) this.type.release(id);
  }

  /** What an Envoy brings from an earlier stream. */
  #hadBefore(id: number, version: string): void {
    this.#hold(id);
    if (this.#find(id) !== undefined) return;
    this.#goes(id);
    if (this.type.expect(id, version)) this.#expected.add(id);
  }

  #hold(id: number): void {
    if (this.#held.add(id)) this.type.hold(id);
  }

  #comes(id: number): void {
    if (this.#changed.size === 0) this.#since.set = this.#deps.store.seq;
    this.#changed.add(id);
    this.#gone.delete(id);
    this.#absent.delete(id);
  }

  #goes(id: number): void {
    if (this.#gone.size === 0) this.#since.gone = this.#deps.store.seq;
    this.#gone.add(id);
  }

  #wants(id: number): boolean {
    return this.#isWildcard || this.#named.has(id);
  }

  #find(id: number): StoredResource | undefined {
    return this.type.find(id, this.#deps.fleet);
  }

  /** Of these what waits. What another Envoy refused goes alone, so that the others do not wait for it to be found again. */
  #collect(from: Iterable<number>, maxBytes: number): Part | null {
    const found: Found[] = [];
    let bytes = 0;
    let suspect: Found | null = null;
    for (const id of from) {
      const resource = this.#changed.has(id) ? this.#find(id) : undefined;
      if (resource === undefined) continue;
      if (this.#deps.rejections.has(this.type, id, resource.version)) {
        suspect ??= { id, resource };
        continue;
      }
      bytes += resource.entry.length;
      if (bytes > maxBytes && found.length > 0) break;
      found.push({ id, resource });
    }
    if (found.length > 0) return partOf(found);
    return suspect === null ? null : partOf([suspect]);
  }
}

const NO_VERSIONS: ReadonlyMap<string, string> = new Map();

/** Takes all of them, and rests now and then. */
function* byParts<T>(all: Iterable<T>, take: (one: T) => void): Generator<void, void> {
  let count = 0;
  for (const one of all) {
    take(one);
    if ((count += 1) % PART_NAMES === 0) yield;
  }
}

interface Found {
  readonly id: number;
  readonly resource: StoredResource;
}

function partOf(found: readonly Found[]): Part {
  return {
    kind: "set",
    ids: found.map(({ id }) => id),
    entries: found.map(({ resource }) => resource.entry),
    versions: found.map(({ resource }) => resource.version),
    bytes: found.reduce((sum, { resource }) => sum + resource.entry.length, 0),
  };
}

function collectGone(from: IdSet): Part | null {
  const ids: number[] = [];
  for (const id of from) if (ids.push(id) === MAX_GONE) break;
  return ids.length === 0 ? null : { kind: "gone", ids };
}
