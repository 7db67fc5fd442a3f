import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { GatewayError, type Principal, type Route, type Session } from "../model/index.ts";
import type { Auth } from "./auth.ts";
import { type AuthKit, bearer, hostRoute, makeRoute, OWNER, PLAIN, startAuthKit, useOf } from "./testing/auth-kit.ts";
import { type Browser, makeHead } from "./testing/browser.ts";

const NB = "http://nb.localhost:7080";
const TB = "http://tb.localhost:7080";
const HOUR = 3_600_000;
const BOB: Principal = { realm: "oidc", name: "bob", groups: [], admin: false };
const forever = new AbortController().signal;

let kit: AuthKit;
let browser: Browser;
let login: string;
beforeEach(async () => {
  kit = await startAuthKit({
    table: [hostRoute("nb.localhost", "local/nb/web"), hostRoute("tb.localhost", "local/tb/web")],
  });
  ({ browser, token: login } = await kit.login());
});
afterEach(() => kit[Symbol.asyncDispose]());

/** An open connection, as a plane holds one. */
function open(session: Session | null, route: Route, auth: Auth = kit.auth) {
  const state = { cuts: 0 };
  const handle = auth.gatekeeper.opened(useOf(session), route, () => {
    state.cuts += 1;
    handle.closed();
  });
  return Object.assign(state, {
    closed: () => handle.closed(),
    moved: (changed: Route) => handle.moved(changed),
  });
}

async function openIn(of: Browser, url: string) {
  const decision = await of.request(`${url}/`);
  if (decision.kind !== "allow") throw new Error(JSON.stringify(decision));
  return open(decision.session, kit.routeFor(new URL(url).hostname, "/")!);
}

async function openWith(token: string, auth: Auth = kit.auth) {
  const route = kit.routeFor("nb.localhost", "/")!;
  const head = makeHead({ host: "nb.localhost:7080", headers: { authorization: `Bearer ${token}` } });
  const decision = await auth.gatekeeper.admit(route, head, forever);
  if (decision.kind !== "allow") throw new Error(JSON.stringify(decision));
  return open(decision.session, route, auth);
}

/** Lets time pass, look by look, until something has happened. */
async function until(condition: () => boolean): Promise<void> {
  const look = (): boolean => {
    kit.clock.advance(5_000);
    return condition();
  };
  await expect.poll(look, { timeout: 10_000, interval: 5 }).toBe(true);
}

describe("revoking a token", () => {
  test("cuts what it opened at once, and nothing else", async () => {
    const { view, token } = await kit.auth.tokens.issue({ name: "ci", principal: OWNER });
    const other = await kit.auth.tokens.issue({ name: "other", principal: OWNER });
    const [first, second, untouched] = [await openWith(token), await openWith(token), await openWith(other.token)];
    await kit.auth.tokens.revoke(view.id, OWNER);
    expect([first.cuts, second.cuts, untouched.cuts]).toEqual([1, 1, 0]);
  });

  test("is felt by the next request, though the token was known a moment ago", async () => {
    const { view, token } = await kit.auth.tokens.issue({ name: "ci", principal: OWNER });
    const headers = { authorization: `Bearer ${token}` };
    await browser.request(`${NB}/`, { headers });
    expect(await browser.request(`${NB}/`, { headers })).toMatchObject({ kind: "allow", asked: false });
    await kit.auth.tokens.revoke(view.id, OWNER);
    expect(await browser.request(`${NB}/`, { headers })).toMatchObject({ kind: "deny", status: 401 });
  });

  test("is felt by a request that was let in and is not open yet", async () => {
    const { view, token } = await kit.auth.tokens.issue({ name: "ci", principal: OWNER });
    const decision = await browser.request(`${NB}/`, { headers: { authorization: `Bearer ${token}` } });
    await kit.auth.tokens.revoke(view.id, OWNER);
    const connection = open(decision.kind === "allow" ? decision.session : null, kit.routeFor("nb.localhost", "/")!);
    expect(connection.cuts).toBe(0);
    await until(() => connection.cuts === 1);
  });

  test("is for its owner and administrators", async () => {
    const { view } = await kit.auth.tokens.issue({ name: "ci", principal: OWNER });
    await expect(kit.auth.tokens.revoke(view.id, BOB)).rejects.toMatchObject({ code: "not_found" });
    await expect(kit.auth.tokens.revoke("nosuchtoken2", OWNER)).rejects.toMatchObject({ code: "not_found" });
    await expect(kit.auth.tokens.revoke("../keys", OWNER)).rejects.toMatchObject({ code: "not_found" });
    const bobs = await kit.auth.tokens.issue({ name: "his", principal: BOB });
    expect((await kit.auth.tokens.list(BOB)).map((each) => each.id)).toEqual([bobs.view.id]);
    await kit.auth.tokens.revoke(bobs.view.id, OWNER);
    expect(await kit.auth.tokens.list(BOB)).toEqual([]);
  });

  test("cuts here even where it cannot be written down, and says so", async () => {
    const { view, token } = await kit.auth.tokens.issue({ name: "ci", principal: OWNER });
    const { store } = kit;
    const broken = { ...store, put: () => Promise.reject(new GatewayError("unavailable", "disk full")) };
    const auth = await kit.restart({ store: broken });
    const connection = await openWith(token, auth);
    await expect(auth.tokens.revoke(view.id, OWNER)).rejects.toMatchObject({ code: "unavailable" });
    expect(connection.cuts).toBe(1);
    await expect(openWith(token, auth)).rejects.toThrow("401");
  });

  test("is felt by another gate on the same store", async () => {
    const { view, token } = await kit.auth.tokens.issue({ name: "ci", principal: OWNER });
    const connection = await openWith(token, await kit.restart());
    await kit.auth.tokens.revoke(view.id, OWNER);
    await until(() => connection.cuts === 1);
  });
});

