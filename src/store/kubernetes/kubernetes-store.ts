import { randomUUID } from "node:crypto";
import { GatewayError, isCode } from "../../model/index.ts";
import type { Clock } from "../../platform/clock.ts";
import type { KubernetesBounds } from "../../platform/kubernetes/bounds.ts";
import type { KubernetesClient } from "../../platform/kubernetes/client.ts";
import type { OwnerReference } from "../../platform/kubernetes/objects.ts";
import { Mirror } from "../../platform/kubernetes/mirror.ts";
import type { Logger } from "../../platform/logger.ts";
import { compareVersion, toVersioned } from "../entry.ts";
import { checkKey, checkKind, encodeEntry } from "../entry-limits.ts";
import type { Fence, FenceOptions, PutOptions, Store, Versioned } from "../store.ts";
import { type Changed, createWatchers, type Watchers } from "../watchers.ts";
import { EntryBook } from "./entry-book.ts";
import { EntryCluster } from "./entry-cluster.ts";
import {
  type Draft,
  type KeptEntry,
  readSecret,
  type Secret,
  secretName,
  SECRETS,
  type StorePlaceName,
  storeSelector,
} from "./entry-secret.ts";
import { type FirstList, waitForList } from "./first-list.ts";
import { Sweeper } from "./sweeper.ts";

/** Bounds of a client for this: who waits for the store waits at somebody's request. */
export const STORE_BOUNDS: Partial<KubernetesBounds> = Object.freeze({ callMs: 10_000, tries: 3, mostPauseMs: 2000 });

/** Longest time of a read until what is known is told instead. */
const READ_MS = 3000;
/** Longest time of a write, all tries together. */
const WRITE_MS = 15_000;
/** Times that a write begins anew because the entry came or went meanwhile. */
const WRITE_TRIES = 5;
/** All is kept in memory: beyond this nothing new is taken in. */
const MOST_ENTRIES = 200_000;
const MOST_CHARACTERS = 256 * 1024 * 1024;
/** Kind of what the store notes for itself; no other kind is empty. */
const NOTES = "";
const FORGOTTEN = "forgotten";

export interface KubernetesStoreDeps {
  /** With `STORE_BOUNDS`. Disposed after the store. */
  readonly client: KubernetesClient;
  readonly namespace: string;
  /** A DNS label: gates that say the same share the store. */
  readonly name: string;
  /** What Secrets belong to from when they are written. */
  readonly owner?: OwnerReference | undefined;
  /** By which entries end. */
  readonly clock: Clock;
  /** By which the API server is waited for. */
  readonly networkClock: Clock;
  readonly logger: Logger;
}

/**
 * Opens a store whose entries are Secrets of a namespace, each one Secret; all are known here and followed. Throws `unavailable` where they
 * cannot be listed within half a minute, with the reason as `cause`. While the API server is away, reads tell what is known, of what is
 * not known `unavailable`; writes fail so. Disposing waits for what is under way.
 */
export async function startKubernetesStore(deps: KubernetesStoreDeps): Promise<Store> {
  const store = new KubernetesStore(deps);
  try {
    await store.listed();
    return store;
  } catch (error) {
    await store[Symbol.asyncDispose]();
    throw error;
  }
}

class KubernetesStore implements Store {
  readonly #deps: KubernetesStoreDeps;
  readonly #place: StorePlaceName;
  readonly #cluster: EntryCluster;
  readonly #watchers: Watchers;
  readonly #book: EntryBook;
  readonly #mirror: Mirror<Secret, KeptEntry>;
  readonly #sweeper: Sweeper;
  readonly #firstList: FirstList;
  readonly #underWay = new Set<Promise<unknown>>();
  /** The watch is broken, and nothing is known of what others write. */
  #isAway = false;
  #closed = false;

