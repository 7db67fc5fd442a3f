import { createHmac, createPublicKey, generateKeyPairSync, sign } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createVerifier, MAX_TOKEN_LENGTH, signToken } from "./jws.ts";

const TYP = "taskgate-session+jwt";
const { privateKey, publicKey } = generateKeyPairSync("ed25519");
const other = generateKeyPairSync("ed25519");
const alg = "EdDSA";
const key = { kid: "k1", alg, privateKey } as const;
const verifier = createVerifier(new Map([["k1", publicKey]]), TYP);
const PAYLOAD = JSON.stringify({ sub: "olga" });
const token = signToken(key, TYP, PAYLOAD);
const [HEADER = "", BODY = "", SIGNATURE = ""] = token.split(".");

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}

/** Signed with the gate's own key, under another header. */
function signedWith(header: unknown): string {
  const signed = `${encode(header)}.${BODY}`;
  return `${signed}.${sign(null, Buffer.from(signed), privateKey).toString("base64url")}`;
}

test("opens what it signed", () => {
  expect(verifier.open(token)).toBe(PAYLOAD);
  expect(JSON.parse(Buffer.from(HEADER, "base64url").toString())).toEqual({ alg: "EdDSA", kid: "k1", typ: TYP });
});

describe("refuses", () => {
  const spki = publicKey.export({ type: "spki", format: "pem" });
  const hmac = `${encode({ alg: "HS256", kid: "k1", typ: TYP })}.${BODY}`;
  const otherToken = signToken({ kid: "k1", alg, privateKey: other.privateKey }, TYP, PAYLOAD);
  const cases: Record<string, string> = {
    "no algorithm at all": `${encode({ alg: "none", kid: "k1", typ: TYP })}.${BODY}.`,
    "no algorithm, with a signature": `${encode({ alg: "none", kid: "k1", typ: TYP })}.${BODY}.${SIGNATURE}`,
    "HMAC keyed with the public key": `${hmac}.${createHmac("sha256", spki).update(hmac).digest("base64url")}`,
    "another spelling of the algorithm": signedWith({ alg: "Ed25519", kid: "k1", typ: TYP }),
    "another type, signed with the right key": signedWith({ alg: "EdDSA", kid: "k1", typ: "JWT" }),
    "no type": signedWith({ alg: "EdDSA", kid: "k1" }),
    "an unknown key id": signedWith({ alg: "EdDSA", kid: "k2", typ: TYP }),
    "a key id that is a path": signedWith({ alg: "EdDSA", kid: "../../dev/null", typ: TYP }),
    "a key id of a prototype": signedWith({ alg: "EdDSA", kid: "__proto__", typ: TYP }),
    "a key in the header": signedWith({
      alg: "EdDSA",
      kid: "k1",
      typ: TYP,
      jwk: other.publicKey.export({ format: "jwk" }),
    }),
    "a key by address": signedWith({ alg: "EdDSA", kid: "k1", typ: TYP, jku: "http://127.0.0.1/keys" }),
    "a critical extension": signedWith({ alg: "EdDSA", kid: "k1", typ: TYP, crit: ["b64"], b64: false }),
    "the same header in another order": signedWith({ kid: "k1", alg: "EdDSA", typ: TYP }),
    "another key's signature under the right id": otherToken,
    "no signature": `${HEADER}.${BODY}.`,
    "two parts": `${HEADER}.${BODY}`,
    "four parts": `${token}.${SIGNATURE}`,
    "five parts": `${token}.a.b`,
    "a padded signature": `${token}==`,
    spaces: ` ${token}`,
    "standard base64": `${HEADER}.${BODY}.${SIGNATURE.slice(0, -1)}+`,
    "another payload": `${HEADER}.${encode({ sub: "eve" })}.${SIGNATURE}`,
    nothing: "",
    dots: "..",
    "far too long a token": `${HEADER}.${"A".repeat(1_000_000)}.${SIGNATURE}`,
  };
  test.each(Object.entries(cases))("%s", (_name, forged) => {
    expect(verifier.open(forged)).toBeNull();
  });

  test("any token with one character changed, whichever", () => {
    const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    fc.assert(
      fc.property(fc.nat(token.length - 1), fc.constantFrom(...Array.from(alphabet)), (at, character) => {
        fc.pre(token[at] !== character);
        expect(verifier.open(token.slice(0, at) + character + token.slice(at + 1))).toBeNull();
      }),
      { numRuns: 300 },
    );
  });

  test("any text, without throwing", () => {
    fc.assert(fc.property(fc.string({ unit: "binary", maxLength: 300 }), (text) => verifier.open(text) === null));
    const junk = fc.string({ unit: fc.constantFrom(...Array.from("Aa0_-.+=/ \u0000é")), maxLength: 100 });
    fc.assert(fc.property(junk, junk, (a, b) => verifier.open(`${HEADER}.${a}.${b}`) === null));
  });
});

test("signs nothing that would not fit a cookie", () => {
  expect(() => signToken(key, TYP, "x".repeat(MAX_TOKEN_LENGTH))).toThrow(RangeError);
});

test("verifies with any of several keys, each by its id", () => {
  const both = createVerifier(
    new Map([
      ["k1", publicKey],
      ["k2", createPublicKey(other.privateKey)],
    ]),
    TYP,
  );
  expect(both.open(token)).toBe(PAYLOAD);
  expect(both.open(signToken({ kid: "k2", alg, privateKey: other.privateKey }, TYP, "{}"))).toBe("{}");
  expect(both.open(signToken({ kid: "k1", alg, privateKey: other.privateKey }, TYP, "{}"))).toBeNull();
});
