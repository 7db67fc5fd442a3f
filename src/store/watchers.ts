import type { Logger } from "../platform/logger.ts";
import { type Entry, toVersioned } from "./entry.ts";
import type { Versioned } from "./store.ts";

/** Told of one entry; null: removed or expired. */
export type Changed = (key: string, entry: Versioned<unknown> | null) => void;

/** Those who watch kinds. Each is called in order, never from within the call that caused a change. */
export interface Watchers {
  /** `replay` comes first. */
  add(kind: string, replay: readonly Entry[], changed: Changed): Disposable;
  publish(entries: readonly Entry[]): void;
  /** No call after this. */
  clear(): void;
}

interface Watcher {
  readonly kind: string;
  readonly changed: Changed;
  waiting: Entry[];
}

/** Watchers of one store. One that throws is logged, and goes on to get what follows. */
export function createWatchers(logger: Logger): Watchers {
  const watchers = new Set<Watcher>();

  const drain = (watcher: Watcher): void => {
    const entries = watcher.waiting;
    watcher.waiting = [];
    for (const entry of entries) {
      if (!watchers.has(watcher)) return;
      try {
        watcher.changed(entry.key, toVersioned(entry));
      } catch (error) {
        logger.error({ err: error, kind: entry.kind }, "a watcher of the store failed");
      }
    }
  };
  const enqueue = (watcher: Watcher, entries: readonly Entry[]): void => {
    if (entries.length === 0) return;
    if (watcher.waiting.length === 0) queueMicrotask(() => drain(watcher));
    for (const entry of entries) watcher.waiting.push(entry);
  };

  return {
    add(kind, replay, changed) {
      const watcher: Watcher = { kind, changed, waiting: [] };
      watchers.add(watcher);
      enqueue(watcher, replay);
      return {
        [Symbol.dispose]() {
          watchers.delete(watcher);
        },
      };
    },
    publish(entries) {
      for (const watcher of watchers)
        enqueue(
          watcher,
          entries.filter((entry) => entry.kind === watcher.kind),
        );
    },
    clear() {
      watchers.clear();
    },
  };
}
