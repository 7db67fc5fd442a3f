import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { isCode, type SessionKey } from "../model/index.ts";
import type { Clock } from "../platform/clock.ts";
import type { Store } from "../store/store.ts";
import type { SigningKey } from "./jws.ts";

const KIND = "keys";
const LIFETIME_MS = 10 * 365 * 86_400_000;
/** A key that ends sooner is not signed with any more, so that nothing that it signed outlives it. */
const MARGIN_MS = 365 * 86_400_000;

interface KeyRecord {
  readonly use: "session";
  /** PKCS8, PEM. */
  readonly privateKey: string;
  readonly notAfter: number;
}

/** The gate's session keys: every one that still verifies, and the one that signs. */
export interface Keys {
  readonly signer: SigningKey;
  /** By kid. */
  readonly verifiers: ReadonlyMap<string, KeyObject>;
  /** What a data plane needs to verify, by kid. */
  readonly published: ReadonlyMap<string, SessionKey>;
}

/** Takes the keys from the store, and makes the first one there. Throws `unavailable`. */
export async function loadKeys(deps: { readonly store: Store; readonly clock: Clock }): Promise<Keys> {
  const { store, clock } = deps;
  for (;;) {
    const entries = await store.list<KeyRecord>(KIND);
    const good = [...entries.values()].map((entry) => entry.value).filter((key) => key.notAfter > clock.now());
    const newest = good.toSorted((a, b) => b.notAfter - a.notAfter)[0];
    if (newest !== undefined && newest.notAfter > clock.now() + MARGIN_MS) return describe(newest, good);
    try {
      // The name is the same for everybody who starts now, so that two gates on one store end with one key.
      await store.put(KIND, `session-${String(entries.size + 1)}`, makeKey(clock.now()), { version: null });
    } catch (error) {
      if (!isCode(error, "conflict")) throw error;
    }
  }
}

function makeKey(now: number): KeyRecord {
  const { privateKey } = generateKeyPairSync("ed25519");
  return {
    use: "session",
    privateKey: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
    notAfter: now + LIFETIME_MS,
  };
}

function describe(signing: KeyRecord, all: readonly KeyRecord[]): Keys {
  const read = all.map((record) => ({ ...readKey(record.privateKey), record }));
  const signer = readKey(signing.privateKey);
  return {
    signer: { kid: signer.kid, privateKey: signer.privateKey },
    verifiers: new Map(read.map((key) => [key.kid, key.publicKey])),
    published: new Map(
      read.map((key) => [
        key.kid,
        {
          publicKey: key.publicKey.export({ type: "spki", format: "pem" }).toString(),
          notAfter: key.record.notAfter,
        },
      ]),
    ),
  };
}

function readKey(pem: string): { kid: string; privateKey: KeyObject; publicKey: KeyObject } {
  const privateKey = createPrivateKey(pem);
  const publicKey = createPublicKey(privateKey);
  const der = publicKey.export({ type: "spki", format: "der" });
  // 96 bits of the key's own hash: the id cannot say one key and mean another.
  return { kid: createHash("sha256").update(der).digest("base64url").slice(0, 16), privateKey, publicKey };
}
