import { type Identity, isCode, type Session } from "../model/index.ts";
import type { Clock } from "../platform/clock.ts";
import type { Store } from "../store/store.ts";

const KIND = "revocations";
const USERS = "revoked-users";

/** Whatever somebody had until then is void. */
export interface RevokedUser extends Identity {
  /** Epoch ms. */
  readonly at: number;
}

/** What is void though its signature is good, as whoever verifies asks it. */
export interface RevocationCheck {
  has(sessionId: string): boolean;
  /** Whether what this user was given at that time (epoch ms) is void. */
  hasUser(user: Identity, since: number): boolean;
}

/**
 * What is void. A session's id begins with the id of the login that it came from (`LOGIN.SESSION`), so that revoking the login revokes all
 * of them.
 */
export interface Revocations extends RevocationCheck, Disposable {
  /**
   * At once here, then in the store, so that a restart forgets nothing, and wherever sessions are verified, as far as who listens waits for
   * that. Throws `unavailable` where only the store failed.
   */
  revoke(id: string): Promise<void>;
  /** The same for all that somebody has been given until now. */
  revokeUser(user: Identity): Promise<void>;
  /** Called once for every new one, wherever it was revoked. Whoever revokes waits for what a listener returns, which must come soon, and never fail. */
  observe(listener: Listener<string>): Disposable;
  observeUsers(listener: Listener<RevokedUser>): Disposable;
  /** All that are known now. */
  ids(): Iterable<string>;
  users(): Iterable<RevokedUser>;
}

export type Listener<T> = (revoked: T) => Promise<void> | void;

/** The login that a session came from; for a session that is a login by itself, its own id. */
export function rootOf(sessionId: string): string {
  const dot = sessionId.indexOf(".");
  return dot < 0 ? sessionId : sessionId.slice(0, dot);
}

/** Whether a session that somebody was let in with is void by now. */
export function isRevoked(revocations: RevocationCheck, { id, principal, issuedAt }: Session): boolean {
  return revocations.has(id) || (issuedAt !== undefined && revocations.hasUser(principal, issuedAt));
}

/** Revocations in memory; there is nothing to close. */
export class KnownRevocations implements RevocationCheck {
  readonly #ids: Set<string>;
  readonly #users = new Map<string, RevokedUser>();

  constructor(ids: Iterable<string>, users: Iterable<RevokedUser>) {
    this.#ids = new Set(ids);
    for (const user of users) this.addUser(user);
  }

  get ids(): ReadonlySet<string> {
    return this.#ids;
  }

  get users(): readonly RevokedUser[] {
    return [...this.#users.values()];
  }

  has(sessionId: string): boolean {
    return this.#ids.size > 0 && (this.#ids.has(sessionId) || this.#ids.has(rootOf(sessionId)));
  }

  hasUser(user: Identity, since: number): boolean {
    return this.#users.size > 0 && since <= (this.#users.get(keyOf(user))?.at ?? -1);
  }

  add(id: string): void {
    this.#ids.add(id);
  }

  /** Whether that is news. */
  addUser(user: RevokedUser): boolean {
    const before = this.#users.get(keyOf(user));
    if (before !== undefined && before.at >= user.at) return false;
    this.#users.set(keyOf(user), user);
    return true;
  }

  delete(id: string): void {
    this.#ids.delete(id);
  }

  deleteUser(key: string): void {
    this.#users.delete(key);
  }
}

/** `keepMs`: the longest that anything signed stays good. Throws `unavailable`. */
export async function startRevocations(deps: {
  readonly store: Store;
  readonly clock: Clock;
  readonly keepMs: number;
}): Promise<Revocations> {
  const { store, clock, keepMs } = deps;
  const users = [...(await store.list<RevokedUser>(USERS)).values()].map(({ value }) => value);
  const known = new KnownRevocations((await store.list(KIND)).keys(), users);
  const listeners = new Set<Listener<string>>();
  const userListeners = new Set<Listener<RevokedUser>>();

  async function learn(id: string): Promise<void> {
    if (known.ids.has(id)) return;
    known.add(id);
    await tell(listeners, id);
  }

  async function learnUser(user: RevokedUser): Promise<void> {
    if (known.addUser(user)) await tell(userListeners, user);
  }

  const watches = new DisposableStack();
  watches.use(store.watch(KIND, null, (id, entry) => (entry === null ? known.delete(id) : void learn(id))));
  watches.use(
    store.watch<RevokedUser>(USERS, null, (key, entry) =>
      entry === null ? known.deleteUser(key) : void learnUser(entry.value),
    ),
  );

  return {
    has: (sessionId) => known.has(sessionId),
    hasUser: (user, since) => known.hasUser(user, since),
    async revoke(id) {
      const told = learn(id);
      const now = clock.now();
      try {
        await store.put(KIND, id, { revokedAt: now }, { version: null, expiresAt: now + keepMs });
      } catch (error) {
        // It was revoked before, and stays so.
        if (!isCode(error, "conflict")) throw error;
      }
      await told;
    },
    async revokeUser({ realm, name }) {
      const user: RevokedUser = { realm, name, at: clock.now() };
      const told = learnUser(user);
      const key = keyOf(user);
      const before = await store.get<RevokedUser>(USERS, key);
      await store.put(USERS, key, user, { version: before?.version ?? null, expiresAt: user.at + keepMs });
      await told;
    },
    ids: () => known.ids,
    users: () => known.users,
    observe: (listener) => listen(listeners, listener),
    observeUsers: (listener) => listen(userListeners, listener),
    [Symbol.dispose]: () => watches[Symbol.dispose](),
  };
}

async function tell<T>(listeners: ReadonlySet<Listener<T>>, revoked: T): Promise<void> {
  await Promise.all(Array.from(listeners, async (listener) => listener(revoked)));
}

function listen<T>(listeners: Set<T>, listener: T): Disposable {
  listeners.add(listener);
  return {
    [Symbol.dispose]() {
      listeners.delete(listener);
    },
  };
}

function keyOf({ realm, name }: Identity): string {
  return `${realm}/${name}`;
}
