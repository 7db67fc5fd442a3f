import { describe, expect, test } from "vitest";
import type { Principal, Scope } from "../model/index.ts";
import { hostRoute, OWNER, PLAIN, startAuthKit } from "./testing/auth-kit.ts";
import { makeHead } from "./testing/browser.ts";

const BOB: Principal = { realm: "corp", name: "bob", groups: [{ realm: "corp", name: "ml" }], admin: false };
const DAY = 86_400_000;
const MINUTE = 60_000;

async function setUp() {
  const kit = await startAuthKit();
  const callerOf = (token: string) =>
    kit.auth.authenticate(
      makeHead({ host: PLAIN.gateHost, headers: { authorization: `Bearer ${token}` } }),
      AbortSignal.timeout(5000),
    );
  return {
    ...kit,
    callerOf,
    callerWith: async (scope: Scope, by: Principal = OWNER) =>
      callerOf((await kit.auth.tokenDesk.issue(by, { name: "ci", scope })).token),
    [Symbol.asyncDispose]: () => kit[Symbol.asyncDispose](),
  };
}

describe("tokens that people ask for", () => {
  test("are good for 90 days unless they say otherwise, and for a year at most", async () => {
    await using kit = await setUp();
    const { tokenDesk } = kit.auth;
    const lifetimeOf = async (lifetimeMs?: number) => {
      const { view } = await tokenDesk.issue(BOB, { name: "ci", lifetimeMs });
      return (view.expiresAt ?? 0) - view.createdAt;
    };
    expect(await lifetimeOf()).toBe(90 * DAY);
    expect(await lifetimeOf(365 * DAY)).toBe(365 * DAY);
    await expect(lifetimeOf(365 * DAY + 1)).rejects.toMatchObject({ code: "bad_request", message: /365 days at most/ });
  });

  test("carry their scope with whom they stand for", async () => {
    await using kit = await setUp();
    const scope: Scope = { actions: ["connect"], services: ["nb/web"] };
    const { view, token } = await kit.auth.tokenDesk.issue(BOB, { name: "ci", scope });
    expect(view.scope).toEqual(scope);
    expect(await kit.callerOf(token)).toMatchObject({ ...BOB, scope });
    expect(await kit.auth.tokenDesk.list(BOB)).toMatchObject([{ id: view.id, scope, owner: "bob" }]);
  });

  test.each([
    { actions: [] },
    { actions: ["connect"], services: ["a b"] },
    { actions: ["connect"], services: Array.from({ length: 33 }, (_, n) => `nb-${String(n)}`) },
  ] as Scope[])("refuse the scope %j", async (scope) => {
    await using kit = await setUp();
    await expect(kit.auth.tokenDesk.issue(BOB, { name: "ci", scope })).rejects.toMatchObject({ code: "bad_request" });
  });

  test("with a scope make, list and revoke no tokens, but end themselves", async () => {
    await using kit = await setUp();
    const { tokenDesk, login } = kit.auth;
    const caller = await kit.callerWith({ actions: ["connect", "read", "manage"] });
    const denied = { code: "denied" };
    await expect(tokenDesk.issue(caller, { name: "more" })).rejects.toMatchObject(denied);
    await expect(tokenDesk.list(caller)).rejects.toMatchObject(denied);
    const { view } = await tokenDesk.issue(OWNER, { name: "other" });
    await expect(tokenDesk.revoke(view.id, caller)).rejects.toMatchObject(denied);
    await expect(login.link(caller)).rejects.toMatchObject(denied);
    await tokenDesk.revoke(caller.credential?.id ?? "", caller);
    expect((await tokenDesk.list(OWNER)).map(({ name }) => name)).toEqual(["other"]);
  });

  test("with a scope reach what is in it, and their visits lead nowhere else", async () => {
    await using kit = await setUp();
    const [nb, other] = ["nb", "other"].map((name) => hostRoute(`${name}.localhost`, `local/${name}/web`));
    if (nb === undefined || other === undefined) throw new Error("expected two routes");
    kit.routes.set("nb.localhost", nb).set("other.localhost", other);
    const { token } = await kit.auth.tokenDesk.issue(OWNER, {
      name: "ci",
      scope: { actions: ["connect"], services: ["nb"] },
    });
    const admit = (route: typeof nb, method = "GET") =>
      kit.auth.gatekeeper.admit(
        route,
        makeHead({ host: "x", method, headers: { authorization: `Bearer ${token}` } }),
        AbortSignal.timeout(5000),
      );
    expect(await admit(nb)).toMatchObject({ kind: "allow" });
    expect(await admit(other)).toMatchObject({ kind: "deny", status: 403 });
    expect(await admit(nb, "CONNECT")).toMatchObject({ kind: "deny", status: 403 });
    const caller = await kit.callerOf(token);
    const to = (host: string) => ({ host, state: "A".repeat(43), path: "/" });
    await expect(kit.auth.login.visit(caller, to("other.localhost:7080"))).rejects.toMatchObject({ code: "denied" });
    expect((await kit.auth.login.visit(caller, to("nb.localhost:7080"))).location).toContain("code=");
  });

  test("with a scope give sessions that carry no more: a tunnel past the gate is not in connecting", async () => {
    await using kit = await setUp();
    kit.routes.set("nb.localhost", hostRoute("nb.localhost", "local/nb/web"));
    const url = "http://nb.localhost:7080/";
    const enter = async (scope: Scope) => {
      const { token } = await kit.auth.tokenDesk.issue(OWNER, { name: "ci", scope });
      const browser = kit.browser();
      expect(await kit.enter(browser, token, url)).toBe(url);
      return browser;
    };
    const own = { origin: "http://nb.localhost:7080", "sec-fetch-site": "same-origin" };
    const connecting = await enter({ actions: ["connect"], services: ["nb"] });
    expect(await connecting.request(url)).toMatchObject({ kind: "allow" });
    expect(await connecting.request(url, { method: "CONNECT", headers: own })).toMatchObject({
      kind: "deny",
      status: 403,
    });
    const managing = await enter({ actions: ["connect", "manage"], services: ["nb"] });
    expect(await managing.request(url, { method: "CONNECT", headers: own })).toMatchObject({ kind: "allow" });
  });

  test("are for service accounts where an administrator makes them, and those are nobody else", async () => {
    await using kit = await setUp();
    const { tokenDesk } = kit.auth;
    await expect(tokenDesk.issue(BOB, { name: "ci", account: "robot" })).rejects.toMatchObject({ code: "denied" });
    const { view, token } = await tokenDesk.issue(OWNER, { name: "ci", account: "robot" });
    expect(await kit.callerOf(token)).toMatchObject({ realm: "service", name: "robot", groups: [], admin: false });
    expect(await tokenDesk.list(OWNER)).toMatchObject([{ id: view.id, owner: "service/robot" }]);
    expect(await tokenDesk.list(BOB)).toEqual([]);
  });

  test("say when they were last used, to within ten minutes, for one write in that time", async () => {
    await using kit = await setUp();
    const { token } = await kit.auth.tokenDesk.issue(OWNER, { name: "ci" });
    const lastUsed = async () => (await kit.auth.tokenDesk.list(OWNER))[0]?.lastUsedAt;
    expect(await lastUsed()).toBeNull();
    await kit.callerOf(token);
    const first = kit.clock.now();
    await expect.poll(lastUsed).toBe(first);
    kit.clock.advance(9 * MINUTE);
    await kit.callerOf(token);
    expect(await lastUsed()).toBe(first);
    kit.clock.advance(MINUTE);
    await kit.callerOf(token);
    await expect.poll(lastUsed).toBe(first + 10 * MINUTE);
  });
});
