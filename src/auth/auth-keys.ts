import type { SessionKey } from "../model/index.ts";
import type { Clock } from "../platform/clock.ts";
import type { Logger } from "../platform/logger.ts";
import type { Store } from "../store/store.ts";
import { type KeySet, keySetOf } from "./assertions.ts";
import { type KeyRing, type KeyView, startKeyRing } from "./keys.ts";

/** What other gates on the same store need to hear of a new session key, should they not be asked. */
const SESSION_PUBLISH_MS = 5_000;
/** For so long a job may keep the set of keys that it fetched. */
export const KEY_SET_MAX_AGE_MS = 300_000;

/** The keys that the gate signs with. */
export interface AuthKeys {
  /** What verifies sessions, by key id. */
  published(): ReadonlyMap<string, SessionKey>;
  /** Called after every change of the keys of sessions. */
  observe(listener: () => void): Disposable;
  /** All planes verify sessions with these now. */
  acknowledge(kids: Iterable<string>): void;
  /** What jobs verify assertions with. */
  keySet(): KeySet;
  list(): readonly KeyView[];
  /** Publishes the next keys: each signs once whoever verifies can know it. Throws `unavailable`. */
  rotate(): Promise<void>;
}

export interface KeyRings extends Disposable {
  readonly session: KeyRing;
  readonly assertion: KeyRing;
  readonly keys: AuthKeys;
}

/** Makes the keys on the first start. `keepMs`: longest that a session is good, and by how far clocks differ. Throws `unavailable`. */
export async function startKeyRings(deps: {
  readonly store: Store;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly rotateMs: number;
  readonly keepMs: number;
}): Promise<KeyRings> {
  using scope = new DisposableStack();
  const session = scope.use(
    await startKeyRing({ ...deps, use: "session", publishMs: SESSION_PUBLISH_MS, acknowledged: true }),
  );
  const assertion = scope.use(
    await startKeyRing({ ...deps, use: "assertion", publishMs: 2 * KEY_SET_MAX_AGE_MS, acknowledged: false }),
  );
  const keys: AuthKeys = {
    published: () => session.published,
    observe: (listener) => session.observe(listener),
    acknowledge: (kids) => session.acknowledge(kids),
    keySet: () => keySetOf(assertion),
    list: () => [...session.list(), ...assertion.list()],
    rotate: async () => {
      await Promise.all([session.rotate(), assertion.rotate()]);
    },
  };
  const rings = scope.move();
  return { session, assertion, keys, [Symbol.dispose]: () => rings[Symbol.dispose]() };
}
