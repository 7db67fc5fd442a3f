import * as client from "openid-client";
import { type OidcMethod, realmOf } from "../../../config/login-methods.ts";
import { GatewayError, type RequestHead } from "../../../model/index.ts";
import type { Clock } from "../../../platform/clock.ts";
import type { Authenticated, Authenticator, LoggedIn, RedirectLogin } from "../authenticator.ts";
import { readClientSecret } from "../client-secret.ts";
import { type CredentialForm, recognisedBy, shownBy } from "../credential-forms.ts";
import { type Claims, personOf, saysEnough } from "./person.ts";
import { createProvider, type Provider } from "./provider.ts";

/** ID tokens (no type, or JWT) and access tokens (RFC 9068 section 2.1). Logout tokens, which have the same audience, are neither. */
const PROGRAM_TYPES = [undefined, "jwt", "at+jwt"];
const ID_TYPES = [undefined, "jwt"];
const LOGOUT_TYPES = [undefined, "jwt", "logout+jwt"];
/** OpenID Connect Back-Channel Logout 1.0 section 2.4. */
const LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout";
const LOGOUT_MAX_AGE_S = 600;

const BEARER = /^bearer +([\w-]+\.[\w-]+\.[\w-]+)$/i;

/** What the gate keeps of an attempt between leaving and coming back. */
interface Attempt {
  readonly nonce: string;
  readonly verifier: string;
}

/** What the gate keeps of a login, encrypted. */
interface Kept {
  readonly subject: string;
  readonly refreshToken: string | null;
  /** Where logging out is to end the provider's login too: by it the provider knows which. */
  readonly idToken: string | null;
}

export interface OidcDeps {
  readonly clock: Clock;
}

/**
 * OpenID Connect Core 1.0, by the code flow with PKCE (RFC 7636, S256), state, nonce and the issuer in the answer (RFC 9207); and the
 * provider's own JWTs as Bearer tokens of programs. Asks nobody before somebody logs in. There is nothing to close.
 */
export function createOidc(method: OidcMethod, { clock }: OidcDeps): Authenticator {
  const provider = createProvider(method, { clock, clientSecret: () => readClientSecret(method) });
  const forms: readonly CredentialForm[] = method.bearer ? [{ form: "jwt", issuer: method.issuer }] : [];
  return {
    name: method.name,
    realm: realmOf(method),
    forms,
    recognises: (head) => recognisedBy(forms, head),
    authenticate: (head, signal) => authenticate({ method, provider, forms }, head, signal),
    interactive: createRedirectLogin(method, provider),
  };
}

interface Parts {
  readonly method: OidcMethod;
  readonly provider: Provider;
}

async function authenticate(
  { method, provider, forms }: Parts & { readonly forms: readonly CredentialForm[] },
  head: RequestHead,
  signal: AbortSignal,
): Promise<Authenticated | null> {
  const field = shownBy(forms, head);
  if (field === undefined) return null;
  const token = BEARER.exec(field)?.[1];
  if (token === undefined) throw new GatewayError("unauthenticated", `${method.name}: expected one Bearer JWT`);
  const expected = {
    audiences: [method.clientId, ...method.audiences],
    types: PROGRAM_TYPES,
    requiredClaims: ["sub", "exp"],
  };
  const claims = await provider.verify(token, expected, signal);
  if (claims.events !== undefined) throw new GatewayError("unauthenticated", `${method.name}: this JWT is no login`);
  return { principal: personOf(method, claims), expiresAt: (claims.exp ?? 0) * 1000 };
}

function createRedirectLogin(method: OidcMethod, provider: Provider): RedirectLogin {
  const parts: Parts = { method, provider };
  return {
    kind: "redirect",
    label: method.label ?? method.name,
    begin: (to, signal) => begin(parts, to, signal),
    complete: (back, signal) =>
      provider.ask(async (config) => {
        const { nonce, verifier } = JSON.parse(back.keep) as Attempt;
        const address = new URL(`${back.redirectUri}?${back.parameters.toString()}`);
        const tokens = await client.authorizationCodeGrant(config, address, {
          pkceCodeVerifier: verifier,
          expectedState: back.state,
          expectedNonce: nonce,
          idTokenExpected: true,
          ...(method.maxAge === undefined ? {} : { maxAge: method.maxAge / 1000 }),
        });
        return loggedIn(parts, { config, tokens, kept: null }, signal);
      }, signal),
    recheck: (secret, signal) =>
      provider.ask(async (config) => {
        const kept = JSON.parse(secret) as Kept;
        const tokens = await client.refreshTokenGrant(config, kept.refreshToken ?? "");
        return loggedIn(parts, { config, tokens, kept }, signal);
      }, signal),
    endSession: (secret, returnTo, signal) => endSession(parts, secret, returnTo, signal),
    ended: (body, signal) => ended(parts, body, signal),
  };
}

