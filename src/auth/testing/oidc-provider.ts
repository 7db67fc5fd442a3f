import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { type CryptoKey, exportJWK, generateKeyPair, type JWK, SignJWT } from "jose";
import Provider, { type Configuration } from "oidc-provider";

export const CLIENT_ID = "taskgate";
export const CLIENT_SECRET = "the-gate's-own-secret-of-32-bytes";

/** What the provider says of somebody. */
export interface Person {
  readonly groups?: readonly string[];
  readonly email?: string;
  readonly emailVerified?: boolean;
  readonly admin?: boolean;
}

/** A certified provider (oidc-provider) with a page to log in that takes any password. Disposing stops it. */
export interface TestProvider extends AsyncDisposable {
  readonly issuer: string;
  /** By name, live: who is taken out is gone there. */
  readonly people: Map<string, Person>;
  /** Signs with the provider's own key. */
  sign(claims: Record<string, unknown>, header?: { readonly typ?: string; readonly kid?: string }): Promise<string>;
  /** Replaces its keys; what was signed by the old ones is not good any more. */
  rotate(): Promise<void>;
  /** From now on its client is the gate at this origin, with a method named `corp`. */
  register(gate: string): void;
  /** Takes questions and answers none, until `recover`. */
  stall(): void;
  /** Answers everything with 503, until `recover`. */
  fail(): void;
  recover(): void;
  /** Every request so far, as METHOD /path. */
  readonly asked: readonly string[];
}

export interface ProviderOptions {
  readonly people?: Readonly<Record<string, Person>>;
  /** Default: it does. */
  readonly refreshTokens?: boolean;
}

/** Of a gate at no particular place, whose method is named `corp`. */
const ANY_GATE = "http://taskgate.localhost:7080";

interface Key {
  readonly jwk: JWK;
  readonly privateKey: CryptoKey;
}

export async function startTestProvider(options: ProviderOptions = {}): Promise<TestProvider> {
  const people = new Map(Object.entries(options.people ?? {}));
  const asked: string[] = [];
  let mode: "well" | "stalled" | "failing" = "well";
  let key = await makeKey();
  let gate = ANY_GATE;
  const server = createServer((request, response) => {
    asked.push(`${request.method ?? ""} ${(request.url ?? "").split("?", 1)[0] ?? ""}`);
    if (mode === "stalled") return;
    if (mode === "failing") response.writeHead(503).end();
    else void answer(request, response);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const issuer = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
  const callback = (): ReturnType<Provider["callback"]> =>
    new Provider(issuer, configurationOf({ ...options, gate, jwk: key.jwk }, people)).callback();
  let answer = callback();
  return {
    issuer,
    people,
    asked,
    sign: (claims, header = {}) =>
      new SignJWT({ iss: issuer, aud: CLIENT_ID, ...claims })
        .setProtectedHeader({ alg: "ES256", kid: key.jwk.kid ?? "", ...header })
        .setIssuedAt()
        .sign(key.privateKey),
    async rotate() {
      key = await makeKey();
      answer = callback();
    },
    register(origin) {
      gate = origin;
      answer = callback();
    },
    stall: () => (mode = "stalled"),
    fail: () => (mode = "failing"),
    recover: () => (mode = "well"),
    [Symbol.asyncDispose]: () => close(server),
  };
}

async function makeKey(): Promise<Key> {
  const { privateKey } = await generateKeyPair("ES256", { extractable: true });
  const kid = crypto.randomUUID();
  return { privateKey, jwk: { ...(await exportJWK(privateKey)), kid, alg: "ES256", use: "sig" } };
}

function configurationOf(
  { refreshTokens = true, gate, jwk }: ProviderOptions & { readonly gate: string; readonly jwk: JWK },
  people: ReadonlyMap<string, Person>,
): Configuration {
  return {
    clients: [
      {
        client_id: CLIENT_ID,
        client_secret: CLIENT_SECRET,
        redirect_uris: [`${gate}/.taskgate/login/corp/callback`],
        response_types: ["code"],
        grant_types: ["authorization_code", "refresh_token"],
        id_token_signed_response_alg: "ES256",
        post_logout_redirect_uris: [`${gate}/.taskgate/login`],
        backchannel_logout_uri: `${gate}/.taskgate/login/corp/backchannel-logout`,
        backchannel_logout_session_required: true,
      },
    ],
    jwks: { keys: [jwk] as never },
    cookies: { keys: ["only for tests"] },
    scopes: ["openid", "offline_access", "profile", "email", "groups"],
    claims: {
      openid: ["sub", "sid"],
      profile: ["preferred_username", "admin"],
      email: ["email", "email_verified"],
      groups: ["groups"],
    },
    pkce: { required: () => true },
    issueRefreshToken: () => Promise.resolve(refreshTokens),
    rotateRefreshToken: true,
    findAccount: (_, id) => {
      const person = people.get(id);
      if (person === undefined) return undefined;
      const { groups = [], email = `${id}@example.com`, emailVerified = true, admin = false } = person;
      const claims = { preferred_username: id, groups: [...groups], email, email_verified: emailVerified, admin };
      return { accountId: id, claims: () => ({ sub: id, ...claims }) };
    },
    features: {
      devInteractions: { enabled: true },
      backchannelLogout: { enabled: true },
      rpInitiatedLogout: { enabled: true },
    },
    ttl: {
      AuthorizationCode: 60,
      AccessToken: 60,
      IdToken: 300,
      RefreshToken: 3600,
      Grant: 3600,
      Session: 3600,
      Interaction: 600,
    },
    fetch: toLoopback,
  };
}

/** Names below localhost are loopback by themselves for browsers alone. */
function toLoopback(address: string | URL | Request, init?: RequestInit): Promise<Response> {
  const url = new URL(address instanceof Request ? address.url : address);
  const { host } = url;
  if (url.hostname.endsWith(".localhost")) url.hostname = "127.0.0.1";
  return fetch(url, { ...init, headers: { ...Object.fromEntries(new Headers(init?.headers)), host } });
}

async function close(server: Server): Promise<void> {
  const closed = once(server, "close");
  server.close();
  server.closeAllConnections();
  await closed;
}

/** What a browser does at the provider's pages where somebody logs in as `name`: from its address to the gate's, where it ends. */
export async function passProvider(location: string, name: string): Promise<URL> {
  const jar = new Map<string, string>();
  let url = new URL(location);
  const { origin } = url;
  let form: Record<string, string> | null = null;
  for (let step = 0; step < 20 && url.origin === origin; step += 1) {
    const response = await ask(url, jar, form);
    const next = response.headers.get("location");
    const page = next === null ? await response.text() : "";
    form = null;
    if (next !== null) url = new URL(next, url);
    else if (page.includes('value="login"')) form = { prompt: "login", login: name, password: "any" };
    else if (page.includes('value="consent"')) form = { prompt: "consent" };
    else throw new Error(`the provider answered ${String(response.status)}: ${page.slice(0, 500)}`);
  }
  return url;
}

async function ask(url: URL, jar: Map<string, string>, form: Record<string, string> | null): Promise<Response> {
  const response = await fetch(url, {
    redirect: "manual",
    headers: { cookie: Array.from(jar, ([name, value]) => `${name}=${value}`).join("; ") },
    ...(form === null ? {} : { method: "POST", body: new URLSearchParams(form) }),
  });
  for (const cookie of response.headers.getSetCookie()) {
    const [, name = "", value = ""] = /^([^=]+)=([^;]*)/.exec(cookie) ?? [];
    if (value === "") jar.delete(name);
    else jar.set(name, value);
  }
  return response;
}
