import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { LoginMethod, type OidcMethod } from "../../../config/login-methods.ts";
import { systemClock } from "../../../platform/clock.ts";
import { makeHead } from "../../testing/browser.ts";
import {
  CLIENT_ID,
  CLIENT_SECRET,
  passProvider,
  type ProviderOptions,
  startTestProvider,
  type TestProvider,
} from "../../testing/oidc-provider.ts";
import type { Authenticator, RedirectLogin } from "../authenticator.ts";
import { type AuthenticatorSubject, describeAuthenticator } from "../authenticator.contract.ts";
import { describeRedirectLogin, type RedirectSubject } from "../interactive.contract.ts";
import { createOidc } from "./oidc.ts";

const REDIRECT_URI = "http://taskgate.localhost:7080/.taskgate/login/corp/callback";
const ALICE = { realm: "corp", name: "alice", groups: [{ realm: "corp", name: "ml" }], admin: false };
const never = new AbortController().signal;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "tg-oidc-"));
  writeFileSync(join(folder, "secret"), `${CLIENT_SECRET}\n`, { mode: 0o600 });
});
afterAll(() => rmSync(folder, { recursive: true }));

function methodOf(provider: TestProvider, more: Record<string, unknown> = {}): OidcMethod {
  const method = LoginMethod.parse({
    ...{ type: "oidc", name: "corp", issuer: provider.issuer, clientId: CLIENT_ID },
    ...{ clientSecretFile: join(folder, "secret"), patience: "1s" },
    ...{ scopes: ["openid", "profile", "email", "groups"], nameClaim: "preferred_username", ...more },
  });
  if (method.type !== "oidc") throw new Error("expected oidc");
  return method;
}

const start = (options: ProviderOptions = {}): Promise<TestProvider> =>
  startTestProvider({ people: { alice: { groups: ["ml"] } }, ...options });

const inSeconds = (seconds: number): number => Math.floor(Date.now() / 1000) + seconds;
const CLAIMS = { sub: "alice", preferred_username: "alice", groups: ["ml"] };

async function startPrograms(): Promise<AuthenticatorSubject> {
  const provider = await start();
  const token = (claims: object, header = {}) => provider.sign({ ...CLAIMS, exp: inSeconds(300), ...claims }, header);
  const bearer = (text: string) => ({ authorization: `Bearer ${text}` });
  const right = await token({});
  const [head = "", payload = "", signature = ""] = right.split(".");
  const none = Buffer.from(JSON.stringify({ alg: "none" })).toString("base64url");
  return {
    authenticator: createOidc(methodOf(provider), { clock: systemClock }),
    principal: ALICE,
    right: bearer(right),
    wrong: bearer(`${head}.${payload}.${signature.startsWith("A") ? "B" : "A"}${signature.slice(1)}`),
    expired: bearer(await token({ exp: inSeconds(-300) })),
    malformed: {
      "no signature": bearer(`${none}.${payload}.`),
      "an unknown key": bearer(await token({}, { kid: "another" })),
      "another audience": bearer(await token({ aud: "another" })),
      "a logout token": bearer(await token({ events: {} }, { typ: "logout+jwt" })),
      "a token of another type": bearer(await token({}, { typ: "secevent+jwt" })),
      "events in it": bearer(await token({ events: {} })),
      "no subject": bearer(await token({ sub: undefined })),
      "no end": bearer(await token({ exp: undefined })),
      "not good yet": bearer(await token({ nbf: inSeconds(300) })),
      "no name": bearer(await token({ preferred_username: undefined })),
      "two of them": bearer(`${right}, Bearer ${right}`),
      "in the gate's own field": { "x-taskgate-authorization": `Bearer ${head}.${payload}.` },
    },
    foreign: [
      bearer("tg_abcdefghijkl_x"),
      bearer(`${head}.${Buffer.from('{"iss":"https://an.app"}').toString("base64url")}.${signature}`),
      bearer("opaque"),
      { authorization: "Basic eDp5" },
      { cookie: `token=${right}` },
    ],
    secrets: [signature, CLIENT_SECRET],
    logged: () => "",
    upstream: provider,
    [Symbol.asyncDispose]: () => provider[Symbol.asyncDispose](),
  };
}

async function startLogin(): Promise<RedirectSubject> {
  const provider = await start();
  return {
    authenticator: createOidc(methodOf(provider), { clock: systemClock }),
    principal: ALICE,
    visit: (location) => passProvider(location.href, "alice"),
    change: (groups) => provider.people.set("alice", { groups }),
    remove: () => provider.people.delete("alice"),
    secrets: [CLIENT_SECRET],
    logged: () => "",
    upstream: provider,
    [Symbol.asyncDispose]: () => provider[Symbol.asyncDispose](),
  };
}

