import { GatewayError } from "../../model/index.ts";
import type { Clock } from "../../platform/clock.ts";
import type { Logger } from "../../platform/logger.ts";
import { compareVersion, type Entry, toVersioned } from "../entry.ts";
import { checkKey, checkKind, encodeEntry } from "../entry-limits.ts";
import type { Fence, FenceOptions, PutOptions, Store, Versioned } from "../store.ts";
import { type Changed, createWatchers, type Watchers } from "../watchers.ts";
import { type Database, openDatabase } from "./database.ts";
import { type Entries, prepareEntries } from "./entries.ts";
import { FENCES } from "./sole-leadership.ts";
import { createWriteQueue, type WriteQueue } from "./write-queue.ts";

export interface EmbeddedStoreDeps {
  /**
   * The database; its folder exists. `FILE-wal` and `FILE.pid` are beside it. Nothing else in this process may open it with node:fs: to
   * close such a descriptor drops the lock.
   */
  readonly file: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * Opens the store of one gate; throws what `openDatabase` throws. A write that failed with `unavailable` may be found done after a
 * restart. Disposing does what is queued, and closes the file.
 */
export async function startEmbeddedStore(deps: EmbeddedStoreDeps): Promise<Store> {
  const database = await openDatabase(deps.file);
  try {
    const entries = prepareEntries(database.connection);
    const watchers = createWatchers(deps.logger);
    const writes = createWriteQueue({
      entries,
      clock: deps.clock,
      logger: deps.logger,
      translate: database.translate,
      committed: watchers.publish,
    });
    writes.flush();
    return new EmbeddedStore({ clock: deps.clock, database, entries, watchers, writes });
  } catch (error) {
    await database[Symbol.asyncDispose]();
    throw database.translate(error);
  }
}

interface Parts {
  readonly clock: Clock;
  readonly database: Database;
  readonly entries: Entries;
  readonly watchers: Watchers;
  readonly writes: WriteQueue;
}

class EmbeddedStore implements Store {
  readonly #parts: Parts;
  #closed = false;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  get<T>(kind: string, key: string): Promise<Versioned<T> | null> {
    return this.#read(({ entries, clock }) => {
      checkKind(kind);
      checkKey(key);
      const entry = entries.get(kind, key, clock.now());
      return entry === null ? null : (toVersioned(entry) as Versioned<T> | null);
    });
  }

  list<T>(kind: string): Promise<ReadonlyMap<string, Versioned<T>>> {
    return this.#read(({ entries, clock }) => {
      checkKind(kind);
      return new Map(entries.list(kind, clock.now()).map((entry) => [entry.key, toVersioned(entry) as Versioned<T>]));
    });
  }

  async put<T>(kind: string, key: string, value: T, options: PutOptions): Promise<string> {
    this.#assertOpen();
    const { version, expiresAt = null, fence } = options;
    const text = encodeEntry(kind, key, { value, expiresAt });
    const { entries, writes } = this.#parts;
    const entry = await writes.add((now) => {
      checkFence(entries, now, fence);
      compareVersion(entries.get(kind, key, now), version);
      return entries.write(kind, key, text, expiresAt);
    });
    return String(entry.version);
  }

  async remove(kind: string, key: string, version: string, options: FenceOptions = {}): Promise<void> {
    this.#assertOpen();
    checkKind(kind);
    checkKey(key);
    const { entries, writes } = this.#parts;
    await writes.add((now) => {
      checkFence(entries, now, options.fence);
      compareVersion(entries.get(kind, key, now), version);
      return entries.write(kind, key, null, null);
    });
  }

  watch<T>(kind: string, from: string | null, changed: (key: string, entry: Versioned<T> | null) => void): Disposable {
    this.#assertOpen();
    checkKind(kind);
    const { watchers, writes, database } = this.#parts;
    // What is queued is now replayed, and not told once more.
    writes.flush();
    try {
      return watchers.add(kind, this.#replay(kind, from), changed as Changed);
    } catch (error) {
      throw database.translate(error);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    const { watchers, writes, database } = this.#parts;
    this.#closed = true;
    writes[Symbol.dispose]();
    watchers.clear();
    await database[Symbol.asyncDispose]();
  }

  #replay(kind: string, from: string | null): readonly Entry[] {
    const { entries, clock } = this.#parts;
    if (from === null) return entries.since(kind, 0, clock.now()).filter((entry) => entry.value !== null);
    const counter = entries.counter();
    const version = /^\d{1,15}$/.test(from) ? Number(from) : Infinity;
    if (version > counter.version) throw new GatewayError("bad_request", "that is not a version of this store");
    if (version < counter.forgotten) {
      throw new GatewayError("conflict", "what was removed after that version is forgotten: watch from the start");
    }
    return entries.since(kind, version, clock.now());
  }

  #assertOpen(): void {
    if (this.#closed) throw new GatewayError("unavailable", "the store is closed");
  }

  #read<T>(query: (parts: Parts) => T): Promise<T> {
    return new Promise((resolve) => {
      this.#assertOpen();
      try {
        resolve(query(this.#parts));
      } catch (error) {
        throw this.#parts.database.translate(error);
      }
    });
  }
}

function checkFence(entries: Entries, now: number, fence: Fence | undefined): void {
  if (fence === undefined || entries.get(FENCES, fence.lead, now)?.value === String(fence.fence)) return;
  throw new GatewayError("conflict", `who writes leads ${fence.lead} no longer`);
}
