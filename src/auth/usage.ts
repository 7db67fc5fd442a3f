import type { Clock } from "../platform/clock.ts";
import { Lru } from "./lru.ts";

const MAX_SERVICES = 100_000;

/** What went through one service since the gate started. */
export interface Usage {
  readonly open: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** Epoch ms. */
  readonly lastUsed: number;
}

/** Counts per service; kept for the 100,000 used last. */
export interface UsageCounts {
  opened(service: string): void;
  closed(service: string, bytesIn: number, bytesOut: number): void;
  /** By service. */
  snapshot(): ReadonlyMap<string, Usage>;
}

/** Keeps nothing but memory: there is nothing to close. */
export function createUsageCounts(clock: Clock): UsageCounts {
  const counts = new Lru<{ -readonly [K in keyof Usage]: Usage[K] }>(MAX_SERVICES);

  function touch(service: string): { -readonly [K in keyof Usage]: Usage[K] } {
    const used = counts.get(service) ?? { open: 0, bytesIn: 0, bytesOut: 0, lastUsed: 0 };
    if (used.lastUsed === 0) counts.set(service, used);
    used.lastUsed = clock.now();
    return used;
  }

  return {
    opened(service) {
      touch(service).open += 1;
    },
    closed(service, bytesIn, bytesOut) {
      const used = touch(service);
      used.open -= 1;
      used.bytesIn += bytesIn;
      used.bytesOut += bytesOut;
    },
    snapshot: () => new Map(Array.from(counts.entries(), ([service, used]) => [service, { ...used }])),
  };
}
