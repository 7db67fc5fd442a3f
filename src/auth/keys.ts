import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { GatewayError, isCode, type SessionKey } from "../model/index.ts";
import type { Clock } from "../platform/clock.ts";
import type { Logger } from "../platform/logger.ts";
import type { Store, Versioned } from "../store/store.ts";
import type { Algorithm, SigningKey } from "./jws.ts";

const KIND = "keys";
const LIFETIME_MS = 10 * 365 * 86_400_000;
/** Longest time between two looks at what is due: far below what a timer can hold. */
const LOOK_MS = 3_600_000;
const RETRY_MS = 60_000;
const MAX_TRIES = 20;

/** What a ring's keys sign. */
export type KeyUse = "session" | "assertion";

const ALGORITHM = { session: "EdDSA", assertion: "ES256" } as const satisfies Record<KeyUse, Algorithm>;

/**
 * `published`: everybody who verifies is to learn of it, and nothing is signed with it yet. `used`: signs. `retired`: verifies until what it
 * signed has ended; then it is removed. One write makes the next key used and the one before retired: whoever reads the store, at any
 * moment and after any crash, finds exactly one that signs, which all have known before.
 */
export type KeyState = "published" | "used" | "retired";

interface KeyRecord {
  /** PKCS8, PEM. */
  readonly privateKey: string;
  readonly state: KeyState;
  /** Epoch ms; of the state. */
  readonly since: number;
  /** Epoch ms; of one that is retired. */
  readonly until?: number;
}

/** The one entry of each use in the store. */
interface Ring {
  readonly keys: readonly KeyRecord[];
}

/** What may be known of a key. */
export interface KeyView {
  readonly id: string;
  readonly use: KeyUse;
  readonly state: KeyState;
  /** Epoch ms; of the state. */
  readonly since: number;
  /** Epoch ms: when one that is retired is removed. */
  readonly until: number | null;
}

/** The keys of one use, kept in step with the store. Disposing stops what is due by time. */
export interface KeyRing extends Disposable {
  readonly signer: SigningKey;
  /** By kid; all that are not removed, newest first. */
  readonly verifiers: ReadonlyMap<string, KeyObject>;
  /** What a data plane needs to verify, by kid. */
  readonly published: ReadonlyMap<string, SessionKey>;
  list(): readonly KeyView[];
  /** Called after every change of the keys. */
  observe(listener: () => void): Disposable;
  /** Publishes the next key; it signs once it is acknowledged. Nothing, where one is on its way already. Throws `unavailable`. */
  rotate(): Promise<void>;
  /** All of this gate's planes verify with these now. */
  acknowledge(kids: Iterable<string>): void;
}

export interface KeyRingDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly use: KeyUse;
  /** Age at which the key that signs is followed by another; 0: only when `rotate` is called. */
  readonly rotateMs: number;
  /** Least time that a key is published before it signs: what others who have the same store need to hear of it. */
  readonly publishMs: number;
  /** How long a retired key verifies: the longest that something signed by it is good, and by how far clocks differ. */
  readonly keepMs: number;
  /** Whether planes have to acknowledge a key before it signs. */
  readonly acknowledged: boolean;
}

/** Takes the keys from the store, and makes the first one there. Throws `unavailable`. */
export async function startKeyRing(deps: KeyRingDeps): Promise<KeyRing> {
  const ring = new StoredRing(deps, await firstRing(deps));
  ring.start();
  return ring;
}

async function firstRing({ store, clock, use }: KeyRingDeps): Promise<Ring> {
  for (;;) {
    const entry = await store.get<Ring>(KIND, use);
    if (entry !== null) return entry.value;
    const first: KeyRecord = { privateKey: newPrivateKey(ALGORITHM[use]), state: "used", since: clock.now() };
    try {
      await store.put(KIND, use, { keys: [first] }, { version: null });
    } catch (error) {
      // Another gate on the same store was first: its key is the key.
      if (!isCode(error, "conflict")) throw error;
    }
  }
}

