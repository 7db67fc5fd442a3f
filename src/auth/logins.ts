import { GatewayError, type Identity, isCode, type Principal, sameIdentity } from "../model/index.ts";
import type { Clock } from "../platform/clock.ts";
import type { Logger } from "../platform/logger.ts";
import { pause } from "../platform/pause.ts";
import type { Store, Versioned } from "../store/store.ts";
import { abortable } from "./answers.ts";
import type { Authenticator, LoggedIn } from "./authenticators/authenticator.ts";
import { newSecret } from "./codes.ts";
import type { Revocations } from "./revocations.ts";
import type { Sealer } from "./sealer.ts";
import type { Grounds } from "./tokens.ts";

const LOGINS = "logins";
const LOGIN_OF = "login-of";
const PEOPLE = "people";

const RECHECK_MS = 30_000;
/** Between two looks whether another gate was answered. */
const LOOK_MS = 50;

/** Somebody's login by one of the methods, on which a browser's token stands and those of command lines that it let in. */
interface LoginRecord {
  readonly method: string;
  /** As the method last said. */
  readonly principal: Principal;
  /** What the method needs to ask again, sealed; null: nothing. */
  readonly sealed: string | null;
  readonly upstream: NonNullable<LoggedIn["upstream"]>;
  /** Epoch ms. */
  readonly checkedAt: number;
  /** Epoch ms until which some gate asks again; absent: none does. */
  readonly askingUntil?: number;
  /** null: never asked again. */
  readonly recheckMs: number | null;
  /** Epoch ms. */
  readonly expiresAt: number;
  /** Ids of the tokens that stand on it. */
  readonly tokens: readonly string[];
}

/** What was last heard of a person; what their tokens for programs go by, which belong to no login. */
interface PersonRecord {
  readonly groups: readonly Identity[];
  readonly admin: boolean;
  /** The method said that they may not come in any more. */
  readonly refused: boolean;
}

/** What stands behind the tokens of people whom a method let in: who they are today, asked anew as often as the method wants. */
export interface Logins extends Disposable {
  /** Keeps what a method said; `bind` tokens to it. Resolves to its id. Throws `unavailable`. */
  begin(method: string, found: LoggedIn, expiresAt: number): Promise<string>;
  /** From now on the token stands on the login, and ends with it. Throws `unauthenticated` where that has ended. */
  bind(token: string, login: string): Promise<void>;
  /** The login that a token stands on, and its end; null: none. */
  of(token: string): Promise<{ readonly login: string; readonly expiresAt: number } | null>;
  /** The same grounds with the principal of today; null: they may not come in any more. Throws `unavailable`. */
  today(grounds: Grounds): Promise<Grounds | null>;
  /** What the method kept of the login of this token; null: nothing. */
  secretOf(token: string): Promise<{ readonly method: string; readonly secret: string } | null>;
  /** Ends the logins that the method's provider names (null: all of the method), with all that they opened. Resolves to how many. */
  ended(method: string, upstream: { readonly session?: string; readonly subject?: string } | null): Promise<number>;
}

export interface LoginsDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly sealer: Sealer;
  readonly revocations: Revocations;
  readonly authenticators: readonly Authenticator[];
  /** Of who runs the gate: nobody is asked about them. */
  readonly ownRealm: string;
}

/** Dispose it to stop its look at revocations. */
export function startLogins(deps: LoginsDeps): Logins {
  return new StoredLogins(deps);
}

class StoredLogins implements Logins {
  readonly #deps: LoginsDeps;
  /** A refresh token may be good for one answer only: nobody asks twice at once, and of several gates one asks (`#reserve`). */
  readonly #rechecks = new Map<string, Promise<LoginRecord | null>>();
  readonly #observing: Disposable;

  constructor(deps: LoginsDeps) {
    this.#deps = deps;
    this.#observing = deps.revocations.observe((id) => void this.#forget(id));
  }

  async begin(method: string, found: LoggedIn, expiresAt: number): Promise<string> {
    const { clock, store } = this.#deps;
    const login = newSecret();
    const record: LoginRecord = {
      ...this.#sealed(login, found),
      ...{ method, principal: found.principal, upstream: found.upstream ?? {}, expiresAt, tokens: [] },
      checkedAt: clock.now(),
    };
    await store.put(LOGINS, login, record, { version: null, expiresAt });
    await this.#heard(found.principal, false);
    return login;
  }

  async bind(token: string, login: string): Promise<void> {
    const bound = await this.#change(login, (record) => ({ ...record, tokens: [...record.tokens, token] }));
    if (bound === null) throw new GatewayError("unauthenticated", "this login has ended; log in again");
    await this.#deps.store.put(LOGIN_OF, token, { login }, { version: null, expiresAt: bound.expiresAt });
  }

