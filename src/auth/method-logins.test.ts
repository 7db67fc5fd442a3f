import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { GatewayError, type Principal } from "../model/index.ts";
import type { Authenticator, LoggedIn, RedirectLogin } from "./authenticators/authenticator.ts";
import { type AuthKit, hostRoute, OWNER, startAuthKit } from "./testing/auth-kit.ts";
import { makeHead } from "./testing/browser.ts";

const PEER = "192.0.2.7";
const never = new AbortController().signal;
const NB = "http://nb.localhost:7080";
const REFRESH_TOKEN = "a-refresh-token-of-the-provider";
const ALICE: Principal = { realm: "corp", name: "alice", groups: [{ realm: "corp", name: "ml" }], admin: false };

/** A way to log in whose provider does as a test says. */
class FakeProvider implements RedirectLogin {
  readonly kind = "redirect";
  readonly label = "Example Corp";
  /** What it says next; an error is thrown. */
  answer: Partial<LoggedIn> | GatewayError = {};
  asked = 0;
  secrets: string[] = [];

  begin({ redirectUri, state }: { readonly redirectUri: string; readonly state: string }) {
    const location = new URL("https://id.example.com/auth");
    location.search = new URLSearchParams({ redirect_uri: redirectUri, state }).toString();
    return Promise.resolve({ location, keep: "the verifier" });
  }

  complete(back: Parameters<RedirectLogin["complete"]>[0]): Promise<LoggedIn> {
    expect(back.keep).toBe("the verifier");
    return this.#says();
  }

  recheck(secret: string): Promise<LoggedIn> {
    this.secrets.push(secret);
    return this.#says();
  }

  ended(body: URLSearchParams) {
    return Promise.resolve({ subject: body.get("sub") ?? "" });
  }

  #says(): Promise<LoggedIn> {
    this.asked += 1;
    if (this.answer instanceof GatewayError) return Promise.reject(this.answer);
    return Promise.resolve({
      ...{ principal: ALICE, lifetimeMs: 3_600_000, recheckMs: 60_000 },
      ...{ secret: `${REFRESH_TOKEN}-${String(this.asked)}`, upstream: { subject: "alice" } },
      ...this.answer,
    });
  }
}

function authenticatorOf(name: string, interactive: RedirectLogin): Authenticator {
  return {
    ...{ name, realm: name, forms: [], interactive },
    recognises: () => [],
    authenticate: () => Promise.resolve(null),
  };
}

let provider: FakeProvider;
let kit: AuthKit;
beforeEach(async () => {
  provider = new FakeProvider();
  const route = hostRoute("nb.localhost", "local/nb/web", {
    access: { anyone: "nobody", grants: [{ to: { group: { realm: "corp", name: "ml" } }, by: OWNER }] },
  });
  kit = await startAuthKit({
    table: [route],
    authenticators: [authenticatorOf("corp", provider), authenticatorOf("other", new FakeProvider())],
    isAdmin: ({ name }) => name === "root",
  });
});
afterEach(() => kit[Symbol.asyncDispose]());

const begin = (method = "corp") => kit.auth.methods.begin(method, PEER, never);
const complete = (back: { readonly state: string; readonly secret: string }, method = "corp") =>
  kit.auth.methods.complete(method, { parameters: `code=x&state=${back.state}`, secret: back.secret }, PEER, never);
const login = async () => complete(await begin());
const caller = (token: string) =>
  kit.auth.authenticate(
    makeHead({ host: "taskgate.localhost:7080", headers: { authorization: `Bearer ${token}` } }),
    never,
  );

describe("a login by somebody else's page", () => {
  test("comes back to the gate's own address, whatever the request said", async () => {
    const { location } = await begin();
    const back = new URL(location).searchParams.get("redirect_uri");
    expect(back).toBe("http://taskgate.localhost:7080/.taskgate/login/corp/callback");
  });

  test("is of the browser that began it, of that method, and once", async () => {
    const [mine, another] = [await begin(), await begin()];
    const refused = { code: "unauthenticated" };
    await expect(complete({ state: mine.state, secret: another.secret })).rejects.toMatchObject(refused);
    await expect(complete(mine), "spent by the wrong try").rejects.toMatchObject(refused);
    await expect(complete(another, "other")).rejects.toMatchObject(refused);
    const good = await begin();
    expect(await complete(good)).toMatchObject({ realm: "corp", principal: "alice" });
    await expect(complete(good), "again").rejects.toMatchObject(refused);
    expect(provider.asked).toBe(1);
  });

  test("has one state: none, a made-up one and two of them prove nothing", async () => {
    const { state, secret } = await begin();
    for (const parameters of [
      "code=x",
      `code=x&state=${"y".repeat(43)}`,
      `state=${state}&state=${state}`,
      "state=%00",
    ]) {
      const back = kit.auth.methods.complete("corp", { parameters, secret }, PEER, never);
      await expect(back, parameters).rejects.toMatchObject({ code: "unauthenticated" });
    }
  });

  test("must be over in ten minutes", async () => {
    const begun = await begin();
    kit.clock.advance(600_000);
    await expect(complete(begun)).rejects.toMatchObject({ code: "unauthenticated" });
  });

  test("is never a no where the provider has no answer, and nobody is counted as failed for that", async () => {
    provider.answer = new GatewayError("unavailable", "corp: the provider does not answer in time");
    for (let tries = 0; tries < 40; tries++) await expect(login()).rejects.toMatchObject({ code: "unavailable" });
    provider.answer = {};
    expect((await login()).principal).toBe("alice");
  });

  test("can be begun so often within a minute", async () => {
    for (let tries = 0; tries < 120; tries++) await begin();
    await expect(begin()).rejects.toMatchObject({ code: "rate_limited" });
    kit.clock.advance(60_000);
    await begin();
  });

  test("is no way of another kind, and no way that there is not", async () => {
    const given = { user: "alice", password: "x" };
    await expect(begin("nope")).rejects.toMatchObject({ code: "not_found" });
    await expect(kit.auth.methods.withPassword("corp", given, PEER, never)).rejects.toMatchObject({
      code: "not_found",
    });
    const head = makeHead({ host: "taskgate.localhost:7080" });
    await expect(kit.auth.methods.withHeader("corp", head, never)).rejects.toMatchObject({ code: "not_found" });
  });

  test("keeps nothing of the provider's that the store alone would give away", async () => {
    const { state, secret } = await begin();
    const { token } = await login();
    const kinds = ["logins", "login-of", "login-attempts", "people", "tokens"];
    const kept = await Promise.all(kinds.map(async (kind) => [...(await kit.store.list(kind))]));
    const text = JSON.stringify(kept) + kit.logged();
    for (const each of [REFRESH_TOKEN, "the verifier", state, secret, token.slice(16)])
      expect(text).not.toContain(each);
  });
});

