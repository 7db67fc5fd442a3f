import { type Changed, type Claim, isCode, matchKey } from "../model/index.ts";
import type { Logger } from "../platform/logger.ts";
import type { Store } from "../store/store.ts";

const KIND = "claims";

/** Writes down who holds which name and port, so that incumbents keep them over restarts. */
export interface ClaimsBook extends AsyncDisposable {
  /** Queues the writes; they are done in order. A failed one is logged: the claim holds for this life of the gate all the same. */
  write(changed: Changed<Claim>): void;
}

/** The claims on record. */
export async function readClaims(store: Store): Promise<readonly Claim[]> {
  const entries = await store.list<Claim>(KIND);
  return [...entries.values()].map((entry) => entry.value);
}

/** Disposing waits for what is queued. */
export function createClaimsBook(deps: { readonly store: Store; readonly logger: Logger }): ClaimsBook {
  const { store, logger } = deps;
  let queue: Promise<void> = Promise.resolve();

  const put = async (key: string, claim: Claim | null): Promise<void> => {
    const held = await store.get<Claim>(KIND, key);
    if (claim !== null) await store.put(KIND, key, claim, { version: held?.version ?? null });
    else if (held !== null) await store.remove(KIND, key, held.version);
  };
  const attempt = async (key: string, claim: Claim | null): Promise<void> => {
    try {
      await put(key, claim);
    } catch (error) {
      // A conflict means that another writer was there first: theirs is newer, and it is read at the next start.
      if (!isCode(error, "conflict")) logger.error({ err: error, claim: key }, "claim not written");
    }
  };

  return {
    write(changed) {
      if (changed.set.length + changed.removed.length === 0) return;
      queue = queue.then(async () => {
        for (const key of changed.removed) await attempt(key, null);
        for (const claim of changed.set) await attempt(matchKey(claim.match), claim);
      });
    },
    async [Symbol.asyncDispose]() {
      await queue;
    },
  };
}