  async of(token: string): Promise<{ readonly login: string; readonly expiresAt: number } | null> {
    const login = await this.#loginOf(token);
    const record = login === null ? null : await this.#read(login);
    return login === null || record === null ? null : { login, expiresAt: record.expiresAt };
  }

  async today(grounds: Grounds): Promise<Grounds | null> {
    if (grounds.principal.realm === this.#deps.ownRealm) return grounds;
    const login = await this.#loginOf(grounds.id);
    if (login === null) {
      const person = (await this.#deps.store.get<PersonRecord>(PEOPLE, keyOf(grounds.principal)))?.value;
      if (person === undefined) return grounds;
      const { groups, admin, refused } = person;
      return refused ? null : { ...grounds, principal: { ...grounds.principal, groups, admin } };
    }
    const record = await this.#current(login);
    if (record === null) return null;
    const { groups, admin } = record.principal;
    return { ...grounds, principal: { ...grounds.principal, groups, admin } };
  }

  async secretOf(token: string): Promise<{ readonly method: string; readonly secret: string } | null> {
    const login = await this.#loginOf(token);
    const record = login === null ? null : await this.#read(login);
    if (login === null || record?.sealed == null) return null;
    const secret = this.#deps.sealer.open(record.sealed, login);
    return secret === null ? null : { method: record.method, secret };
  }

  async ended(
    method: string,
    upstream: { readonly session?: string; readonly subject?: string } | null,
  ): Promise<number> {
    const entries = await this.#deps.store.list<LoginRecord>(LOGINS);
    const meant = [...entries].filter(
      ([, { value }]) => value.method === method && (upstream === null || isMeant(value.upstream, upstream)),
    );
    for (const [login] of meant) await this.#end(login, "its provider ended it");
    return meant.length;
  }

  [Symbol.dispose](): void {
    this.#observing[Symbol.dispose]();
  }

  async #loginOf(token: string): Promise<string | null> {
    return (await this.#deps.store.get<{ login: string }>(LOGIN_OF, token))?.value.login ?? null;
  }

  async #read(login: string): Promise<LoginRecord | null> {
    const record = (await this.#deps.store.get<LoginRecord>(LOGINS, login))?.value;
    return record === undefined || record.expiresAt <= this.#deps.clock.now() ? null : record;
  }

  /** The login with what its method says of it; null: it has ended. */
  async #current(login: string): Promise<LoginRecord | null> {
    const record = await this.#read(login);
    if (record === null) return null;
    if (record.recheckMs === null || this.#deps.clock.now() < record.checkedAt + record.recheckMs) return record;
    const underWay = this.#rechecks.get(login);
    if (underWay !== undefined) return underWay;
    const asking = this.#recheck(login, record).finally(() => this.#rechecks.delete(login));
    this.#rechecks.set(login, asking);
    return asking;
  }

  async #recheck(login: string, record: LoginRecord): Promise<LoginRecord | null> {
    if (!(await this.#reserve(login, record))) return this.#othersAnswer(login, record);
    try {
      const found = await this.#ask(login, record);
      await this.#heard(found.principal, false);
      const { principal, upstream = record.upstream } = found;
      const checkedAt = this.#deps.clock.now();
      return await this.#change(login, (now) => ({
        ...now,
        ...this.#sealed(login, found),
        ...{ principal, upstream: { ...record.upstream, ...upstream }, checkedAt, askingUntil: 0 },
      }));
    } catch (error) {
      if (!isCode(error, "unauthenticated") && !isCode(error, "denied")) {
        await this.#change(login, (now) => ({ ...now, askingUntil: 0 }));
        throw error;
      }
      if (error.code === "denied") await this.#heard(record.principal, true);
      await this.#end(login, error.message);
      return null;
    }
  }

