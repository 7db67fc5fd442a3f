import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";

const ALGORITHM = "aes-256-gcm";
const IV_BYTES = 12;
const TAG_BYTES = 16;

/** Bytes of a key. */
export const SEALER_KEY_BYTES = 32;

/** Encrypts what is kept of other people's secrets, such as refresh tokens: who reads the store alone learns nothing of them. */
export interface Sealer {
  /** `context`: what it is kept for; what is sealed for one thing does not open for another. */
  seal(text: string, context: string): string;
  /** null: not sealed by this key for this. */
  open(sealed: string, context: string): string | null;
}

/** AES-256-GCM with random nonces. `key`: 32 bytes; RangeError otherwise. */
export function createSealer(key: Uint8Array): Sealer {
  if (key.byteLength !== SEALER_KEY_BYTES) throw new RangeError("a key of 32 bytes was expected");
  return {
    seal(text, context) {
      const iv = randomBytes(IV_BYTES);
      const cipher = createCipheriv(ALGORITHM, key, iv).setAAD(Buffer.from(context));
      const encrypted = Buffer.concat([cipher.update(text, "utf8"), cipher.final()]);
      return Buffer.concat([iv, encrypted, cipher.getAuthTag()]).toString("base64url");
    },
    open(sealed, context) {
      const bytes = Buffer.from(sealed, "base64url");
      if (bytes.length < IV_BYTES + TAG_BYTES) return null;
      const decipher = createDecipheriv(ALGORITHM, key, bytes.subarray(0, IV_BYTES), { authTagLength: TAG_BYTES })
        .setAAD(Buffer.from(context))
        .setAuthTag(bytes.subarray(-TAG_BYTES));
      try {
        const text = decipher.update(bytes.subarray(IV_BYTES, -TAG_BYTES));
        return Buffer.concat([text, decipher.final()]).toString("utf8");
      } catch {
        return null;
      }
    },
  };
}