describeAuthenticator("OpenID Connect", startPrograms);
describeRedirectLogin("OpenID Connect", startLogin);

function loginOf(authenticator: Authenticator): RedirectLogin {
  if (authenticator.interactive?.kind !== "redirect") throw new Error("expected a login by way of a page");
  return authenticator.interactive;
}

async function logIn(
  login: RedirectLogin,
  name: string,
  change: (parameters: URLSearchParams) => void = () => undefined,
) {
  const to = { redirectUri: REDIRECT_URI, state: "x".repeat(43) };
  const { location, keep } = await login.begin(to, never);
  const { searchParams } = await passProvider(location.href, name);
  change(searchParams);
  return login.complete({ ...to, parameters: searchParams, keep }, never);
}

describe("a login by OpenID Connect", () => {
  test("asks with PKCE and a nonce, for what the config says", async () => {
    await using provider = await start();
    const method = methodOf(provider, { prompt: "login", maxAge: "1h" });
    const { location } = await loginOf(createOidc(method, { clock: systemClock })).begin(
      { redirectUri: REDIRECT_URI, state: "x".repeat(43) },
      never,
    );
    expect(Object.fromEntries(location.searchParams)).toMatchObject({
      ...{ response_type: "code", code_challenge_method: "S256", prompt: "login", max_age: "3600" },
      scope: "openid profile email groups",
    });
    for (const name of ["nonce", "code_challenge"]) expect(location.searchParams.get(name)).toMatch(/^[\w-]{43}$/);
  });

  test("takes no answer that another provider claims to be, or that nobody signs for (RFC 9207)", async () => {
    await using provider = await start();
    const login = loginOf(createOidc(methodOf(provider), { clock: systemClock }));
    for (const issuer of ["https://evil.example.com", null]) {
      const mixUp = logIn(login, "alice", (parameters) => {
        if (issuer === null) parameters.delete("iss");
        else parameters.set("iss", issuer);
      });
      await expect(mixUp).rejects.toMatchObject({ code: "unauthenticated" });
    }
  });

  test("lets in whom the lists name, and nobody else", async () => {
    await using provider = await start({
      people: {
        alice: { groups: ["ml"] },
        bob: { email: "bob@Example.com" },
        mallory: { email: "mallory@example.com", emailVerified: false },
        root: { groups: ["ops"], admin: true },
      },
    });
    const allow = { users: ["root"], groups: ["ml"], emailDomains: ["example.com"] };
    const method = methodOf(provider, { allow, adminClaim: "admin", adminGroups: ["sre"] });
    const login = loginOf(createOidc(method, { clock: systemClock }));
    expect((await logIn(login, "alice")).principal.admin).toBe(false);
    expect((await logIn(login, "bob")).principal.name).toBe("bob");
    expect((await logIn(login, "root")).principal.admin).toBe(true);
    await expect(logIn(login, "mallory")).rejects.toMatchObject({ code: "denied" });
  });

  test("ends sooner where the provider gives no refresh token, and is not asked after", async () => {
    await using provider = await start({ refreshTokens: false });
    const login = loginOf(createOidc(methodOf(provider, { lifetimeUnchecked: "20m" }), { clock: systemClock }));
    const found = await logIn(login, "alice");
    expect(found).toMatchObject({ lifetimeMs: 20 * 60_000 });
    expect(found.recheckMs).toBeUndefined();
  });

  test("begins though the provider was down when the gate started", async () => {
    await using provider = await start();
    provider.fail();
    const login = loginOf(createOidc(methodOf(provider), { clock: systemClock }));
    await expect(logIn(login, "alice")).rejects.toMatchObject({ code: "unavailable" });
    provider.recover();
    expect((await logIn(login, "alice")).principal).toEqual(ALICE);
  });

  test("is unavailable, and not refused, where the gate's own secret is wrong", async () => {
    await using provider = await start();
    writeFileSync(join(folder, "wrong"), "something else");
    const method = methodOf(provider, { clientSecretFile: join(folder, "wrong") });
    const login = loginOf(createOidc(method, { clock: systemClock }));
    await expect(logIn(login, "alice")).rejects.toMatchObject({ code: "unavailable" });
  });

  test("is off for programs where the config says so", async () => {
    await using provider = await start();
    const oidc = createOidc(methodOf(provider, { bearer: false }), { clock: systemClock });
    const token = await provider.sign({ ...CLAIMS, exp: inSeconds(300) });
    const head = makeHead({ host: "nb.localhost:7080", headers: { authorization: `Bearer ${token}` } });
    expect(oidc.recognises(head)).toEqual([]);
    expect(await oidc.authenticate(head, never)).toBeNull();
  });
});
