import { type KeyObject, sign, verify } from "node:crypto";

/** EdDSA over Ed25519 (RFC 8037) for what the gate itself verifies; ES256 (RFC 7518) for what jobs verify, whose libraries all know it. */
export type Algorithm = "EdDSA" | "ES256";

/**
 * Compact JWS (RFC 7515) in exactly one form: one algorithm, one `typ`, the key named by `kid`. The protected header is never parsed: it
 * is compared, byte for byte, with what this gate writes for its own keys. So `none`, other algorithms, embedded keys, other types and
 * unknown key ids are all the same thing: not ours.
 */
export interface SigningKey {
  readonly kid: string;
  readonly alg: Algorithm;
  readonly privateKey: KeyObject;
}

/** Longest token that is made or looked at: what fits a cookie beside its name and attributes (RFC 6265 section 6.1). */
export const MAX_TOKEN_LENGTH = 3800;

/** Ed25519 signatures have 64 bytes: 86 characters. */
const SIGNATURE_LENGTH = 86;
const BASE64URL = /^[A-Za-z0-9_-]+$/;

/** Verifies tokens of one `typ`, signed by EdDSA; made once per set of keys. */
export interface Verifier {
  /** The payload's bytes as text, or null: not signed by one of the keys in that form. Never throws. */
  open(token: string): string | null;
}

/** Throws RangeError for a payload that makes the token longer than `MAX_TOKEN_LENGTH`. */
export function signToken(key: SigningKey, typ: string, payload: string): string {
  const signed = `${headerOf(key, typ)}.${Buffer.from(payload).toString("base64url")}`;
  const token = `${signed}.${signatureOf(key, Buffer.from(signed)).toString("base64url")}`;
  if (token.length > MAX_TOKEN_LENGTH) throw new RangeError("token is too long");
  return token;
}

/** `keys`: public ones by kid. */
export function createVerifier(keys: ReadonlyMap<string, KeyObject>, typ: string): Verifier {
  const byHeader = new Map([...keys].map(([kid, key]) => [headerOf({ kid, alg: "EdDSA" }, typ), key]));
  return {
    open(token) {
      if (token.length > MAX_TOKEN_LENGTH) return null;
      const [header = "", payload = "", signature = "", ...rest] = token.split(".", 4);
      const key = byHeader.get(header);
      if (key === undefined || rest.length > 0 || signature.length !== SIGNATURE_LENGTH) return null;
      const payloadBytes = decode(payload);
      const signatureBytes = decode(signature);
      if (payloadBytes === null || signatureBytes === null) return null;
      if (!verify(null, Buffer.from(`${header}.${payload}`), key, signatureBytes)) return null;
      return payloadBytes.toString("utf8");
    },
  };
}

function headerOf({ kid, alg }: Omit<SigningKey, "privateKey">, typ: string): string {
  return Buffer.from(JSON.stringify({ alg, kid, typ })).toString("base64url");
}

/** 64 bytes by either algorithm: JWS wants ES256 as two numbers (RFC 7518 section 3.4), not as DER. */
function signatureOf({ alg, privateKey }: SigningKey, data: Buffer): Buffer {
  return alg === "EdDSA"
    ? sign(null, data, privateKey)
    : sign("sha256", data, { key: privateKey, dsaEncoding: "ieee-p1363" });
}

/** null unless it is the one base64url spelling (RFC 4648 section 5, no padding) of some bytes. */
function decode(text: string): Buffer | null {
  if (!BASE64URL.test(text)) return null;
  const bytes = Buffer.from(text, "base64url");
  return bytes.toString("base64url") === text ? bytes : null;
}
