import type { Clock } from "../../platform/clock.ts";
import type { Entry } from "../entry.ts";
import type { KeptEntry } from "./entry-secret.ts";
import { ExpiryQueue } from "./expiry-queue.ts";

export interface EntryBookDeps {
  /** By which entries end. */
  readonly clock: Clock;
  /** What changed for readers, in order; `value` null: gone. */
  readonly changed: (entries: readonly Entry[]) => void;
}

/** Timers of more than 2^31-1 ms (24.8 days) fire at once in Node. */
const LONGEST_SLEEP_MS = 86_400_000;
/** So many that were replaced are carried along in the queue of ends before they are thrown out. */
const MOST_REPLACED = 1000;

/** What is known of a store's entries, from whoever told it: the newer version counts. Ends entries at their time. */
export class EntryBook implements Disposable {
  readonly #deps: EntryBookDeps;
  readonly #entries = new Map<string, KeptEntry>();
  readonly #kinds = new Map<string, Map<string, KeptEntry>>();
  /** By name, what is there only to say that it is gone. */
  readonly #ended = new Map<string, KeptEntry>();
  readonly #ends = new ExpiryQueue();
  #latest = 0;
  #bytes = 0;
  #timer: Disposable | null = null;
  #wakesAt = Infinity;

  constructor(deps: EntryBookDeps) {
    this.#deps = deps;
  }

  /** The newest version that was told. */
  get latest(): number {
    return this.#latest;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Characters of all values. */
  get characters(): number {
    return this.#bytes;
  }

  /** By name: what was removed or expired, and is still kept. */
  get ended(): ReadonlyMap<string, KeptEntry> {
    return this.#ended;
  }

  /** Also what is gone. */
  find(name: string): KeptEntry | null {
    return this.#entries.get(name) ?? null;
  }

  /** Whether readers see it. */
  isLive({ value, expiresAt }: KeptEntry): boolean {
    return value !== null && (expiresAt === null || expiresAt > this.#deps.clock.now());
  }

  list(kind: string): readonly KeptEntry[] {
    return [...(this.#kinds.get(kind)?.values() ?? [])].filter((entry) => this.isLive(entry));
  }

  /** What is newer than `version`, oldest first, and what expired whenever. */
  since(kind: string, version: number): readonly Entry[] {
    this.expire();
    const all = [...(this.#kinds.get(kind)?.values() ?? [])];
    const told = all.filter((entry) => entry.version > version || (!entry.isRemoved && this.#ended.has(entry.name)));
    return told.sort((a, b) => a.version - b.version).map((entry) => (this.isLive(entry) ? entry : gone(entry)));
  }

  /** Takes what somebody told, unless something newer is known. */
  learn(entry: KeptEntry): void {
    this.expire();
    const before = this.#entries.get(entry.name);
    if (before !== undefined && before.version >= entry.version) return;
    const wasSeen = before !== undefined && !this.#ended.has(entry.name);
    this.#latest = Math.max(this.#latest, entry.version);
    this.#put(entry, before);
    if (!this.isLive(entry)) {
      this.#ended.set(entry.name, entry);
      if (wasSeen) this.#deps.changed([gone(entry)]);
      return;
    }
    this.#ended.delete(entry.name);
    if (entry.expiresAt !== null) this.#endAt(entry, entry.expiresAt);
    this.#deps.changed([entry]);
  }

  /** The very entry is no longer kept anywhere. */
  forget(entry: KeptEntry): void {
    const { name, kind, key, value } = entry;
    if (this.#entries.get(name) !== entry) return;
    const wasEnded = this.#ended.delete(name);
    this.#entries.delete(name);
    this.#kinds.get(kind)?.delete(key);
    this.#bytes -= value?.length ?? 0;
    if (!wasEnded) this.#deps.changed([gone(entry)]);
  }

  /** Ends what is past its time, and tells it. */
  expire(): void {
    const expired: KeptEntry[] = [];
    for (const entry of this.#ends.due(this.#deps.clock.now())) {
      if (this.#entries.get(entry.name) !== entry) continue;
      this.#ended.set(entry.name, entry);
      expired.push(entry);
    }
    if (expired.length > 0) this.#deps.changed(expired.map(gone));
    this.#sleep();
  }

  [Symbol.dispose](): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = null;
    this.#wakesAt = -Infinity;
  }

  #put(entry: KeptEntry, before: KeptEntry | undefined): void {
    this.#entries.set(entry.name, entry);
    const ofKind = this.#kinds.get(entry.kind) ?? new Map<string, KeptEntry>();
    this.#kinds.set(entry.kind, ofKind.set(entry.key, entry));
    this.#bytes += (entry.value?.length ?? 0) - (before?.value?.length ?? 0);
  }

  #endAt(entry: KeptEntry, at: number): void {
    if (this.#ends.size > 2 * this.#entries.size + MOST_REPLACED) {
      this.#ends.compact((queued) => this.#entries.get(queued.name) === queued);
    }
    this.#ends.add(entry);
    if (at < this.#wakesAt) this.#sleep();
  }

  #sleep(): void {
    const next = this.#ends.next;
    if (this.#wakesAt === -Infinity || (next ?? Infinity) === this.#wakesAt) return;
    this.#timer?.[Symbol.dispose]();
    this.#timer = null;
    this.#wakesAt = next ?? Infinity;
    if (next === null) return;
    const { clock } = this.#deps;
    this.#timer = clock.after(Math.min(Math.max(next - clock.now(), 0), LONGEST_SLEEP_MS), () => {
      this.#wakesAt = Infinity;
      this.expire();
    });
  }
}

function gone({ kind, key, version }: Entry): Entry {
  return { kind, key, value: null, version };
}