function begin(
  { method, provider }: Parts,
  to: { readonly redirectUri: string; readonly state: string },
  signal: AbortSignal,
): Promise<{ location: URL; keep: string }> {
  return provider.ask(async (config) => {
    const attempt: Attempt = { nonce: client.randomNonce(), verifier: client.randomPKCECodeVerifier() };
    const location = client.buildAuthorizationUrl(config, {
      redirect_uri: to.redirectUri,
      scope: [...new Set(["openid", ...method.scopes])].join(" "),
      state: to.state,
      nonce: attempt.nonce,
      code_challenge: await client.calculatePKCECodeChallenge(attempt.verifier),
      code_challenge_method: "S256",
      ...(method.prompt === undefined ? {} : { prompt: method.prompt }),
      ...(method.maxAge === undefined ? {} : { max_age: String(Math.floor(method.maxAge / 1000)) }),
    });
    return { location, keep: JSON.stringify(attempt) };
  }, signal);
}

interface Answered {
  readonly config: client.Configuration;
  readonly tokens: Awaited<ReturnType<typeof client.authorizationCodeGrant>>;
  /** Of the login so far; null: it begins. */
  readonly kept: Kept | null;
}

async function loggedIn(parts: Parts, answered: Answered, signal: AbortSignal): Promise<LoggedIn> {
  const { method } = parts;
  const { tokens, kept } = answered;
  const claims = await claimsOf(parts, answered, signal);
  const principal = personOf(method, claims);
  const subject = String(claims.sub);
  // A provider that rotates refresh tokens gives a new one each time; one that does not goes on with the first.
  const refreshToken = tokens.refresh_token ?? kept?.refreshToken ?? null;
  const idToken = method.logout === "provider" ? (tokens.id_token ?? kept?.idToken ?? null) : null;
  const secret = JSON.stringify({ subject, refreshToken, idToken } satisfies Kept);
  return {
    principal,
    lifetimeMs: refreshToken === null ? method.lifetimeUnchecked : method.lifetime,
    secret,
    ...(refreshToken === null ? {} : { recheckMs: method.recheck }),
    upstream: { subject, ...(typeof claims.sid === "string" ? { session: claims.sid } : {}) },
  };
}

/** Of the ID token, its signature verified; what it leaves out is asked of userinfo. An answer to a refresh may have no ID token. */
async function claimsOf({ method, provider }: Parts, answered: Answered, signal: AbortSignal): Promise<Claims> {
  const { config, tokens, kept } = answered;
  const token = tokens.id_token;
  const expected = { audiences: [method.clientId], types: ID_TYPES, requiredClaims: ["sub", "exp", "iat"] };
  const said: Claims = token === undefined ? {} : await provider.verify(token, expected, signal);
  const subject = said.sub ?? kept?.subject;
  if (typeof subject !== "string" || (kept !== null && subject !== kept.subject)) {
    throw new GatewayError("unauthenticated", `${method.name}: the provider speaks of somebody else now`);
  }
  if (token !== undefined && saysEnough(method, said)) return said;
  if (config.serverMetadata().userinfo_endpoint === undefined) return { ...said, sub: subject };
  const more = await client.fetchUserInfo(config, tokens.access_token, subject);
  return { ...more, ...said, sub: subject };
}

/** RP-Initiated Logout 1.0. null: it is not wanted, or the provider has none. */
async function endSession(
  { method, provider }: Parts,
  secret: string,
  returnTo: string,
  signal: AbortSignal,
): Promise<URL | null> {
  if (method.logout === "gate") return null;
  const { idToken } = JSON.parse(secret) as Kept;
  return provider.ask((config) => {
    if (config.serverMetadata().end_session_endpoint === undefined) return Promise.resolve(null);
    const hint = idToken === null ? {} : { id_token_hint: idToken };
    return Promise.resolve(client.buildEndSessionUrl(config, { post_logout_redirect_uri: returnTo, ...hint }));
  }, signal);
}

async function ended(
  { method, provider }: Parts,
  body: URLSearchParams,
  signal: AbortSignal,
): Promise<{ session?: string; subject?: string }> {
  const token = body.get("logout_token") ?? "";
  const expected = {
    audiences: [method.clientId],
    types: LOGOUT_TYPES,
    requiredClaims: ["iat", "jti", "events"],
    maxAgeS: LOGOUT_MAX_AGE_S,
  };
  const claims = await provider.verify(token, expected, signal).catch((error: unknown) => {
    if (!(error instanceof GatewayError) || error.code !== "unauthenticated") throw error;
    throw new GatewayError("bad_request", `${method.name}: this is no logout token of the provider's`, {
      cause: error,
    });
  });
  const { sub, sid, nonce, events } = claims;
  const isLogout = typeof events === "object" && events !== null && Object.hasOwn(events, LOGOUT_EVENT);
  if (!isLogout || nonce !== undefined || (sub === undefined && typeof sid !== "string")) {
    throw new GatewayError("bad_request", `${method.name}: this is no logout token of the provider's`);
  }
  return {
    ...(typeof sid === "string" ? { session: sid } : {}),
    ...(sub === undefined ? {} : { subject: sub }),
  };
}
