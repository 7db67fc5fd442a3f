import { GatewayError, type Identity, isCode, type Principal, sameIdentity, type Session } from "../model/index.ts";
import type { Clock } from "../platform/clock.ts";
import type { Store } from "../store/store.ts";
import { isAbove } from "./access.ts";
import type { Caller } from "./login.ts";
import { type Revocations, rootOf } from "./revocations.ts";
import type { Tokens } from "./tokens.ts";

const KIND = "sessions";
const TOKENS = "tokens";
/** A session whose login is good for longer is renewed; its entry is kept for so long at most. */
const KEEP_MS = 30 * 86_400_000;

/** What may be known of a browser's session at one service. */
export interface SessionView {
  readonly id: string;
  readonly user: Identity;
  /** `PROVIDER/TASK/SERVICE`. */
  readonly service: string;
  readonly host: string;
  /** Name of the login method; null: not known. */
  readonly proof: string | null;
  /** Where it began. */
  readonly peer: string;
  /** Epoch ms. */
  readonly createdAt: number;
}

interface SessionRecord extends Omit<SessionView, "id"> {
  /** Epoch ms; of the first token: the session goes on beyond it for as long as its login stands. */
  readonly expiresAt: number;
}

/** Which sessions there are: to look at and to end, for nothing else. All but `begun` may throw `unavailable`. */
export interface SessionBook {
  /** `until` (epoch ms): until when it can be renewed; Infinity: its login has no end. Throws `unavailable`. */
  begun(session: Session, at: { readonly host: string; readonly peer: string; readonly until: number }): Promise<void>;
  /** One's own, an administrator's are everybody's. Oldest first. */
  list(principal: Principal): Promise<readonly SessionView[]>;
  /** Closes what is open of it, too. Throws `not_found`, also for those of others. */
  end(id: string, principal: Principal): Promise<void>;
  /**
   * Ends everything that somebody has: logins, tokens, sessions, and what is open. Returns how many logins and tokens that were. A way to
   * log in stays one, and so does what the caller asks with. Throws `denied` for who is neither that user nor an administrator.
   */
  endUser(user: Identity, caller: Caller): Promise<number>;
}

/** Keeps nothing but what the store keeps: there is nothing to close. */
export function createSessionBook(deps: {
  readonly store: Store;
  readonly clock: Clock;
  readonly tokens: Pick<Tokens, "find" | "revoke">;
  readonly revocations: Revocations;
}): SessionBook {
  const { store, clock, tokens, revocations } = deps;

  async function stands(id: string, record: SessionRecord): Promise<boolean> {
    if (revocations.has(id) || revocations.hasUser(record.user, record.createdAt)) return false;
    return clock.now() < record.expiresAt || (await tokens.find(rootOf(id))) !== null;
  }

  return {
    async begun({ id, principal: { realm, name }, service, proof, expiresAt }, { host, peer, until }) {
      const now = clock.now();
      const record: SessionRecord = {
        ...{ user: { realm, name }, service, host, proof: proof ?? null, peer, createdAt: now, expiresAt },
      };
      await store.put(KIND, id, record, { version: null, expiresAt: Math.min(until, now + KEEP_MS) });
    },
    async list(principal) {
      const found: SessionView[] = [];
      for (const [id, { value }] of await store.list<SessionRecord>(KIND)) {
        if (!isAbove(value.user, principal) || !(await stands(id, value))) continue;
        const { user, service, host, proof, peer, createdAt } = value;
        found.push({ id, user, service, host, proof, peer, createdAt });
      }
      return found.toSorted((a, b) => a.createdAt - b.createdAt);
    },
    async end(id, principal) {
      const entry = await store.get<SessionRecord>(KIND, id);
      if (entry === null || !isAbove(entry.value.user, principal)) {
        throw new GatewayError("not_found", `there is no session ${JSON.stringify(id)} of yours`);
      }
      await revocations.revoke(id);
      await removed(store.remove(KIND, id, entry.version));
    },
    async endUser(user, caller) {
      if (!isAbove(user, caller)) throw new GatewayError("denied", "only administrators may log others out");
      await revocations.revokeUser(user);
      let ended = 0;
      for (const [id, { value }] of await store.list<{ readonly principal: Identity }>(TOKENS)) {
        if (!sameIdentity(value.principal, user) || id === caller.credential?.id) continue;
        await removed(tokens.revoke(id, { ...user, groups: [], admin: false }));
        ended += 1;
      }
      return ended;
    },
  };
}

/** Somebody else removed it meanwhile: that is what was wanted. */
async function removed(removing: Promise<void>): Promise<void> {
  try {
    await removing;
  } catch (error) {
    if (!isCode(error, "conflict") && !isCode(error, "not_found")) throw error;
  }
}
