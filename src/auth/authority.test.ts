import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Decision, Principal, Route } from "../model/index.ts";
import { describeAuthority } from "./authority.contract.ts";
import { type AuthKit, hostRoute, OWNER, startAuthKit } from "./testing/auth-kit.ts";
import { makeHead } from "./testing/browser.ts";
import {
  type AuthorityServer,
  createHttpAuthority,
  ODDITIES,
  type Question,
  startAuthorityServer,
} from "./testing/http-authority.ts";

const BOB: Principal = { realm: "oidc", name: "bob", groups: [], admin: false };
const EVE: Principal = { ...BOB, name: "eve" };
const NB = "http://nb.localhost:7080";

const ask = { principal: BOB, resource: "op-1", action: "read" };

function onlyBob({ realm, name, resource, action }: Question): boolean {
  return realm === "oidc" && name === "bob" && resource === "op-1" && action === "read";
}

describeAuthority("HTTP", async () => {
  const server = await startAuthorityServer(onlyBob);
  return {
    authority: createHttpAuthority("test", server.port),
    allowed: ask,
    refused: [
      { ...ask, principal: EVE },
      { ...ask, principal: { ...BOB, realm: "local" } },
      { ...ask, resource: "op-2" },
      { ...ask, action: "write" },
    ],
    server: {
      oddities: Object.keys(ODDITIES),
      stall: () => server.stall(),
      beOdd: (how) => server.beOdd(how),
      stop: () => server.stop(),
      recover: () => server.recover(),
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
});

describe("a service that an authority decides about", () => {
  let server: AuthorityServer;
  let decide: (question: Question) => boolean;
  let kit: AuthKit;
  let bob: string;
  beforeEach(async () => {
    decide = onlyBob;
    server = await startAuthorityServer((question) => decide(question));
    const authorities = new Map([["test", createHttpAuthority("test", server.port)]]);
    kit = await startAuthKit({ authorities, table: [nb("1")] });
    bob = await token(BOB);
  });
  afterEach(async () => {
    await kit[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  });

  function nb(epoch: string, name = "test"): Route {
    const authority = { name, resource: "op-1", action: "read", epoch };
    return hostRoute("nb.localhost", "local/nb/web", { access: { grants: [], anyone: "nobody", authority } });
  }

  async function token(principal: Principal): Promise<string> {
    return (await kit.auth.tokens.issue({ name: "ci", principal })).token;
  }

  async function send(shown: string): Promise<Decision & { readonly asked: boolean }> {
    return kit.browser().request(`${NB}/`, { headers: { authorization: `Bearer ${shown}` } });
  }

  test("lets in whom it allows, and nobody else", async () => {
    expect(await send(bob)).toMatchObject({ kind: "allow", session: { principal: BOB } });
    expect(await send(await token(EVE))).toMatchObject({ kind: "deny", status: 403 });
  });

  test("asks nobody about its owner", async () => {
    expect(await send(await token(OWNER))).toMatchObject({ kind: "allow" });
    expect(server.asked).toEqual([]);
  });

  test("asks once in ten seconds", async () => {
    for (let times = 0; times < 5; times += 1) await send(bob);
    expect(await send(bob)).toMatchObject({ kind: "allow", asked: false });
    expect(server.asked).toHaveLength(1);
    decide = () => false;
    kit.clock.advance(10_000);
    expect(await send(bob)).toMatchObject({ kind: "deny", status: 403 });
  });

  test("keeps a no no longer than a yes", async () => {
    decide = () => false;
    expect(await send(bob)).toMatchObject({ kind: "deny", status: 403 });
    decide = () => true;
    kit.clock.advance(10_000);
    expect(await send(bob)).toMatchObject({ kind: "allow" });
  });

  test("asks again at once in a new epoch", async () => {
    await send(bob);
    decide = () => false;
    const route = nb("2");
    kit.routes.set(route.id, route);
    expect(await send(bob)).toMatchObject({ kind: "deny", status: 403 });
  });

  test("says 503, and neither lets in nor refuses, while nobody answers", async () => {
    await server.stop();
    for (const shown of [bob, await token(EVE)]) {
      expect(await send(shown)).toMatchObject({ kind: "deny", status: 503, code: "unavailable" });
    }
    await server.recover();
    expect(await send(bob)).toMatchObject({ kind: "allow" });
  });

  test("says 503 after five seconds of silence", async () => {
    server.stall();
    const deciding = send(bob);
    await expect.poll(() => server.asked.length, { timeout: 10_000 }).toBe(1);
    kit.clock.advance(5_000);
    expect(await deciding).toMatchObject({ kind: "deny", status: 503 });
  });

  test("says 503 for an authority that nobody configured", async () => {
    const route = nb("1", "nobody-knows");
    kit.routes.set(route.id, route);
    expect(await send(bob)).toMatchObject({ kind: "deny", status: 503 });
  });

  test("is asked about sessions, too: at the login, and when they are used", async () => {
    const { browser, token: login } = await kit.login(BOB);
    await kit.enter(browser, login, `${NB}/`);
    expect(await browser.request(`${NB}/`)).toMatchObject({ kind: "allow", asked: false });
    decide = () => false;
    kit.clock.advance(10_000);
    expect(await browser.request(`${NB}/`)).toMatchObject({ kind: "deny", status: 403, asked: true });
    const caller = { ...BOB };
    const to = { host: "nb.localhost:7080", path: "/", state: "A".repeat(43) };
    await expect(kit.auth.login.visit(caller, to)).rejects.toMatchObject({ code: "denied" });
    await server.stop();
    kit.clock.advance(10_000);
    await expect(kit.auth.login.visit(caller, to)).rejects.toMatchObject({ code: "unavailable" });
    expect(await browser.request(`${NB}/`)).toMatchObject({ kind: "deny", status: 503 });
  });

  test("does not keep a visitor waiting who has left", async () => {
    server.stall();
    const leaving = new AbortController();
    const head = makeHead({ host: "nb.localhost:7080", headers: { authorization: `Bearer ${bob}` } });
    const deciding = kit.auth.gatekeeper.admit(kit.routeFor("nb.localhost", "/")!, head, leaving.signal);
    leaving.abort(new Error("gone"));
    await expect(deciding).rejects.toThrow("gone");
  });
});
