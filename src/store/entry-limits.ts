import { GatewayError } from "../model/index.ts";

/** Of a value as JSON in UTF-8. Kubernetes objects hold a little more than 1 MiB. */
export const MAX_VALUE_BYTES = 256 * 1024;

/** Of a key in UTF-8. */
export const MAX_KEY_BYTES = 4096;

const KIND = /^[a-z][a-z0-9-]{0,62}$/;

/** Throws `bad_request` for a kind that is no lower-case word. */
export function checkKind(kind: string): void {
  if (!KIND.test(kind)) throw new GatewayError("bad_request", `${JSON.stringify(kind)} is no kind: a lower-case word`);
}

/** Every well-formed string is a key, the empty one too. Throws `too_large` or, for half a surrogate pair, `bad_request`. */
export function checkKey(key: string): void {
  // Half a pair would come back from UTF-8 as U+FFFD, the same for all of them.
  if (!key.isWellFormed()) throw new GatewayError("bad_request", "the key holds half a surrogate pair");
  if (Buffer.byteLength(key) > MAX_KEY_BYTES) {
    throw new GatewayError("too_large", `the key has more than ${MAX_KEY_BYTES} bytes`);
  }
}

/** The value of an entry as JSON. Throws what is wrong with the entry, by its kind, key, value and expiry, in that order. */
export function encodeEntry(
  kind: string,
  key: string,
  { value, expiresAt }: { readonly value: unknown; readonly expiresAt: number | null },
): string {
  checkKind(kind);
  checkKey(key);
  const text = encodeValue(value);
  checkExpiry(expiresAt);
  return text;
}

/** Throws `bad_request` for a time that is no whole number of ms; null: none. */
function checkExpiry(expiresAt: number | null): void {
  if (expiresAt === null || Number.isSafeInteger(expiresAt)) return;
  throw new GatewayError("bad_request", "expiresAt is epoch ms, a whole number");
}

/** The value as JSON. Throws `bad_request` for what JSON cannot hold, `too_large` beyond the bound. */
function encodeValue(value: unknown): string {
  const text = toJson(value);
  if (Buffer.byteLength(text) > MAX_VALUE_BYTES) {
    throw new GatewayError("too_large", `the value has more than ${MAX_VALUE_BYTES} bytes as JSON`);
  }
  return text;
}

function toJson(value: unknown): string {
  try {
    // Its type leaves out that functions, symbols and undefined give undefined.
    const text: unknown = JSON.stringify(value);
    if (typeof text === "string") return text;
  } catch (error) {
    throw new GatewayError("bad_request", "the value cannot be written as JSON", { cause: error });
  }
  throw new GatewayError("bad_request", "the value cannot be written as JSON");
}
