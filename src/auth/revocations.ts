import { isCode } from "../model/index.ts";
import type { Clock } from "../platform/clock.ts";
import type { Store } from "../store/store.ts";

const KIND = "revocations";

/**
 * What is void though its signature is good. A session's id begins with the id of the login that it came from (`LOGIN.SESSION`), so that
 * revoking the login revokes all of them.
 */
export interface Revocations extends Disposable {
  has(sessionId: string): boolean;
  /** At once here, then in the store, so that a restart forgets nothing. Throws `unavailable` where only the second failed. */
  revoke(id: string): Promise<void>;
  /** Called once for every new one, wherever it was revoked. */
  observe(listener: (id: string) => void): Disposable;
  /** All that are known now. */
  ids(): Iterable<string>;
}

/** The login that a session came from; for a session that is a login by itself, its own id. */
export function rootOf(sessionId: string): string {
  const dot = sessionId.indexOf(".");
  return dot < 0 ? sessionId : sessionId.slice(0, dot);
}

/** `keepMs`: the longest that anything signed stays good. Throws `unavailable`. */
export async function startRevocations(deps: {
  readonly store: Store;
  readonly clock: Clock;
  readonly keepMs: number;
}): Promise<Revocations> {
  const { store, clock, keepMs } = deps;
  const known = new Set((await store.list(KIND)).keys());
  const listeners = new Set<(id: string) => void>();

  function learn(id: string): void {
    if (known.has(id)) return;
    known.add(id);
    for (const listener of listeners) listener(id);
  }

  const watch = store.watch(KIND, null, (id, entry) => {
    if (entry === null) known.delete(id);
    else learn(id);
  });

  return {
    has: (sessionId) => known.size > 0 && (known.has(sessionId) || known.has(rootOf(sessionId))),
    async revoke(id) {
      learn(id);
      const now = clock.now();
      try {
        await store.put(KIND, id, { revokedAt: now }, { version: null, expiresAt: now + keepMs });
      } catch (error) {
        // It was revoked before, and stays so.
        if (!isCode(error, "conflict")) throw error;
      }
    },
    ids: () => known,
    observe(listener) {
      listeners.add(listener);
      return {
        [Symbol.dispose]() {
          listeners.delete(listener);
        },
      };
    },
    [Symbol.dispose]() {
      watch[Symbol.dispose]();
    },
  };
}