describe("logging out", () => {
  test("of the gate ends every session that came of that login, and cuts what is open", async () => {
    const other = await kit.login();
    for (const url of [NB, TB]) await kit.enter(browser, login, `${url}/`);
    await kit.enter(other.browser, other.token, `${NB}/`);
    const cut = [await openIn(browser, NB), await openIn(browser, TB), await openWith(login)];
    const stays = await openIn(other.browser, NB);
    await kit.auth.login.logout(bearer(PLAIN, login));
    expect(cut.map((each) => each.cuts)).toEqual([1, 1, 1]);
    expect(stays.cuts).toBe(0);
    expect((await browser.request(`${NB}/`)).kind).toBe("redirect");
    expect((await other.browser.request(`${NB}/`)).kind).toBe("allow");
    await expect(kit.auth.authenticate(bearer(PLAIN, login), forever)).rejects.toMatchObject({
      code: "unauthenticated",
    });
  });

  test("of a service cuts what is open there, and nowhere else", async () => {
    for (const url of [NB, TB]) await kit.enter(browser, login, `${url}/`);
    const [nb, tb] = [await openIn(browser, NB), await openIn(browser, TB)];
    await browser.request(`${NB}/.taskgate/logout`);
    expect([nb.cuts, tb.cuts]).toEqual([1, 0]);
  });

  test("outlives a restart", async () => {
    await kit.enter(browser, login, `${NB}/`);
    const cookie = browser.jar.header(new URL(NB)) ?? "";
    await kit.auth.login.logout(bearer(PLAIN, login));
    const again = await kit.restart();
    const head = makeHead({ host: "nb.localhost:7080", headers: { cookie } });
    expect(await again.gatekeeper.admit(kit.routeFor("nb.localhost", "/")!, head, forever)).toMatchObject({
      status: 401,
    });
  });

  test("ends what the API still answers to that login, and to no other", async () => {
    const other = await kit.login();
    const ended: string[] = [];
    for (const [name, token] of Object.entries({ mine: login, other: other.token, gone: login })) {
      const caller = await kit.auth.authenticate(bearer(PLAIN, token), forever);
      const watching = kit.auth.whileValid(caller, () => ended.push(name));
      if (name === "gone") watching[Symbol.dispose]();
    }
    await kit.auth.login.logout(bearer(PLAIN, login));
    expect(ended).toEqual(["mine"]);
  });

  test("needs a browser's login, not a program's token", async () => {
    const { token } = await kit.auth.tokens.issue({ name: "ci", principal: OWNER });
    await expect(kit.auth.login.logout(bearer(PLAIN, token))).rejects.toMatchObject({ code: "unauthenticated" });
    await expect(kit.auth.login.logout(makeHead({ host: "x" }))).rejects.toMatchObject({ code: "unauthenticated" });
    expect(await kit.auth.authenticate(bearer(PLAIN, token), forever)).toMatchObject(OWNER);
  });

  test("is remembered no longer than a session can live", async () => {
    await kit.auth.login.logout(bearer(PLAIN, login));
    expect((await kit.store.list("revocations")).size).toBe(1);
    kit.clock.advance(12 * HOUR + 60_000);
    expect((await kit.store.list("revocations")).size).toBe(0);
  });
});