  /** Whether this gate is to ask: false where another one does, or has by now. */
  async #reserve(login: string, { checkedAt }: LoginRecord): Promise<boolean> {
    const { clock, store } = this.#deps;
    for (;;) {
      const entry = await store.get<LoginRecord>(LOGINS, login);
      if (entry === null) return false;
      const { value, version } = entry;
      if (value.checkedAt !== checkedAt || (value.askingUntil ?? 0) > clock.now()) return false;
      const asking = { ...value, askingUntil: clock.now() + RECHECK_MS };
      try {
        await store.put(LOGINS, login, asking, { version, expiresAt: value.expiresAt });
        return true;
      } catch (error) {
        if (!isCode(error, "conflict")) throw error;
      }
    }
  }

  /** What the login is once another gate was answered; where that was not, or is gone, this one asks. */
  async #othersAnswer(login: string, { checkedAt }: LoginRecord): Promise<LoginRecord | null> {
    const { clock } = this.#deps;
    for (;;) {
      const record = await this.#read(login);
      if (record?.checkedAt !== checkedAt) return record;
      if ((record.askingUntil ?? 0) <= clock.now()) return this.#recheck(login, record);
      await pause(clock, LOOK_MS);
    }
  }

  async #ask(login: string, record: LoginRecord): Promise<LoggedIn> {
    const { authenticators, sealer } = this.#deps;
    const interactive = authenticators.find(({ name }) => name === record.method)?.interactive;
    const secret = record.sealed === null ? null : sealer.open(record.sealed, login);
    if (interactive?.recheck === undefined || secret === null) {
      throw new GatewayError("unauthenticated", `${record.method}: this login cannot be checked any more`);
    }
    const limit = AbortSignal.timeout(RECHECK_MS);
    try {
      const found = await abortable(interactive.recheck(secret, limit), limit);
      if (sameIdentity(found.principal, record.principal)) return found;
    } catch (error) {
      if (error instanceof GatewayError) throw error;
      throw new GatewayError("unavailable", `${record.method} failed`, { cause: error });
    }
    throw new GatewayError("unauthenticated", `${record.method}: the provider speaks of somebody else now`);
  }

  #sealed(login: string, { secret, recheckMs }: LoggedIn): Pick<LoginRecord, "sealed" | "recheckMs"> {
    return {
      sealed: secret === undefined ? null : this.#deps.sealer.seal(secret, login),
      recheckMs: secret === undefined ? null : (recheckMs ?? null),
    };
  }

  /** null: it is gone. */
  async #change(login: string, change: (record: LoginRecord) => LoginRecord): Promise<LoginRecord | null> {
    const { store } = this.#deps;
    for (;;) {
      const entry: Versioned<LoginRecord> | null = await store.get<LoginRecord>(LOGINS, login);
      if (entry === null) return null;
      const next = change(entry.value);
      try {
        await store.put(LOGINS, login, next, { version: entry.version, expiresAt: next.expiresAt });
        return next;
      } catch (error) {
        if (!isCode(error, "conflict")) throw error; // a token was bound meanwhile: once more, with it
      }
    }
  }

  async #end(login: string, reason: string): Promise<void> {
    const { logger, revocations } = this.#deps;
    const record = await this.#remove(login);
    if (record === null) return;
    const { realm, name } = record.principal;
    logger.info({ realm, user: name, method: record.method, reason }, "login ended");
    for (const token of record.tokens) await revocations.revoke(token);
  }

  async #remove(login: string): Promise<LoginRecord | null> {
    const { store } = this.#deps;
    for (;;) {
      const entry = await store.get<LoginRecord>(LOGINS, login);
      if (entry === null) return null;
      try {
        await store.remove(LOGINS, login, entry.version);
        return entry.value;
      } catch (error) {
        if (!isCode(error, "conflict")) throw error;
      }
    }
  }

  async #heard({ realm, name, groups, admin }: Principal, refused: boolean): Promise<void> {
    const { store } = this.#deps;
    const key = keyOf({ realm, name });
    const person: PersonRecord = { groups, admin, refused };
    const before = await store.get<PersonRecord>(PEOPLE, key);
    if (before !== null && JSON.stringify(before.value) === JSON.stringify(person)) return;
    try {
      await store.put(PEOPLE, key, person, { version: before?.version ?? null });
    } catch (error) {
      if (!isCode(error, "conflict")) throw error; // another login of theirs was heard of at the same moment
    }
  }

  /** A login that nothing stands on any more is not kept: its secret is of no use to anybody here. */
  async #forget(token: string): Promise<void> {
    try {
      const login = await this.#loginOf(token);
      if (login === null) return;
      const left = await this.#change(login, (record) => ({
        ...record,
        tokens: record.tokens.filter((id) => id !== token),
      }));
      if (left?.tokens.length === 0) await this.#remove(login);
    } catch (error) {
      this.#deps.logger.warn({ err: error }, "what was kept of a login that ended is kept until it expires");
    }
  }
}

function keyOf({ realm, name }: Identity): string {
  return JSON.stringify([realm, name]);
}

/** Where a session is named it alone is meant (OpenID Connect Back-Channel Logout 1.0 section 2.7). */
function isMeant(
  known: LoginRecord["upstream"],
  named: { readonly session?: string; readonly subject?: string },
): boolean {
  if (named.session !== undefined && known.session !== undefined) return known.session === named.session;
  return named.subject !== undefined && known.subject === named.subject;
}
