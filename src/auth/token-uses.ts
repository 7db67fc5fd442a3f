import { isCode } from "../model/index.ts";
import type { Clock } from "../platform/clock.ts";
import type { Logger } from "../platform/logger.ts";
import type { Store } from "../store/store.ts";
import { Lru } from "./lru.ts";

const KIND = "token-uses";
/** A token that is used all the time costs one write in so long. */
const EVERY_MS = 10 * 60_000;
const MAX_KEPT = 100_000;

/** When each token was last used, to within ten minutes. */
export interface TokenUses {
  /** Costs nothing where it was noted lately. Never throws: who is let in does not depend on it. `expiresAt`: of the token. */
  note(id: string, expiresAt: number | null): void;
  /** Epoch ms, by token. Throws `unavailable`. */
  all(): Promise<ReadonlyMap<string, number>>;
  /** Never throws. */
  forget(id: string): Promise<void>;
}

/** There is nothing to close. */
export function createTokenUses(deps: {
  readonly store: Store;
  readonly clock: Clock;
  readonly logger: Logger;
}): TokenUses {
  const { store, clock, logger } = deps;
  const noted = new Lru<number>(MAX_KEPT);

  async function write(id: string, at: number, expiresAt: number | null): Promise<void> {
    const before = await store.get(KIND, id);
    const expiry = expiresAt === null ? {} : { expiresAt };
    await store.put(KIND, id, { at }, { version: before?.version ?? null, ...expiry });
  }

  function failed(error: unknown): void {
    // Another gate noted it at the same moment, which is as good.
    if (!isCode(error, "conflict")) logger.warn({ err: error }, "use of a token could not be noted");
  }

  return {
    note(id, expiresAt) {
      const now = clock.now();
      const before = noted.get(id);
      if (before !== undefined && now >= before && now - before < EVERY_MS) return;
      noted.set(id, now);
      write(id, now, expiresAt).catch(failed);
    },
    async all() {
      const entries = await store.list<{ readonly at: number }>(KIND);
      return new Map([...entries].map(([id, { value }]) => [id, value.at]));
    },
    async forget(id) {
      try {
        const entry = await store.get(KIND, id);
        if (entry !== null) await store.remove(KIND, id, entry.version);
      } catch (error) {
        failed(error);
      }
    },
  };
}
