import { timingSafeEqual } from "node:crypto";
import {
  copyPrincipal,
  GatewayError,
  isCode,
  type Principal,
  sameIdentity,
  type Scope,
  whoText,
} from "../model/index.ts";
import type { Clock } from "../platform/clock.ts";
import type { Store } from "../store/store.ts";
import { isAbove } from "./access.ts";
import { hashOf, newPublicId, newSecret, NO_HASH } from "./codes.ts";
import type { Revocations } from "./revocations.ts";
import type { TokenUses } from "./token-uses.ts";

const KIND = "tokens";
const MAX_PER_PRINCIPAL = 1000;

/** `tg_ID_SECRET`: the id is public and of 60 bits, the secret of 256. */
const FORM = /^tg_([a-z2-7]{12})_[A-Za-z0-9_-]{43}$/;
const ID_FORM = /^[a-z2-7]{12}$/;

/** Issued for programs, or a browser's login to the gate. */
export type TokenKind = "token" | "browser";

/** What may be known of a token: nothing that opens anything. */
export interface TokenView {
  readonly id: string;
  readonly name: string;
  /** `[REALM/]NAME`, without the realm of who looks. */
  readonly owner: string;
  readonly kind: TokenKind;
  /** null: all that its owner may do. */
  readonly scope: Scope | null;
  readonly createdAt: number;
  readonly expiresAt: number | null;
  /** To within ten minutes; null: never. */
  readonly lastUsedAt: number | null;
}

/** `token` is shown this once. */
export interface NewToken {
  readonly view: TokenView;
  readonly token: string;
}

export interface TokenOptions {
  readonly name: string;
  /** With the scope that the token is to have. */
  readonly principal: Principal;
  readonly kind: TokenKind;
  /** How who gets it proved who they are: name of the login method. */
  readonly proof?: string;
  /** Absent: until it is revoked. */
  readonly lifetimeMs?: number;
}

/** What stands behind a good token. */
export interface Grounds {
  readonly id: string;
  /** `link`: it stands on a grant to who has a link. */
  readonly kind: TokenKind | "link";
  readonly principal: Principal;
  /** Name of the login method by which it was had, where that is known. */
  readonly proof?: string;
  /** Epoch ms. */
  readonly expiresAt: number | null;
}

/** All may throw `unavailable`. */
export interface Tokens {
  /** Throws `conflict` for somebody who has too many. */
  issue(options: TokenOptions): Promise<NewToken>;
  /** Throws `unauthenticated`, with the reason. */
  verify(token: string): Promise<Grounds>;
  /** null: there is none, or it is revoked or expired, or of somebody whom this gate does not know any more. */
  find(id: string): Promise<Grounds | null>;
  /** The principal's own; an administrator's are everybody's. Oldest first. */
  list(principal: Principal): Promise<readonly TokenView[]>;
  /** Throws `not_found`, also for those of others. */
  revoke(id: string, principal: Principal): Promise<void>;
}

interface TokenRecord {
  readonly name: string;
  readonly kind: TokenKind;
  readonly proof?: string;
  readonly principal: Principal;
  /** SHA-256 of the whole token. */
  readonly hash: string;
  readonly createdAt: number;
  readonly expiresAt: number | null;
}

export interface TokensDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly revocations: Revocations;
  readonly uses: TokenUses;
  /** Who a kept principal is today; null: nobody any more. */
  readonly current: (principal: Principal) => Principal | null;
}

/** Whether `text` claims to be a token of a gate, well-formed or not. */
export function looksLikeToken(text: string): boolean {
  return text.startsWith("tg_");
}

/** Whether `id` could be the public id of a token. */
export function isTokenId(id: string): boolean {
  return ID_FORM.test(id);
}

