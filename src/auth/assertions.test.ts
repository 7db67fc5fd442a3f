import { createLocalJWKSet, jwtVerify } from "jose";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { HeaderFields, Policy, Principal, Route } from "../model/index.ts";
import { type AuthKit, bearer, hostRoute, OWNER, startAuthKit } from "./testing/auth-kit.ts";
import { type Browser, makeHead } from "./testing/browser.ts";

const NB = "http://nb.localhost:7080";
const ML = { realm: "corp", name: "ml, ops" };
const BOB: Principal = { realm: "corp", name: "bob", groups: [ML, { realm: "corp", name: "hidden" }], admin: false };
const forever = new AbortController().signal;

let kit: AuthKit;
beforeEach(async () => {
  kit = await startAuthKit();
});
afterEach(() => kit[Symbol.asyncDispose]());

function route(policy: Policy = {}, more: Partial<Route> = {}): Route {
  const made = hostRoute("nb.localhost", "local/nb/web", {
    policy,
    access: { anyone: "nobody", grants: [{ to: { group: ML }, by: OWNER }] },
    ...more,
  });
  kit.routes.set(made.id, made);
  return made;
}

async function told(browser: Browser, headers: Record<string, string> = {}): Promise<Record<string, string>> {
  const decision = await browser.request(`${NB}/`, { headers });
  if (decision.kind !== "allow") throw new Error(JSON.stringify(decision));
  return fieldsOf(decision.set);
}

const fieldsOf = (set: HeaderFields): Record<string, string> => Object.fromEntries(set);

async function bobIn(policy: Policy = {}): Promise<Browser> {
  route(policy);
  const { browser, token } = await kit.login(BOB);
  await kit.enter(browser, token, `${NB}/`);
  return browser;
}

function verified(assertion: string | undefined, audience = "local/nb/web") {
  return jwtVerify(assertion ?? "", createLocalJWKSet(kit.auth.keys.keySet() as never), {
    ...{ audience, issuer: "http://taskgate.localhost:7080", typ: "taskgate-assertion+jwt", algorithms: ["ES256"] },
    currentDate: new Date(kit.clock.now()),
  });
}

