import { createPublicKey } from "node:crypto";
import type { Entries, SessionKey } from "../../../model/index.ts";
import { type Any, pack } from "../proto/kit.ts";
import { JwtAuthentication } from "../proto/tables/jwt-authn.ts";
import { CLAIMS } from "./cel.ts";

/** Longest session that is looked at: a cookie has no room for more. */
const MAX_TOKEN_BYTES = 4096;
/** Verified sessions that each worker thread of an Envoy keeps. */
const CACHED = 5_000;

/** What a claim of a session says to the job. */
export const TOLD = Object.freeze({
  xu: "x-taskgate-user",
  xg: "x-taskgate-groups",
  ast: "x-taskgate-assertion",
});

/**
 * Verifies the session cookie by the keys of the table, and says what is in it; one that is missing or no good is nobody's. It cannot look
 * at `typ`, so whoever goes by what it says must ask for claims that sessions alone have.
 */
export function sessionFilter(cookie: string, keys: Entries<SessionKey>): Any {
  return pack(JwtAuthentication, {
    providers: {
      session: {
        fromCookies: [cookie],
        payloadInMetadata: CLAIMS,
        localJwks: {
          inlineString: JSON.stringify({
            keys: keys.size === 0 ? [NOBODYS] : [...keys].map(([kid, key]) => jwkOf(kid, key)),
          }),
        },
        forward: true,
        jwtCacheConfig: { jwtCacheSize: CACHED, jwtMaxTokenSize: MAX_TOKEN_BYTES },
        claimToHeaders: Object.entries(TOLD).map(([claimName, headerName]) => ({ claimName, headerName })),
      },
    },
    rules: [
      {
        match: { prefix: "/" },
        requires: { requiresAny: { requirements: [{ providerName: "session" }, { allowMissingOrFailed: {} }] } },
      },
    ],
  });
}

/** Until there are keys: Envoy takes no empty set. Nobody has its other half. */
const NOBODYS = {
  kty: "OKP",
  crv: "Ed25519",
  x: "Pxwmi1MJwHRUxPocXy7Gnd7B6ZTIeir1V7C42RV3jh4",
  kid: "none",
  alg: "EdDSA",
  use: "sig",
};

function jwkOf(kid: string, { publicKey }: SessionKey): object {
  const { kty, crv, x } = createPublicKey(publicKey).export({ format: "jwk" });
  return { kty, crv, x, kid, alg: "EdDSA", use: "sig" };
}