/** Tokens in the store: hashed, listed, revoked. */
export function createTokens(deps: TokensDeps): Tokens {
  const { store, clock, revocations, uses } = deps;

  function grounds(id: string, record: TokenRecord | undefined): Grounds | null {
    if (record === undefined || revocations.has(id)) return null;
    if (record.expiresAt !== null && record.expiresAt <= clock.now()) return null;
    const principal = deps.current(record.principal);
    if (principal === null) return null;
    const { kind, proof, expiresAt } = record;
    return { id, kind, principal, ...(proof === undefined ? {} : { proof }), expiresAt };
  }

  return {
    async issue(options) {
      const mine = await records(store, (record) => sameIdentity(record.principal, options.principal));
      if (mine.length >= MAX_PER_PRINCIPAL) {
        throw new GatewayError("conflict", `there are ${String(mine.length)} tokens already; revoke some first`);
      }
      const id = newPublicId();
      const token = `tg_${id}_${newSecret()}`;
      const record = makeRecord(options, hashOf(token), clock.now());
      const expiry = record.expiresAt === null ? {} : { expiresAt: record.expiresAt };
      await store.put(KIND, id, record, { version: null, ...expiry });
      return { view: viewOf(id, record, { realm: record.principal.realm }), token };
    },
    async verify(token) {
      const id = FORM.exec(token)?.[1];
      const record = id === undefined ? undefined : (await store.get<TokenRecord>(KIND, id))?.value;
      const right = timingSafeEqual(Buffer.from(record?.hash ?? NO_HASH), Buffer.from(hashOf(token)));
      const found = id === undefined || !right ? null : grounds(id, record);
      if (found === null) throw new GatewayError("unauthenticated", "this token is wrong, revoked or expired");
      uses.note(found.id, found.expiresAt);
      return found;
    },
    async find(id) {
      return ID_FORM.test(id) ? grounds(id, (await store.get<TokenRecord>(KIND, id))?.value) : null;
    },
    async list(principal) {
      const visible = await records(store, (record) => isAbove(record.principal, principal));
      const used = await uses.all();
      return visible
        .filter(([id, record]) => grounds(id, record) !== null)
        .map(([id, record]) => viewOf(id, record, { realm: principal.realm, lastUsedAt: used.get(id) }))
        .toSorted((a, b) => a.createdAt - b.createdAt);
    },
    async revoke(id, principal) {
      const entry = ID_FORM.test(id) ? await store.get<TokenRecord>(KIND, id) : null;
      if (entry === null || !isAbove(entry.value.principal, principal)) {
        throw new GatewayError("not_found", `there is no token ${JSON.stringify(id)} of yours`);
      }
      await revocations.revoke(id);
      try {
        await store.remove(KIND, id, entry.version);
      } catch (error) {
        // Somebody else removed it meanwhile, which is what was wanted.
        if (!isCode(error, "conflict")) throw error;
      }
      await uses.forget(id);
    },
  };
}

async function records(store: Store, wanted: (record: TokenRecord) => boolean): Promise<[string, TokenRecord][]> {
  const entries = await store.list<TokenRecord>(KIND);
  return [...entries]
    .map(([id, entry]): [string, TokenRecord] => [id, entry.value])
    .filter(([, record]) => wanted(record));
}

function makeRecord(options: TokenOptions, hash: string, now: number): TokenRecord {
  const { name, kind, proof, lifetimeMs } = options;
  return {
    name,
    kind,
    ...(proof === undefined ? {} : { proof }),
    // A caller's principal may carry more than belongs here.
    principal: copyPrincipal(options.principal),
    hash,
    createdAt: now,
    expiresAt: lifetimeMs === undefined ? null : now + lifetimeMs,
  };
}

/** `realm`: of who looks. */
function viewOf(
  id: string,
  record: TokenRecord,
  { realm, lastUsedAt = null }: { readonly realm: string; readonly lastUsedAt?: number | undefined | null },
): TokenView {
  const { name, kind, principal, createdAt, expiresAt } = record;
  const owner = whoText(principal, realm);
  return { id, name, owner, kind, scope: principal.scope ?? null, createdAt, expiresAt, lastUsedAt };
}
