import { hash, randomBytes } from "node:crypto";
import { GatewayError, isCode } from "../model/index.ts";
import type { Clock } from "../platform/clock.ts";
import type { Store } from "../store/store.ts";

/** 32 random bytes, base64url. */
const FORM = /^[A-Za-z0-9_-]{43}$/;

/** A new secret of 256 bits that can stand in an address and in a cookie. */
export function newSecret(): string {
  return randomBytes(32).toString("base64url");
}

const ID_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567";

/** A new public name of something: twelve letters and digits of 60 random bits, so that names never meet where making one that is taken fails. */
export function newPublicId(): string {
  return Array.from(randomBytes(12), (byte) => ID_ALPHABET.charAt(byte & 31)).join("");
}

/** Whether `text` has the form of what `newSecret` makes. */
export function isSecretForm(text: string): boolean {
  return FORM.test(text);
}

/** SHA-256, base64url: what is kept of a secret. No salt is needed where the secret itself is random. */
export function hashOf(secret: string): string {
  return hash("sha256", secret, "base64url");
}

/** What a secret is compared with where there is none of that name. Made once, as the time to make it would tell. */
export const NO_HASH = hashOf("");

/** Codes that each stand for one value, once. */
export interface Codes<T> {
  /** `code`: one of `newSecret`, where it has to be known before its value is. */
  mint(value: T, lifetimeMs: number, code?: string): Promise<{ readonly code: string; readonly expiresAt: number }>;
  /** Throws `unauthenticated` where it is wrong, used or expired (nobody can tell which), and `unavailable`. */
  redeem(code: string): Promise<T>;
}

/** `kind`: of the entries in the store; one for each use, so that a code of one use is nothing to another. */
export function createCodes<T>(deps: {
  readonly store: Store;
  readonly clock: Clock;
  readonly kind: string;
}): Codes<T> {
  const { store, clock, kind } = deps;
  return {
    async mint(value, lifetimeMs, code = newSecret()) {
      const expiresAt = clock.now() + lifetimeMs;
      await store.put(kind, hashOf(code), { value, expiresAt }, { version: null, expiresAt });
      return { code, expiresAt };
    },
    async redeem(code) {
      const key = hashOf(code);
      const entry = isSecretForm(code)
        ? await store.get<{ readonly value: T; readonly expiresAt: number }>(kind, key)
        : null;
      if (entry === null) throw spent();
      try {
        await store.remove(kind, key, entry.version);
      } catch (error) {
        // Somebody else was first: removing is what decides who redeemed it.
        throw isCode(error, "conflict") ? spent() : error;
      }
      if (entry.value.expiresAt <= clock.now()) throw spent();
      return entry.value.value;
    },
  };
}

function spent(): GatewayError {
  return new GatewayError("unauthenticated", "this code is wrong, was used already, or has expired");
}