describe("what a job is told", () => {
  test("is who asks, with the groups that the service is shared with, in a form that a field can hold", async () => {
    const fields = await told(await bobIn());
    expect(fields["X-Taskgate-User"]).toBe("corp/bob");
    expect(fields["X-Taskgate-Groups"]).toBe("corp/ml%2C%20ops");
    const { payload } = await verified(fields["X-Taskgate-Assertion"]);
    expect(payload).toEqual({
      ...{ iss: "http://taskgate.localhost:7080", aud: "local/nb/web", sub: "corp/bob", realm: "corp", name: "bob" },
      ...{ groups: ["corp/ml, ops"], iat: kit.clock.now() / 1000, exp: kit.clock.now() / 1000 + 12 * 3600 },
    });
  });

  test("verifies by no other service's name, and by no key that signs sessions", async () => {
    const fields = await told(await bobIn());
    await expect(verified(fields["X-Taskgate-Assertion"], "local/tb/web")).rejects.toThrow(/aud/);
    const published = kit.auth.keys.keySet().keys.map(({ kid }) => kid);
    for (const kid of kit.auth.keys.published().keys()) expect(published).not.toContain(kid);
  });

  test("is nothing of visitors who are nobody, of tunnels, and where the policy wants none", async () => {
    const open = route({}, { access: { anyone: "public", grants: [] } });
    const head = makeHead({ host: "nb.localhost:7080" });
    expect(kit.auth.gatekeeper.check(open, head)).toMatchObject({ kind: "allow", session: null, set: [] });
    const { token } = await kit.login(BOB);
    const connect = { ...bearer(kit.site, token), method: "CONNECT", host: "nb.localhost:7080", path: "" };
    const tcp = route({}, { protocol: "tcp" });
    expect(await kit.auth.gatekeeper.admit(tcp, connect, forever)).toMatchObject({ kind: "allow", set: [] });
    expect(Object.keys(await told(await bobIn({ assertion: "none" })))).toEqual(["X-Taskgate-User", "X-Taskgate-Groups"]); // prettier-ignore
  });

  test("is the same for who shows a token, not signed anew for each request", async () => {
    const nb = route();
    const { token } = await kit.auth.tokens.issue({ name: "ci", principal: BOB });
    const ask = async () => {
      const head = makeHead({ host: "nb.localhost:7080", headers: { authorization: `Bearer ${token}` } });
      const decision = await kit.auth.gatekeeper.admit(nb, head, forever);
      return decision.kind === "allow" ? fieldsOf(decision.set) : {};
    };
    const first = await ask();
    expect(await ask()).toEqual(first);
    const { payload } = await verified(first["X-Taskgate-Assertion"]);
    expect(payload.exp).toBe(kit.clock.now() / 1000 + 600);
    kit.clock.advance(301_000);
    expect((await ask())["X-Taskgate-Assertion"]).not.toBe(first["X-Taskgate-Assertion"]);
  });

  test("is as old as the session, and renewed with it", async () => {
    const browser = await bobIn();
    const first = (await told(browser))["X-Taskgate-Assertion"];
    kit.clock.advance(3_600_000);
    expect((await told(browser))["X-Taskgate-Assertion"]).toBe(first);
    kit.clock.advance(6 * 3_600_000);
    const renewed = (await told(browser))["X-Taskgate-Assertion"];
    expect(renewed).not.toBe(first);
    expect((await verified(renewed)).payload.iat).toBe(kit.clock.now() / 1000);
  });

  test("is never older than a minute where the service asks for fresh ones, and goes with a renewed cookie", async () => {
    const browser = await bobIn({ assertion: "fresh" });
    for (let seconds = 0; seconds < 300; seconds += 20) {
      const { payload } = await verified((await told(browser))["X-Taskgate-Assertion"]);
      expect(kit.clock.now() / 1000 - (payload.iat ?? 0)).toBeLessThan(60);
      expect((payload.exp ?? 0) - (payload.iat ?? 0)).toBe(60);
      kit.clock.advance(20_000);
    }
  });

  test("comes with the next request after a policy begins to want it", async () => {
    const browser = await bobIn({ assertion: "none" });
    expect(await told(browser)).not.toHaveProperty("X-Taskgate-Assertion");
    route();
    await verified((await told(browser))["X-Taskgate-Assertion"]);
  });

  test("is without assertion where a name leaves a cookie no room for one, and they come in all the same", async () => {
    route({}, { access: { anyone: "authenticated", grants: [] } });
    const { browser, token } = await kit.login({ ...BOB, name: "é".repeat(500) });
    await kit.enter(browser, token, `${NB}/`);
    expect(Object.keys(await told(browser))).toEqual(["X-Taskgate-User"]);
  });
});

describe("an assertion at the gate", () => {
  test("opens nothing, as a cookie or as a token, here or at another service", async () => {
    const assertion = (await told(await bobIn()))["X-Taskgate-Assertion"] ?? "";
    for (const headers of [
      { cookie: `taskgate-session-7080=${assertion}` },
      { authorization: `Bearer ${assertion}` },
      { "x-taskgate-authorization": `Bearer ${assertion}` },
    ]) {
      const head = makeHead({ host: "nb.localhost:7080", headers });
      const decision = await kit.auth.gatekeeper.admit(route(), head, forever);
      expect(decision).toMatchObject({ kind: "deny", status: 401 });
    }
  });

  test("does not pass for a session, nor a session for an assertion", async () => {
    const browser = await bobIn();
    const session = (browser.jar.header(new URL(NB)) ?? "").split("=")[1];
    await expect(verified(session)).rejects.toThrow();
  });
});
