import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Principal } from "../model/index.ts";
import { type AuthKit, bearer, hostRoute, OWNER, pathRoute, PLAIN, SECURE, startAuthKit } from "./testing/auth-kit.ts";
import { type Browser, NAVIGATION, responseFields, setCookies } from "./testing/browser.ts";

const BOB: Principal = { realm: "oidc", name: "bob", groups: [], admin: false };
const NB = "http://nb.localhost:7080";
const forever = new AbortController().signal;

let kit: AuthKit;
beforeEach(async () => {
  kit = await startAuthKit({
    table: [
      hostRoute("nb.localhost", "local/nb/web"),
      hostRoute("tb.localhost", "local/tb/web"),
      hostRoute("web-nb-0.localhost", "local/nb/web", { replica: "0" }),
      pathRoute("/a/", "local/a/web", "paths.localhost"),
      pathRoute("/b/", "local/b/web", "paths.localhost"),
      hostRoute("taskgate.localhost", "gate/gate/api", { guard: "self" }),
    ],
  });
});
afterEach(() => kit[Symbol.asyncDispose]());

async function redirected(browser: Browser, url: string): Promise<string> {
  const decision = await browser.request(url);
  expect(decision.kind).toBe("redirect");
  return decision.kind === "redirect" ? decision.location : "";
}

