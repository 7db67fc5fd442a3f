import { compare } from "bcrypt";
import { randomBytes, scrypt, timingSafeEqual } from "node:crypto";

/**
 * A password's hash, as a line of a password file has it: bcrypt (`$2b$COST$…`, and `$2y$` of Apache's htpasswd, which is the same), or
 * scrypt in the PHC string format that passlib writes (`$scrypt$ln=15,r=8,p=1$SALT$HASH`; `ln` is the logarithm of N, base64 without `=`).
 */
export type PasswordHash =
  | { readonly kind: "bcrypt"; readonly text: string }
  | {
      readonly kind: "scrypt";
      readonly logN: number;
      readonly r: number;
      readonly p: number;
      readonly salt: Buffer;
      readonly hash: Buffer;
    };

const BCRYPT = /^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$/;
const SCRYPT = /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9+/]{11,86})\$([A-Za-z0-9+/]{43,86})$/;

/** Each step up takes twice as long; this is about two seconds. */
const MAX_BCRYPT_COST = 15;
/** What checking one password may take: 128 · N · r bytes (RFC 7914 section 2). */
const MAX_SCRYPT_BYTES = 128 * 1024 * 1024;
const MAX_SCRYPT_P = 4;
const MIN_SCRYPT_LOG_N = 10;

const REMEDY = "write a new one: taskgate password NAME (scrypt), or htpasswd -B (bcrypt)";

/** What a hash that is not taken looks like, and what it is. */
const REFUSED: readonly (readonly [RegExp, string])[] = [
  [/^\$apr1\$|^\$1\$/, "an MD5 hash, which is guessed too quickly"],
  [/^\{SHA\}/i, "an unsalted SHA-1 hash, which is guessed too quickly"],
  [/^\$[56]\$/, "a SHA crypt hash"],
  [/^\$argon2/, "an argon2 hash"],
  [/^\$2/, "no well-formed bcrypt hash"],
  [/^\$scrypt/, "no well-formed scrypt hash"],
  [/^[./A-Za-z0-9]{13}$/, "a DES crypt hash (or a plain password), which is guessed too quickly"],
];

/** Reads a hash. A text is what is wrong with it and the remedy; it holds nothing of the hash. */
export function parsePasswordHash(text: string): PasswordHash | string {
  const bcrypt = BCRYPT.exec(text);
  if (bcrypt !== null) return readBcrypt(text, Number(bcrypt[1]));
  const scrypt = SCRYPT.exec(text);
  if (scrypt !== null) return readScrypt(scrypt);
  const what = REFUSED.find(([form]) => form.test(text))?.[1] ?? "no hash that is known here (or a plain password)";
  return `${what}; expected bcrypt or scrypt. ${REMEDY}`;
}

function readBcrypt(text: string, cost: number): PasswordHash | string {
  if (cost >= 4 && cost <= MAX_BCRYPT_COST) return { kind: "bcrypt", text: `$2b$${text.slice(4)}` };
  return `a bcrypt hash of cost ${String(cost)}; expected 4 to ${String(MAX_BCRYPT_COST)}. ${REMEDY}`;
}

function readScrypt(parts: RegExpExecArray): PasswordHash | string {
  const [logN = 0, r = 0, p = 0] = parts.slice(1, 4).map(Number);
  const [salt, hash] = [Buffer.from(parts[4] ?? "", "base64"), Buffer.from(parts[5] ?? "", "base64")];
  const bounded = 128 * 2 ** logN * r <= MAX_SCRYPT_BYTES && p <= MAX_SCRYPT_P;
  if (bounded && logN >= MIN_SCRYPT_LOG_N && r > 0 && p > 0) return { kind: "scrypt", logN, r, p, salt, hash };
  const expected = `ln of at least ${String(MIN_SCRYPT_LOG_N)}, at most 128 MiB (128 · 2^ln · r) and p of 1 to ${String(MAX_SCRYPT_P)}`;
  return `a scrypt hash whose cost is out of bounds; expected ${expected}. ${REMEDY}`;
}

/** Whether `password` is the one. On the thread pool, not on this thread. Of bcrypt only the first 72 bytes count, as everywhere. */
export async function matchesPassword(password: string, known: PasswordHash): Promise<boolean> {
  if (known.kind === "bcrypt") return compare(password, known.text);
  const found = await derive(password, known, known.hash.length);
  return timingSafeEqual(found, known.hash);
}

/** A line's hash for a new password: scrypt with 32 MiB, as OWASP's Password Storage Cheat Sheet has it (N=2^15, r=8, p=3). */
export async function hashPassword(password: string): Promise<string> {
  const cost = { logN: 15, r: 8, p: 3, salt: randomBytes(16) };
  const hash = await derive(password, cost, 32);
  const plain = (bytes: Buffer): string => bytes.toString("base64").replace(/=+$/, "");
  return `$scrypt$ln=${String(cost.logN)},r=${String(cost.r)},p=${String(cost.p)}$${plain(cost.salt)}$${plain(hash)}`;
}

function derive(
  password: string,
  { logN, r, p, salt }: Pick<Extract<PasswordHash, { kind: "scrypt" }>, "logN" | "r" | "p" | "salt">,
  length: number,
): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  // OpenSSL counts some blocks more than 128 · N · r.
  const maxmem = 2 * MAX_SCRYPT_BYTES;
  scrypt(password, salt, length, { N: 2 ** logN, r, p, maxmem }, (error, key) => {
    if (error === null) resolve(key);
    else reject(error);
  });
  return promise;
}