  constructor(deps: KubernetesStoreDeps) {
    const { client, namespace, name, owner, clock, networkClock, logger } = deps;
    this.#deps = deps;
    this.#place = { namespace, store: name, owner };
    this.#cluster = new EntryCluster(client, this.#place);
    this.#watchers = createWatchers(logger);
    this.#book = new EntryBook({ clock, changed: (entries) => this.#watchers.publish(entries) });
    this.#firstList = waitForList(networkClock);
    this.#mirror = new Mirror<Secret, KeptEntry>({
      client,
      resource: SECRETS,
      scope: { namespace, labelSelector: storeSelector(this.#place) },
      keep: (secret) => readSecret(this.#place, secret),
      changed: (keys) => this.#mirrored(keys),
      lost: (_since, error) => this.#lost(error),
      found: () => this.#found(),
      clock: networkClock,
      logger,
    });
    this.#sweeper = new Sweeper({
      book: this.#book,
      erase: (entry) => this.#erase(entry),
      forget: (version) => this.#forget(version),
      clock,
      logger,
    });
  }

  listed(): Promise<void> {
    return this.#firstList.listed;
  }

  async get<T>(kind: string, key: string): Promise<Versioned<T> | null> {
    this.#assertOpen();
    checkKind(kind);
    checkKey(key);
    const name = secretName(this.#place, kind, key);
    const entry = this.#ifLive(await this.#track(this.#read(name)));
    return entry === null ? null : (toVersioned(entry) as Versioned<T> | null);
  }

  async list<T>(kind: string): Promise<ReadonlyMap<string, Versioned<T>>> {
    this.#assertOpen();
    checkKind(kind);
    const entries = this.#book.list(kind);
    return Promise.resolve(new Map(entries.map((entry) => [entry.key, toVersioned(entry) as Versioned<T>])));
  }

  async put<T>(kind: string, key: string, value: T, options: PutOptions): Promise<string> {
    this.#assertOpen();
    const { version, expiresAt = null, fence } = options;
    const text = encodeEntry(kind, key, { value, expiresAt });
    this.#assertRoom(version, text);
    const draft = this.#draft(kind, key, { value: text, expiresAt });
    const written = await this.#track(this.#write(draft, version, fence));
    return String(written.version);
  }

  async remove(kind: string, key: string, version: string, { fence }: FenceOptions = {}): Promise<void> {
    this.#assertOpen();
    checkKind(kind);
    checkKey(key);
    await this.#track(this.#write(this.#draft(kind, key, { value: null, expiresAt: null }), version, fence));
  }

  watch<T>(kind: string, from: string | null, changed: (key: string, entry: Versioned<T> | null) => void): Disposable {
    this.#assertOpen();
    checkKind(kind);
    return this.#watchers.add(kind, this.#replay(kind, from), changed as Changed);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#watchers.clear();
    this.#firstList[Symbol.dispose]();
    await Promise.allSettled(this.#underWay);
    await this.#sweeper[Symbol.asyncDispose]();
    await this.#mirror[Symbol.asyncDispose]();
    this.#book[Symbol.dispose]();
  }

  #replay(kind: string, from: string | null) {
    if (from === null) return this.#book.since(kind, 0).filter((entry) => entry.value !== null);
    const version = /^\d{1,15}$/.test(from) ? Number(from) : Infinity;
    const forgotten = this.#forgotten();
    if (version > Math.max(this.#book.latest, forgotten)) {
      throw new GatewayError("bad_request", "that is not a version of this store");
    }
    if (version < forgotten) {
      throw new GatewayError("conflict", "what was removed after that version is forgotten: watch from the start");
    }
    return this.#book.since(kind, version);
  }

  #draft(kind: string, key: string, { value, expiresAt }: Pick<Draft, "value" | "expiresAt">): Draft {
    const name = secretName(this.#place, kind, key);
    return { name, kind, key, value, expiresAt, isRemoved: value === null, write: randomUUID() };
  }

  async #read(name: string): Promise<KeptEntry | null> {
    if (!this.#isAway) {
      try {
        return await this.#ask(name, READ_MS);
      } catch (error) {
        if (!isCode(error, "unavailable")) throw error;
      }
    }
    const known = this.#book.find(name);
    // Others may have made it meanwhile: that it is not there is more than anybody knows.
    if (known === null) throw new GatewayError("unavailable", "the store cannot be read");
    return known;
  }

  /** As the API server has it now. */
  async #ask(name: string, withinMs: number): Promise<KeptEntry | null> {
    const before = this.#book.find(name);
    const entry = await this.#cluster.get(name, AbortSignal.timeout(withinMs));
    if (entry !== null) this.#book.learn(entry);
    else if (before !== null) this.#book.forget(before);
    return entry;
  }

  async #write(draft: Draft, version: string | null, fence?: Fence): Promise<KeptEntry> {
    const signal = AbortSignal.timeout(WRITE_MS);
    let there = await this.#presumed(draft.name, version);
    for (let time = 1; time <= WRITE_TRIES; time += 1) {
      compareVersion(this.#ifLive(there), version);
      // After what is replaced was read: who was elected since has not written it, or the version is another one.
      if (fence !== undefined) await this.#cluster.checkFence(fence, signal);
      there = (await this.#cluster.write(draft, there, signal)) ?? (await this.#ask(draft.name, WRITE_MS));
      if (there?.write !== draft.write) continue;
      this.#book.learn(there);
      return there;
    }
    throw new GatewayError("unavailable", "the entry came and went all the time");
  }

  /** What a write begins with; where it is wrong, the server says so. */
  async #presumed(name: string, version: string | null): Promise<KeptEntry | null> {
    const known = this.#book.find(name);
    // What is there by our knowledge may be gone.
    if (version === null) return this.#ifLive(known) === null ? known : null;
    return String(known?.version) === version ? known : await this.#ask(name, WRITE_MS);
  }

  #ifLive(entry: KeptEntry | null): KeptEntry | null {
    return entry !== null && this.#book.isLive(entry) ? entry : null;
  }

  async #erase(entry: KeptEntry): Promise<void> {
    await this.#cluster.erase(entry, AbortSignal.timeout(WRITE_MS));
    this.#book.forget(entry);
  }

  async #forget(version: number): Promise<void> {
    const draft = this.#draft(NOTES, FORGOTTEN, { value: String(version), expiresAt: null });
    const before = await this.#ask(draft.name, WRITE_MS);
    if (Number(before?.value ?? 0) < version) await this.#write(draft, before === null ? null : String(before.version));
  }

  #forgotten(): number {
    return Number(this.#book.find(secretName(this.#place, NOTES, FORGOTTEN))?.value ?? 0);
  }

  #mirrored(keys: ReadonlySet<string>): void {
    const told: KeptEntry[] = [];
    for (const key of keys) {
      const entry = this.#mirror.objects.get(key);
      if (entry === undefined) this.#vanished(key.slice(this.#place.namespace.length + 1));
      else told.push(entry);
    }
    for (const entry of told.sort((a, b) => a.version - b.version)) this.#book.learn(entry);
    this.#firstList.done();
  }

  #vanished(name: string): void {
    const known = this.#book.find(name);
    if (known === null) return;
    if (this.#book.ended.has(name)) this.#book.forget(known);
    // Somebody removed it by hand, or it was made anew here and the watch has yet to tell: the server knows.
    else void this.#track(this.#ask(name, WRITE_MS)).catch((err: unknown) => this.#deps.logger.warn({ err }, "an entry of the store may be gone")); // prettier-ignore
  }

  #lost(error: Error): void {
    this.#firstList.failed(error);
    if (this.#isAway) return;
    this.#isAway = true;
    this.#deps.logger.warn({ err: error }, "the store cannot be followed; what is known is told until it can");
  }

  #found(): void {
    this.#isAway = false;
    this.#deps.logger.info({}, "the store is followed again");
  }

  #assertRoom(version: string | null, text: string): void {
    const isFull = version === null && this.#book.size >= MOST_ENTRIES;
    if (!isFull && this.#book.characters + text.length <= MOST_CHARACTERS) return;
    throw new GatewayError("unavailable", "the store is full");
  }

  #assertOpen(): void {
    if (this.#closed) throw new GatewayError("unavailable", "the store is closed");
  }

  /** Disposing waits for it. */
  async #track<T>(work: Promise<T>): Promise<T> {
    this.#underWay.add(work);
    try {
      return await work;
    } finally {
      this.#underWay.delete(work);
    }
  }
}