describe("a login link", () => {
  test("leads to the gate's own page, with the code where no server sees it", async () => {
    const { url, expiresAt } = await kit.auth.login.link(OWNER);
    expect(url).toMatch(/^http:\/\/taskgate\.localhost:7080\/\.taskgate\/login#code=[A-Za-z0-9_-]{43}$/);
    expect(expiresAt).toBe(kit.clock.now() + 15 * 60_000);
  });

  test("works once", async () => {
    const { url } = await kit.auth.login.link(OWNER);
    const code = url.split("code=")[1] ?? "";
    const { token, principal } = await kit.auth.login.redeem(code, "127.0.0.1");
    expect(principal).toBe("olga");
    expect(await kit.auth.authenticate(bearer(PLAIN, token), forever)).toMatchObject(OWNER);
    await expect(kit.auth.login.redeem(code, "127.0.0.1")).rejects.toMatchObject({ code: "unauthenticated" });
  });

  test("works for one of many who try at the same time", async () => {
    const { url } = await kit.auth.login.link(OWNER);
    const code = url.split("code=")[1] ?? "";
    const tries = await Promise.allSettled([1, 2, 3, 4, 5].map(() => kit.auth.login.redeem(code, "127.0.0.1")));
    expect(tries.filter((each) => each.status === "fulfilled")).toHaveLength(1);
  });

  test("ends", async () => {
    const { url } = await kit.auth.login.link(OWNER);
    kit.clock.advance(15 * 60_000);
    await expect(kit.auth.login.redeem(url.split("code=")[1] ?? "", "127.0.0.1")).rejects.toMatchObject({
      code: "unauthenticated",
    });
  });

  test("cannot be guessed at leisure", async () => {
    const guess = (): Promise<unknown> => kit.auth.login.redeem("A".repeat(43), "10.1.1.1");
    await Promise.allSettled(Array.from({ length: 200 }, guess));
    await expect(guess()).rejects.toMatchObject({ code: "rate_limited", httpStatus: 429 });
  });

  test("is nothing to an app's host, and an app's code is no login", async () => {
    const { url } = await kit.auth.login.link(OWNER);
    const browser = kit.browser();
    await browser.request(`${NB}/`);
    const decision = await browser.request(`${NB}/.taskgate/session?code=${url.split("code=")[1] ?? ""}`);
    expect(decision).toMatchObject({ kind: "deny", status: 401 });

    const { token } = await kit.login();
    const location = await kit.goOn(await redirected(browser, `${NB}/`), token);
    const code = new URL(location).searchParams.get("code") ?? "";
    await expect(kit.auth.login.redeem(code, "127.0.0.1")).rejects.toMatchObject({ code: "unauthenticated" });
  });
});

describe("a browser that comes to a service", () => {
  test("goes through the login page, comes back to the same deep link, and is in", async () => {
    const { browser, token } = await kit.login();
    const deep = `${NB}/lab/tree/a%20b.ipynb?x=1&y=%2F`;
    expect(await kit.enter(browser, token, deep)).toBe(deep);
    expect(await browser.request(deep)).toMatchObject({
      kind: "allow",
      asked: false,
      session: { principal: OWNER, service: "local/nb/web" },
      set: expect.arrayContaining([["X-Taskgate-User", "local/olga"]]) as unknown,
      respond: [],
    });
  });

  test("keeps a deep link with raw bytes in it", async () => {
    const { browser, token } = await kit.login();
    const route = kit.routeFor("nb.localhost", "/")!;
    const head = { ...browser.head(`${NB}/`), path: "/caf\u00c3\u00a9?q=a b" };
    const decision = await kit.auth.gatekeeper.admit(route, head, forever);
    const location = decision.kind === "redirect" ? decision.location : "";
    for (const field of setCookies(decision)) browser.jar.set(new URL(NB), field);
    const back = await browser.request(await kit.goOn(location, token));
    expect(back).toMatchObject({ kind: "redirect", location: `${NB}/caf%C3%A9?q=a%20b` });
  });

  test("gets no cookie from its app that scripts, siblings or caches could see", async () => {
    const { browser, token } = await kit.login();
    const sent = await browser.request(`${NB}/`);
    const back = await browser.request(await kit.goOn(sent.kind === "redirect" ? sent.location : "", token));
    for (const decision of [sent, back]) {
      expect(responseFields(decision)).toContainEqual(["cache-control", "no-store"]);
      expect(responseFields(decision)).toContainEqual(["referrer-policy", "no-referrer"]);
      for (const field of setCookies(decision))
        expect(field).toMatch(/; Path=\/; Max-Age=\d+; HttpOnly; SameSite=Lax$/);
    }
    expect(browser.jar.names()).toEqual(["taskgate-session-7080"]);
  });

  test("never carries the gate's own login to an app's host", async () => {
    const { browser, token } = await kit.login();
    const location = await redirected(browser, `${NB}/`);
    const address = await kit.goOn(location, token);
    for (const text of [location, address, browser.jar.header(new URL(NB)) ?? ""]) expect(text).not.toContain("tg_");
  });

  test("may log in in several tabs at once", async () => {
    const { browser, token } = await kit.login();
    const first = await redirected(browser, `${NB}/one`);
    const second = await redirected(browser, `${NB}/two`);
    expect(await redirected(browser, await kit.goOn(first, token))).toBe(`${NB}/one`);
    expect(await browser.request(`${NB}/two`)).toMatchObject({ kind: "allow" });
    // The state went with the first exchange.
    const last = await browser.request(await kit.goOn(second, token));
    expect(last).toMatchObject({ kind: "redirect", location: `${NB}/two` });
    expect(setCookies(last)).toEqual([]);
  });

  test("has a session of each service, and of each of its hosts", async () => {
    const { browser, token } = await kit.login();
    await kit.enter(browser, token, `${NB}/`);
    expect((await browser.request("http://tb.localhost:7080/")).kind).toBe("redirect");
    expect((await browser.request("http://web-nb-0.localhost:7080/")).kind).toBe("redirect");
    await kit.enter(browser, token, "http://tb.localhost:7080/");
    expect((await browser.request("http://tb.localhost:7080/")).kind).toBe("allow");
  });

  test("has sessions of two services in path mode side by side", async () => {
    const { browser, token } = await kit.login();
    const [a, b] = ["http://paths.localhost:7080/a/x", "http://paths.localhost:7080/b/y"];
    expect(await kit.enter(browser, token, a)).toBe(a);
    expect(await kit.enter(browser, token, b)).toBe(b);
    expect(await browser.request(a)).toMatchObject({ kind: "allow", session: { service: "local/a/web" } });
    expect(await browser.request(b)).toMatchObject({ kind: "allow", session: { service: "local/b/web" } });
  });

  test("is let out, and thrown out of nothing else", async () => {
    const { browser, token } = await kit.login();
    await kit.enter(browser, token, `${NB}/`);
    await kit.enter(browser, token, "http://tb.localhost:7080/");
    const stolen = browser.jar.header(new URL(NB)) ?? "";
    const out = await browser.request(`${NB}/.taskgate/logout`);
    expect(out).toMatchObject({ kind: "redirect", location: "http://taskgate.localhost:7080/" });
    expect((await browser.request(`${NB}/`)).kind).toBe("redirect");
    expect((await browser.request("http://tb.localhost:7080/")).kind).toBe("allow");
    const replay = await browser.request(`${NB}/`, { headers: { cookie: stolen } });
    expect(replay).toMatchObject({ kind: "deny", status: 401 });
  });

  test("is not thrown out by another site", async () => {
    const { browser, token } = await kit.login();
    await kit.enter(browser, token, `${NB}/`);
    for (const from of ["cross-site", "same-site"]) {
      const headers = { ...NAVIGATION, "sec-fetch-site": from };
      expect(await browser.request(`${NB}/.taskgate/logout`, { headers })).toMatchObject({ kind: "deny", status: 403 });
    }
    expect((await browser.request(`${NB}/`)).kind).toBe("allow");
  });

  test("finds nothing else of the gate there, and the app never sees such a path", async () => {
    const { browser, token } = await kit.login();
    await kit.enter(browser, token, `${NB}/`);
    for (const path of [
      "/.taskgate/",
      "/.taskgate",
      "/.taskgate?x",
      "/.taskgate/api/v1/tokens",
      "/.taskgate/session/",
      "/.taskgate/login",
    ]) {
      expect(await browser.request(NB + path)).toMatchObject({ kind: "deny", status: 404, asked: true });
    }
    expect(await browser.request(`${NB}/.taskgate/session`, { method: "POST" })).toMatchObject({ status: 404 });
    expect(await browser.request("http://paths.localhost:7080/a/.taskgate/x")).toMatchObject({ status: 404 });
  });
});

describe("over TLS", () => {
  test("the session is a __Host- cookie, which the browser sends over TLS alone", async () => {
    await using secure = await startAuthKit({
      site: SECURE,
      table: [hostRoute("nb.apps.example.com", "local/nb/web")],
    });
    const { browser, token } = await secure.login();
    const url = "https://nb.apps.example.com/lab";
    expect(await secure.enter(browser, token, url)).toBe(url);
    expect(browser.jar.names()).toEqual(["__Host-taskgate-session"]);
    expect(await browser.request(url)).toMatchObject({ kind: "allow", stripCookies: ["__Host-taskgate-session"] });
    expect(browser.jar.header(new URL("http://nb.apps.example.com/"))).toBeUndefined();
  });

  test("a cookie with the name of plain loopback is nothing", async () => {
    await using secure = await startAuthKit({
      site: SECURE,
      table: [hostRoute("nb.apps.example.com", "local/nb/web")],
    });
    const { browser, token } = await secure.login();
    await secure.enter(browser, token, "https://nb.apps.example.com/");
    const value = (browser.jar.header(new URL("https://nb.apps.example.com/")) ?? "").replace(
      "__Host-taskgate-session=",
      "",
    );
    for (const name of ["taskgate-session-443", "taskgate-session", "__Secure-taskgate-session"]) {
      const headers = { cookie: `${name}=${value}` };
      expect(await browser.request("https://nb.apps.example.com/", { headers })).toMatchObject({ status: 401 });
    }
  });
});

describe("a code", () => {
  let browser: Browser;
  let token: string;
  let address: string;
  beforeEach(async () => {
    ({ browser, token } = await kit.login());
    address = await kit.goOn(await redirected(browser, `${NB}/lab`), token);
  });

  test("is good once", async () => {
    const stateCookie = browser.jar.header(new URL(NB)) ?? "";
    expect((await browser.request(address)).kind).toBe("redirect");
    const again = await browser.request(address, { headers: { ...NAVIGATION, cookie: stateCookie } });
    expect(again).toMatchObject({ kind: "deny", status: 401 });
  });

  test("is good for a minute at most", async () => {
    kit.clock.advance(60_000);
    expect(await browser.request(address)).toMatchObject({ kind: "deny", status: 401 });
  });

  test("is nothing in another browser, and spent by the try", async () => {
    const thief = kit.browser();
    expect(await thief.request(address)).toMatchObject({ kind: "deny", status: 403 });
    expect(await browser.request(address)).toMatchObject({ kind: "deny", status: 401 });
  });

  test("is nothing in another browser that has a state of its own", async () => {
    const thief = kit.browser();
    await thief.request(`${NB}/`);
    expect(await thief.request(address)).toMatchObject({ kind: "deny", status: 403 });
  });

  test.each(["http://tb.localhost:7080", "http://web-nb-0.localhost:7080"])("is nothing at %s", async (other) => {
    await browser.request(`${other}/`);
    const moved = address.replace(NB, other);
    expect(await browser.request(moved)).toMatchObject({ kind: "deny", status: 403 });
  });

  test("is nothing when the host came to lead to another service meanwhile", async () => {
    const route = hostRoute("nb.localhost", "local/evil/web");
    kit.routes.set(route.id, route);
    expect(await browser.request(address)).toMatchObject({ kind: "deny", status: 403 });
  });

  test("is nothing once access is gone, or the login", async () => {
    const route = hostRoute("nb.localhost", "local/nb/web", { owner: null });
    kit.routes.set(route.id, route);
    await kit.auth.login.logout(bearer(PLAIN, token));
    expect(await browser.request(address)).toMatchObject({ kind: "deny", status: 403 });
  });

  test("is nothing when it is not one", async () => {
    for (const code of ["", "x", "A".repeat(43), "A".repeat(10_000), "..%2f", "%00"]) {
      const decision = await browser.request(`${NB}/.taskgate/session?code=${code}`);
      expect(decision.kind === "deny" && [400, 401].includes(decision.status)).toBe(true);
    }
    expect(await browser.request(`${NB}/.taskgate/session`)).toMatchObject({ kind: "deny", status: 400 });
  });
});

describe("the login page's wish to go on", () => {
  const state = "A".repeat(43);
  const visit = (to: { host?: string; path?: string; state?: string }, caller: Principal = OWNER) =>
    kit.auth.login.visit(caller, { host: "nb.localhost:7080", path: "/", state, ...to });

  test("is refused for a host that the table does not have, to the letter", async () => {
    for (const host of [
      "evil.example",
      "evil.example:7080",
      "nb.localhost.evil.example:7080",
      "nb.localhost:7080@evil.example",
      "nb.localhost",
      "nb.localhost:80",
      "nb.localhost:7081",
      "nb.localhost:07080",
      "NB.localhost:7080",
      "nb.localhost.:7080",
      "nb.localhost:7080/",
      "nb.localhost:7080\r\nset-cookie: a=b",
      "nb.localhost\u0000:7080",
      "nb。localhost:7080",
      "[::1]:7080",
      "taskgate.localhost:7080",
      "",
    ]) {
      await expect(visit({ host }), host).rejects.toMatchObject({ code: "not_found" });
    }
  });

  test("is refused for what is no plain path", async () => {
    for (const path of [
      "",
      "lab",
      "http://evil.example/",
      "/\r\nset-cookie: a=b",
      "/a b",
      "/\u0000",
      "/é",
      "\\\\evil.example",
      `/${"a".repeat(8192)}`,
    ]) {
      await expect(visit({ path }), path).rejects.toMatchObject({ code: "bad_request" });
    }
  });

  test.each(["/.taskgate/logout", "/.taskgate/session?code=x", "/.taskgate"])(
    "is refused for the gate's own path %s",
    async (path) => {
      await expect(visit({ path })).rejects.toMatchObject({ code: "bad_request" });
    },
  );

  test.each(["", "x", "A".repeat(44), `${"A".repeat(42)}\n`, "A".repeat(42) + "="])(
    "is refused for state %j",
    async (bad) => {
      await expect(visit({ state: bad })).rejects.toMatchObject({ code: "bad_request" });
    },
  );

  test.each([
    "//evil.example/",
    "/\\evil.example",
    "/@evil.example",
    "/.evil.example",
    "/:80/",
    "/?next=http://evil.example",
  ])("stays at the service for path %s", async (path) => {
    const { browser, token } = await kit.login();
    const sent = new URL(await redirected(browser, `${NB}/`));
    sent.searchParams.set("path", path);
    const end = await redirected(browser, await kit.goOn(sent.href, token));
    expect(end).toBe(NB + path);
    expect(new URL(end).origin).toBe(NB);
  });

  test("is refused to who may not use the service", async () => {
    await expect(visit({}, BOB)).rejects.toMatchObject({ code: "denied" });
  });

  test("is refused to a login that has ended", async () => {
    const { token } = await kit.login();
    const caller = await kit.auth.authenticate(bearer(PLAIN, token), forever);
    await kit.auth.login.logout(bearer(PLAIN, token));
    await expect(visit({}, caller)).rejects.toMatchObject({ code: "unauthenticated" });
  });

  test("keeps of the code only its hash", async () => {
    const { location } = await visit({});
    const code = new URL(location).searchParams.get("code") ?? "none";
    const { url } = await kit.auth.login.link(OWNER);
    const kept = JSON.stringify([[...(await kit.store.list("visits"))], [...(await kit.store.list("links"))]]);
    expect(kept).not.toContain(code);
    expect(kept).not.toContain(url.split("code=")[1]);
  });
});

test("nothing secret of a whole login reaches the log", async () => {
  const { browser, token } = await kit.login();
  const { url } = await kit.auth.login.link(OWNER);
  const address = await kit.goOn(await redirected(browser, `${NB}/lab?secret=1`), token);
  await browser.request(address);
  await browser.request(`${NB}/`);
  await browser.request(address);
  const session = (browser.jar.header(new URL(NB)) ?? "").split("=")[1] ?? "none";
  const code = new URL(address).searchParams.get("code") ?? "none";
  await kit.auth.login.logout(bearer(PLAIN, token));
  expect(kit.logged()).toContain("session begun");
  for (const secret of [token, token.slice(16), session, code, url.split("code=")[1] ?? "none"]) {
    expect(kit.logged()).not.toContain(secret);
  }
});
