import { createRemoteJWKSet, type JWTPayload, jwtVerify } from "jose";
import * as client from "openid-client";
import type { OidcMethod } from "../../../config/login-methods.ts";
import { GatewayError } from "../../../model/index.ts";
import type { Clock } from "../../../platform/clock.ts";
import { abortable } from "../../answers.ts";
import { failureOf } from "./failures.ts";

/** How old what the provider says of itself may get. */
const REDISCOVER_MS = 3_600_000;
/** Keys that it does not publish any more are good for so long at most. */
const KEYS_MS = 600_000;
/** A key that is not known is looked for at once, but no more often than that, whoever sends tokens with made-up key ids. */
const KEYS_AGAIN_MS = 2000;

/** What providers sign with. No `none`, and no secret that both sides would hold. */
const ALGORITHMS = [
  "RS256",
  "RS384",
  "RS512",
  "PS256",
  "PS384",
  "PS512",
  "ES256",
  "ES384",
  "ES512",
  "EdDSA",
  "Ed25519",
];

/** What a JWT has to be. */
export interface Expected {
  readonly audiences: readonly string[];
  /** In lower case; undefined among them: none said. */
  readonly types: readonly (string | undefined)[];
  readonly requiredClaims: readonly string[];
  /** Seconds since `iat`, at most. */
  readonly maxAgeS?: number;
}

/** The provider of one method, as it is now. Nothing is asked before somebody needs it; what fails is asked again by the next. */
export interface Provider {
  /** Runs `work` with the provider's metadata. Throws `unauthenticated`, `denied`, `unavailable`, and the signal's reason. */
  ask<T>(work: (config: client.Configuration) => Promise<T>, signal: AbortSignal): Promise<T>;
  /** The claims of a JWT of the provider's. Throws the same. */
  verify(token: string, expected: Expected, signal: AbortSignal): Promise<JWTPayload>;
}

interface Discovered {
  readonly config: client.Configuration;
  readonly keys: ReturnType<typeof createRemoteJWKSet>;
  readonly at: number;
}

/** `clientSecret` is read for each discovery, so that a new one counts within the hour. There is nothing to close. */
export function createProvider(
  method: OidcMethod,
  deps: { readonly clock: Clock; readonly clientSecret: () => Promise<string | null> },
): Provider {
  const { clock } = deps;
  let known: Discovered | null = null;
  let underWay: Promise<Discovered> | null = null;

  function current(): Promise<Discovered> {
    if (known !== null && clock.now() < known.at + REDISCOVER_MS) return Promise.resolve(known);
    return (underWay ??= renew().finally(() => {
      underWay = null;
    }));
  }

  async function renew(): Promise<Discovered> {
    try {
      return (known = await discover(method, await deps.clientSecret(), clock.now()));
    } catch (error) {
      if (known === null) throw error;
      // What it said an hour ago is better than nothing: its endpoints say themselves whether they answer.
      return (known = { ...known, at: clock.now() });
    }
  }

  async function run<T>(work: (provider: Discovered) => Promise<T>, signal: AbortSignal): Promise<T> {
    signal.throwIfAborted();
    const limit = AbortSignal.any([signal, AbortSignal.timeout(method.patience)]);
    try {
      return await abortable(
        current().then((provider) => work(provider)),
        limit,
      );
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      if (limit.aborted) throw new GatewayError("unavailable", `${method.name}: the provider does not answer in time`);
      throw failureOf(method.name, error);
    }
  }

  return {
    ask: (work, signal) => run(({ config }) => work(config), signal),
    verify: (token, expected, signal) =>
      run(async ({ keys }) => {
        const { payload, protectedHeader } = await jwtVerify(token, keys, {
          issuer: method.issuer,
          audience: [...expected.audiences],
          algorithms: ALGORITHMS,
          clockTolerance: method.clockTolerance / 1000,
          currentDate: new Date(clock.now()),
          requiredClaims: [...expected.requiredClaims],
          ...(expected.maxAgeS === undefined ? {} : { maxTokenAge: expected.maxAgeS }),
        });
        const type = protectedHeader.typ?.toLowerCase().replace(/^application\//, "");
        if (!expected.types.includes(type)) {
          throw new GatewayError("unauthenticated", `${method.name}: this is a JWT of another type`);
        }
        return payload;
      }, signal),
  };
}

async function discover(method: OidcMethod, clientSecret: string | null, now: number): Promise<Discovered> {
  const { clientId, issuer, patience } = method;
  const plain = new URL(issuer).protocol === "http:";
  const metadata = { [client.clockTolerance]: method.clockTolerance / 1000 };
  const proof = clientSecret === null ? client.None() : authenticateBy(clientSecret);
  const config = await client.discovery(new URL(issuer), clientId, metadata, proof, {
    timeout: patience / 1000,
    // Config allows plain HTTP for a provider on this very machine alone; it is deprecated so that nobody takes it for more.
    // eslint-disable-next-line @typescript-eslint/no-deprecated
    execute: plain ? [client.allowInsecureRequests] : [],
  });
  const { jwks_uri: keysAt, issuer: said } = config.serverMetadata();
  if (said !== issuer || keysAt === undefined) {
    throw new GatewayError("unavailable", `${method.name}: the provider's discovery document is not that of ${issuer}`);
  }
  const keys = createRemoteJWKSet(new URL(keysAt), {
    timeoutDuration: patience,
    cooldownDuration: KEYS_AGAIN_MS,
    cacheMaxAge: KEYS_MS,
  });
  return { config, keys, at: now };
}

/** As the provider asks for: `client_secret_basic` is what is meant where it says nothing (RFC 8414 section 2). */
function authenticateBy(secret: string): client.ClientAuth {
  const [basic, post] = [client.ClientSecretBasic(secret), client.ClientSecretPost(secret)];
  return (server, who, body, headers) => {
    const methods = server.token_endpoint_auth_methods_supported ?? ["client_secret_basic"];
    const chosen = !methods.includes("client_secret_basic") && methods.includes("client_secret_post") ? post : basic;
    chosen(server, who, body, headers);
  };
}