describe("what stays open", () => {
  test("ends with its token", async () => {
    const { token } = await kit.auth.tokens.issue({ name: "ci", principal: OWNER, lifetimeMs: HOUR });
    const connection = await openWith(token);
    kit.clock.advance(HOUR - 10_000);
    expect(connection.cuts).toBe(0);
    kit.clock.advance(10_000);
    await until(() => connection.cuts === 1);
  });

  test("goes on beyond its session while the login stands, and ends with that", async () => {
    await kit.enter(browser, login, `${NB}/`);
    const connection = await openIn(browser, NB);
    const other = await openWith(login);
    for (let hours = 0; hours < 48; hours += 1) {
      kit.clock.advance(HOUR);
      await new Promise(setImmediate);
    }
    expect([connection.cuts, other.cuts]).toEqual([0, 0]);
    kit.clock.advance(30 * 24 * HOUR);
    await until(() => connection.cuts === 1 && other.cuts === 1);
  });

  test("ends with the grant that let it in", async () => {
    const end = kit.clock.now() + HOUR;
    const grants = [{ to: { realm: BOB.realm, name: BOB.name }, by: OWNER, until: end }];
    const route = hostRoute("nb.localhost", "local/nb/web", { access: { grants, anyone: "nobody" } });
    kit.routes.set(route.id, route);
    const bob = await kit.login(BOB);
    await kit.enter(bob.browser, bob.token, `${NB}/`);
    const [his, olgas] = [await openIn(bob.browser, NB), await openWith(login)];
    kit.clock.advance(HOUR);
    await until(() => his.cuts === 1);
    expect(olgas.cuts).toBe(0);
  });

  test("ends where nobody can say that it may go on", async () => {
    const { store } = kit;
    let down = false;
    const auth = await kit.restart({
      store: {
        ...store,
        get: (kind, key) => (down ? Promise.reject(new GatewayError("unavailable", "x")) : store.get(kind, key)),
      },
    });
    const { token } = await kit.auth.tokens.issue({ name: "ci", principal: OWNER });
    const connection = await openWith(token, auth);
    down = true;
    kit.clock.advance(24 * HOUR);
    await until(() => connection.cuts === 1);
  });

  test("is cut though another connection cannot be", async () => {
    const { view, token } = await kit.auth.tokens.issue({ name: "ci", principal: OWNER });
    const route = kit.routeFor("nb.localhost", "/")!;
    const stubborn = { id: view.id, principal: OWNER, service: route.service, expiresAt: Infinity, renewAt: Infinity };
    kit.auth.gatekeeper.opened(useOf(stubborn), route, () => {
      throw new Error("already destroyed");
    });
    const connection = await openWith(token);
    await kit.auth.tokens.revoke(view.id, OWNER);
    expect(connection.cuts).toBe(1);
    expect(kit.logged()).toContain("connection could not be cut");
  });
});

describe("what is open by a route whose access changes", () => {
  const ML = { realm: "oidc", name: "ml" };
  const shared = (grants: Route["access"]["grants"], anyone: Route["access"]["anyone"] = "nobody"): Route =>
    hostRoute("nb.localhost", "local/nb/web", { access: { grants, anyone } });

  async function bobIn(route: Route) {
    kit.routes.set(route.id, route);
    const { browser: his, token } = await kit.login({ ...BOB, groups: [ML] });
    await kit.enter(his, token, `${NB}/`);
    return openIn(his, NB);
  }

  test("ends at once when their grant goes, and nobody else's does", async () => {
    const opened = await bobIn(shared([{ to: BOB, by: OWNER }]));
    await kit.enter(browser, login, `${NB}/`);
    const owners = await openIn(browser, NB);
    const anonymous = open(null, shared([], "public"));
    for (const each of [opened, owners, anonymous]) each.moved(shared([], "public"));
    for (const each of [opened, owners, anonymous]) each.moved(shared([]));
    await until(() => opened.cuts === 1);
    expect([owners.cuts, anonymous.cuts]).toEqual([0, 1]);
  });

  test("ends, too, where what they showed is no token of the gate: nobody is there to ask", async () => {
    const route = shared([{ to: BOB, by: OWNER }]);
    const session: Session = {
      ...{ id: "corp-0123", principal: BOB, service: route.service, proof: "corp" },
      ...{ expiresAt: kit.clock.now() + 3_600_000, renewAt: kit.clock.now() + 3_600_000 },
    };
    const opened = open(session, route);
    opened.moved(
      shared([
        { to: BOB, by: OWNER },
        { to: ML, by: OWNER },
      ]),
    );
    await new Promise(setImmediate);
    expect(opened.cuts).toBe(0);
    opened.moved(shared([]));
    await expect.poll(() => opened.cuts).toBe(1);
  });

  test("goes on where another grant lets them in by what their login says today", async () => {
    const opened = await bobIn(shared([{ to: BOB, by: OWNER }]));
    opened.moved(shared([{ to: { group: ML }, by: OWNER }]));
    for (let turns = 0; turns < 50; turns += 1) await new Promise(setImmediate);
    expect(opened.cuts).toBe(0);
  });

  test("goes on where only the port was ever what let them in", () => {
    const raw = { by: "port", port: 20_000 } as const;
    const anonymous = open(null, makeRoute(raw, { protocol: "tcp" }));
    anonymous.moved(makeRoute(raw, { protocol: "tcp", owner: BOB }));
    expect(anonymous.cuts).toBe(0);
  });
});

describe("usage", () => {
  test("is counted per service: what is open, bytes, last use", () => {
    const route = kit.routeFor("nb.localhost", "/")!;
    const [first, second] = [open(null, route), open(null, route)];
    first.closed();
    first.closed();
    kit.clock.advance(1000);
    second.closed();
    open(null, route);
    expect(kit.auth.usage().get("local/nb/web")).toEqual({
      open: 1,
      bytesIn: 20,
      bytesOut: 40,
      lastUsed: kit.clock.now(),
    });
    expect(kit.auth.usage().has("local/tb/web")).toBe(false);
  });
});