describe("a login that stands on somebody else's word", () => {
  test("is asked after when what is known is old, once for all who want to know, with the newest secret", async () => {
    const { token } = await login();
    kit.clock.advance(54_000);
    await caller(token);
    expect(provider.secrets).toEqual([]);
    kit.clock.advance(6000);
    await Promise.all(Array.from({ length: 20 }, () => caller(token)));
    kit.clock.advance(60_000);
    await caller(token);
    expect(provider.secrets).toEqual([`${REFRESH_TOKEN}-1`, `${REFRESH_TOKEN}-2`]);
  });

  test("goes by the groups and the administrators of today", async () => {
    const { token } = await login();
    expect(await caller(token)).toMatchObject({ groups: [{ name: "ml" }], admin: false });
    provider.answer = { principal: { ...ALICE, groups: [], admin: true } };
    kit.clock.advance(60_000);
    expect(await caller(token)).toMatchObject({ groups: [], admin: true });
  });

  test("ends with all that it opened when its provider says so, and stands while that cannot say", async () => {
    const { token } = await login();
    const browser = kit.browser();
    await kit.enter(browser, token, `${NB}/`);
    provider.answer = new GatewayError("unavailable", "corp: the provider does not answer in time");
    kit.clock.advance(120_000);
    await expect(caller(token)).rejects.toMatchObject({ code: "unavailable" });
    expect(await browser.request(`${NB}/`)).toMatchObject({ kind: "allow" });
    provider.answer = new GatewayError("unauthenticated", "corp: expired");
    kit.clock.advance(60_000);
    await expect(caller(token)).rejects.toMatchObject({ code: "unauthenticated" });
    expect(await browser.request(`${NB}/`)).toMatchObject({ kind: "redirect" });
    expect([...(await kit.store.list("logins"))]).toEqual([]);
  });

  test("takes along the person's tokens for programs, where the provider lets them in no more", async () => {
    const { token } = await login();
    const program = await kit.auth.tokens.issue({ name: "ci", principal: ALICE });
    provider.answer = new GatewayError("denied", "alice is not among those who may log in here");
    kit.clock.advance(60_000);
    await expect(caller(token)).rejects.toMatchObject({ code: "unauthenticated" });
    kit.clock.advance(10_000);
    await expect(caller(program.token)).rejects.toMatchObject({ code: "unauthenticated" });
    provider.answer = {};
    await login();
    kit.clock.advance(10_000);
    expect(await caller(program.token)).toMatchObject({ name: "alice" });
  });

  test("is nobody's when the provider speaks of somebody else", async () => {
    const { token } = await login();
    provider.answer = { principal: { ...ALICE, name: "mallory" } };
    kit.clock.advance(60_000);
    await expect(caller(token)).rejects.toMatchObject({ code: "unauthenticated" });
  });

  test("ends at once when the provider tells of it, and another's does not", async () => {
    const { token } = await login();
    provider.answer = { principal: { ...ALICE, name: "bob" }, upstream: { subject: "bob" } };
    const bob = await login();
    await kit.auth.methods.ended("corp", new URLSearchParams({ sub: "alice" }), never);
    await expect(caller(token)).rejects.toMatchObject({ code: "unauthenticated" });
    expect(await caller(bob.token)).toMatchObject({ name: "bob" });
  });

  test("is an administrator's where the config names the person", async () => {
    provider.answer = { principal: { ...ALICE, name: "root" } };
    expect(await caller((await login()).token)).toMatchObject({ realm: "corp", name: "root", admin: true });
  });

  test("opens nothing when the method is not configured any more, or its key is another one", async () => {
    const { token } = await login();
    const next = await kit.restart({ authenticators: [] });
    kit.clock.advance(60_000);
    const head = makeHead({ host: "taskgate.localhost:7080", headers: { authorization: `Bearer ${token}` } });
    await expect(next.authenticate(head, never)).rejects.toMatchObject({ code: "unauthenticated" });
  });
});