interface ReadKey extends KeyRecord {
  readonly kid: string;
  readonly secret: KeyObject;
  readonly publicKey: KeyObject;
}

class StoredRing implements KeyRing {
  readonly #deps: KeyRingDeps;
  readonly #listeners = new Set<() => void>();
  readonly #acknowledged = new Set<string>();
  #keys: readonly ReadKey[] = [];
  #verifiers: ReadonlyMap<string, KeyObject> = new Map();
  #signer!: SigningKey;
  #watch: Disposable | null = null;
  #timer: Disposable | null = null;
  #stopped = false;

  constructor(deps: KeyRingDeps, ring: Ring) {
    this.#deps = deps;
    this.#take(ring);
  }

  start(): void {
    this.#watch = this.#deps.store.watch<Ring>(KIND, null, (use, entry) => {
      if (use === this.#deps.use && entry !== null) this.#learn(entry);
    });
    this.#schedule();
  }

  get signer(): SigningKey {
    return this.#signer;
  }

  get verifiers(): ReadonlyMap<string, KeyObject> {
    return this.#verifiers;
  }

  get published(): ReadonlyMap<string, SessionKey> {
    return new Map(
      this.#keys.map(({ kid, publicKey, since, until }) => [
        kid,
        {
          publicKey: publicKey.export({ type: "spki", format: "pem" }).toString(),
          notAfter: until ?? since + LIFETIME_MS,
        },
      ]),
    );
  }

  list(): readonly KeyView[] {
    const { use } = this.#deps;
    return this.#keys.map(({ kid, state, since, until }) => ({ id: kid, use, state, since, until: until ?? null }));
  }

  observe(listener: () => void): Disposable {
    this.#listeners.add(listener);
    return {
      [Symbol.dispose]: () => {
        this.#listeners.delete(listener);
      },
    };
  }

  async rotate(): Promise<void> {
    const { use, logger } = this.#deps;
    const next = newPrivateKey(ALGORITHM[use]);
    const published = await this.#change((keys, now) => {
      if (keys.some((key) => key.state === "published")) return null;
      return [{ privateKey: next, state: "published", since: now }, ...keys];
    });
    if (published) logger.info({ use }, "next signing key published");
  }

  acknowledge(kids: Iterable<string>): void {
    for (const kid of kids) this.#acknowledged.add(kid);
    if (this.#waiting() !== null) this.#schedule();
  }

  /** The published key that may not sign yet. */
  #waiting(): ReadKey | null {
    return this.#keys.find(({ state }) => state === "published") ?? null;
  }

  #learn(entry: Versioned<Ring>): void {
    const same =
      entry.value.keys.length === this.#keys.length &&
      entry.value.keys.every(({ state, privateKey }, at) => {
        const known = this.#keys[at];
        return known?.state === state && known.privateKey === privateKey;
      });
    if (same) return;
    this.#take(entry.value);
    for (const listener of this.#listeners) listener();
    this.#schedule();
  }

  #take(ring: Ring): void {
    const before = new Map(this.#keys.map((key) => [key.privateKey, key]));
    this.#keys = ring.keys.map((record) => ({ ...(before.get(record.privateKey) ?? readKey(record)), ...record }));
    const signing = this.#keys.find(({ state }) => state === "used");
    if (signing === undefined) throw new GatewayError("unavailable", "the store has no key that signs");
    this.#verifiers = new Map(this.#keys.map(({ kid, publicKey }) => [kid, publicKey]));
    this.#signer = { kid: signing.kid, alg: ALGORITHM[this.#deps.use], privateKey: signing.secret };
  }

  /** Until when (epoch ms) nothing is due. */
  #nextLook(now: number): number {
    const { acknowledged, publishMs, rotateMs } = this.#deps;
    let next = now + LOOK_MS;
    const waiting = this.#waiting();
    for (const { kid, state, since, until = Infinity } of this.#keys) {
      if (state === "retired") next = Math.min(next, until);
      if (state === "used" && rotateMs > 0 && waiting === null) next = Math.min(next, since + rotateMs);
      if (state === "published" && (!acknowledged || this.#acknowledged.has(kid))) {
        next = Math.min(next, since + publishMs);
      }
    }
    return next;
  }

  #schedule(atLeastMs = 0): void {
    this.#timer?.[Symbol.dispose]();
    if (this.#stopped) return;
    const { clock, logger, use } = this.#deps;
    const now = clock.now();
    this.#timer = clock.after(Math.max(atLeastMs, this.#nextLook(now) - now), () => {
      this.#look().then(
        () => this.#schedule(1000),
        (error: unknown) => {
          logger.warn({ err: error, use }, "signing keys could not be looked after");
          this.#schedule(RETRY_MS);
        },
      );
    });
  }

  /** Does what is due. Of two gates that find the same due, one writes it and the other finds it written. */
  async #look(): Promise<void> {
    const { clock, rotateMs } = this.#deps;
    const now = clock.now();
    await this.#advance();
    const signing = this.#keys.find(({ state }) => state === "used");
    if (rotateMs > 0 && signing !== undefined && now >= signing.since + rotateMs && this.#waiting() === null) {
      await this.rotate();
    }
  }

  async #advance(): Promise<void> {
    const { acknowledged, keepMs, logger, publishMs, use } = this.#deps;
    const ready = (key: KeyRecord, now: number): boolean =>
      key.state === "published" &&
      now >= key.since + publishMs &&
      (!acknowledged || this.#acknowledged.has(readKey(key).kid));
    const changed = await this.#change((keys, now) => {
      const next = keys.some((key) => ready(key, now));
      const kept = keys.filter(({ until = Infinity }) => now < until);
      if (!next && kept.length === keys.length) return null;
      return kept.map((key) => {
        if (ready(key, now)) return { privateKey: key.privateKey, state: "used", since: now };
        if (!next || key.state !== "used") return key;
        return { privateKey: key.privateKey, state: "retired", since: now, until: now + keepMs };
      });
    });
    if (changed) logger.info({ use }, "signing keys changed");
  }

  /** Writes what `change` makes of the keys of now; gives whether it did. What was written is learned by the watch, as by everybody. */
  async #change(change: (keys: readonly KeyRecord[], now: number) => readonly KeyRecord[] | null): Promise<boolean> {
    const { clock, store, use } = this.#deps;
    for (let tries = 0; tries < MAX_TRIES; tries += 1) {
      const entry = await store.get<Ring>(KIND, use);
      if (entry === null) break;
      const keys = change(entry.value.keys, clock.now());
      if (keys === null) return false;
      try {
        await store.put<Ring>(KIND, use, { keys }, { version: entry.version });
        return true;
      } catch (error) {
        if (!isCode(error, "conflict")) throw error;
      }
    }
    throw new GatewayError("unavailable", "the signing keys cannot be changed just now");
  }

  [Symbol.dispose](): void {
    this.#stopped = true;
    this.#watch?.[Symbol.dispose]();
    this.#timer?.[Symbol.dispose]();
  }
}

function newPrivateKey(algorithm: Algorithm): string {
  const { privateKey } =
    algorithm === "EdDSA" ? generateKeyPairSync("ed25519") : generateKeyPairSync("ec", { namedCurve: "P-256" });
  return privateKey.export({ type: "pkcs8", format: "pem" }).toString();
}

function readKey(record: KeyRecord): ReadKey {
  const secret = createPrivateKey(record.privateKey);
  const publicKey = createPublicKey(secret);
  const der = publicKey.export({ type: "spki", format: "der" });
  // 96 bits of the key's own hash: the id cannot say one key and mean another.
  return { ...record, kid: createHash("sha256").update(der).digest("base64url").slice(0, 16), secret, publicKey };
}
