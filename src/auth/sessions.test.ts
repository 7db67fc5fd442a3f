import { createPrivateKey } from "node:crypto";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { LoginConfig } from "../config/schema.ts";
import { GatewayError, type Principal, type Route } from "../model/index.ts";
import { signToken } from "./jws.ts";
import { type AuthKit, bearer, hostRoute, OWNER, PLAIN, startAuthKit } from "./testing/auth-kit.ts";
import { type Browser, makeHead, setCookies } from "./testing/browser.ts";

const NB = "http://nb.localhost:7080";
const NAME = "taskgate-session-7080";
const TYP = "taskgate-session+jwt";
const HOUR = 3_600_000;
const BOB: Principal = {
  ...{ realm: "oidc", name: "bob", admin: false },
  groups: [...Array.from({ length: 300 }, (_, at) => ({ realm: "oidc", name: `g${String(at)}` }))],
};
const forever = new AbortController().signal;

let kit: AuthKit;
let browser: Browser;
let token: string;
let value: string;
let route: Route;
beforeEach(async () => {
  kit = await startAuthKit({
    table: [hostRoute("nb.localhost", "local/nb/web"), hostRoute("tb.localhost", "local/tb/web")],
  });
  ({ browser, token } = await kit.login());
  await kit.enter(browser, token, `${NB}/`);
  value = valueIn(browser);
  route = kit.routeFor("nb.localhost", "/")!;
});
afterEach(() => kit[Symbol.asyncDispose]());

function valueIn(of: Browser, url = NB): string {
  return (of.jar.header(new URL(url)) ?? "").split("=")[1] ?? "";
}

function show(...values: readonly string[]) {
  const cookie = values.map((each) => `${NAME}=${each}`).join("; ");
  return kit.auth.gatekeeper.check(route, makeHead({ host: "nb.localhost:7080", headers: { cookie } }));
}

function claims(): Record<string, unknown> {
  return JSON.parse(Buffer.from(value.split(".")[1] ?? "", "base64url").toString()) as Record<string, unknown>;
}

/** Signed with the gate's own key: what a mistake of the gate, and nobody else, could make. */
async function forge(changes: Record<string, unknown>, typ = TYP): Promise<string> {
  const ring = await kit.store.get<{ keys: { privateKey: string }[] }>("keys", "session");
  const [kid = ""] = kit.auth.keys.published().keys();
  const privateKey = createPrivateKey(ring?.value.keys[0]?.privateKey ?? "");
  return signToken({ kid, alg: "EdDSA", privateKey }, typ, JSON.stringify({ ...claims(), ...changes }));
}

describe("a session", () => {
  test("says whom it is for, of whom it is, and until when, and nothing more", () => {
    expect(claims()).toEqual({
      ...{ aud: "gate:local/nb/web", realm: "local", sub: "olga", adm: true, host: "nb.localhost" },
      sid: expect.stringMatching(/^[a-z2-7]{12}\.[A-Za-z0-9_-]{22}$/) as string,
      ...{ amr: "link", ast: expect.stringMatching(/^[\w-]+\.[\w-]+\.[\w-]{86}$/) as string },
      ...{ iat: kit.clock.now() / 1000, exp: (kit.clock.now() + 12 * HOUR) / 1000 },
    });
    expect(show(value)).toMatchObject({ kind: "allow" });
  });

  test("verifies with the keys that are published, by whoever has them", () => {
    const [[kid, key] = ["", null]] = [...kit.auth.keys.published()];
    expect(key?.publicKey).toMatch(/^-----BEGIN PUBLIC KEY-----/);
    expect(key?.notAfter).toBeGreaterThan(kit.clock.now() + 365 * 24 * HOUR);
    expect(JSON.parse(Buffer.from(value.split(".")[0] ?? "", "base64url").toString())).toEqual({
      alg: "EdDSA",
      kid,
      typ: TYP,
    });
  });

  test("of one service is nothing at another, under whatever name", async () => {
    const tb = kit.routeFor("tb.localhost", "/")!;
    const head = makeHead({ host: "tb.localhost:7080", headers: { cookie: `${NAME}=${value}` } });
    expect(await kit.auth.gatekeeper.admit(tb, head, forever)).toMatchObject({ kind: "deny", status: 401 });
  });

  test("of one host is nothing at another host of the same service", () => {
    const alias = hostRoute("web-nb.localhost", "local/nb/web");
    const head = makeHead({ host: "web-nb.localhost:7080", headers: { cookie: `${NAME}=${value}` } });
    expect(kit.auth.gatekeeper.check(alias, head).kind).toBe("ask");
  });

  test("is nothing once its host leads to another service", () => {
    route = hostRoute("nb.localhost", "local/evil/web");
    expect(show(value).kind).toBe("ask");
  });

  test("is nothing to who must not come in any more, at once", async () => {
    route = hostRoute("nb.localhost", "local/nb/web", { owner: null, access: { grants: [], anyone: "nobody" } });
    const admin = await forge({ adm: false, realm: "oidc" });
    expect(show(admin).kind).toBe("ask");
    const head = makeHead({ host: "nb.localhost:7080", headers: { cookie: `${NAME}=${admin}` } });
    await kit.auth.login.logout(bearer(PLAIN, token));
    expect(await kit.auth.gatekeeper.admit(route, head, forever)).toMatchObject({ kind: "deny", status: 401 });
  });

  const flawed: [string, Record<string, unknown>, string?][] = [
    ["for another audience", { aud: "gate:local/tb/web" }],
    ["for the service itself, as an assertion is", { aud: "local/nb/web" }],
    ["for several audiences", { aud: ["gate:local/nb/web", "gate:local/tb/web"] }],
    ["of another type", {}, "taskgate-assertion+jwt"],
    ["of no type", {}, ""],
    ["for another host", { host: "tb.localhost" }],
    ["without host", { host: undefined }],
    ["without end", { exp: undefined }],
    ["with an end that is text", { exp: "9999999999" }],
    ["with an end before its beginning", { exp: 1 }],
    ["from the future", { iat: Date.UTC(2026, 0, 1, 1) / 1000 }],
    ["without a name", { sub: "" }],
    ["with a claim that nobody knows", { scope: "all" }],
    ["with a claim named like a method of objects", { propertyIsEnumerable: "groups" }],
    ["of somebody else of the owner's realm", { sub: "eve" }],
    ["with an odd id", { sid: "../x" }],
  ];
  test("with a single flaw is none, though the gate's own key signed it", async () => {
    expect(show(await forge({})).kind).toBe("allow");
    for (const [how, changes, typ] of flawed) expect(show(await forge(changes, typ)).kind, how).toBe("ask");
  });

  test("with one character changed is none", () => {
    const middle = Math.floor(value.length / 2);
    const changed = value.slice(0, middle) + (value[middle] === "A" ? "B" : "A") + value.slice(middle + 1);
    for (const bad of [changed, value.slice(0, -1), `${value}A`, `"${value}"`, "", value.toLowerCase()]) {
      expect(show(bad).kind).toBe("ask");
    }
  });

  test("is found beside tossed cookies of its name, few of which are looked at", () => {
    expect(show("junk", "a.b.c", value)).toMatchObject({ kind: "allow" });
    expect(show(value, value)).toMatchObject({ kind: "allow", stripCookies: [NAME] });
    expect(show("1", "2", "3", "4", value).kind).toBe("ask");
  });

  test("ends, and no sooner", () => {
    kit.clock.advance(6 * HOUR - 1);
    expect(show(value).kind).toBe("allow");
    kit.clock.advance(6 * HOUR + 1);
    expect(browser.jar.header(new URL(NB))).toBeUndefined();
    expect(show(value).kind).toBe("ask");
  });

  test("that is long known ends, too", async () => {
    expect(show(value).kind).toBe("allow");
    kit.clock.advance(12 * HOUR);
    const head = makeHead({ host: "nb.localhost:7080", headers: { cookie: `${NAME}=${value}` } });
    expect(await kit.auth.gatekeeper.admit(route, head, forever)).toMatchObject({ kind: "deny", status: 401 });
  });

  test("outlives a restart of the gate, with its keys", async () => {
    const again = await kit.restart();
    expect([...again.keys.published().keys()]).toEqual([...kit.auth.keys.published().keys()]);
    const head = makeHead({ host: "nb.localhost:7080", headers: { cookie: `${NAME}=${value}` } });
    expect(again.gatekeeper.check(route, head)).toMatchObject({ kind: "allow" });
  });

  test("is of the keys of its own gate", async () => {
    await using other = await startAuthKit({ table: [route] });
    const head = makeHead({ host: "nb.localhost:7080", headers: { cookie: `${NAME}=${value}` } });
    expect(other.auth.gatekeeper.check(route, head).kind).toBe("ask");
  });

  test("lives no longer than a shorter lifetime in the config allows", async () => {
    const again = await kit.restart({ config: LoginConfig.parse({ session: "1h" }) });
    const head = makeHead({ host: "nb.localhost:7080", headers: { cookie: `${NAME}=${value}` } });
    kit.clock.advance(HOUR);
    expect(await again.gatekeeper.admit(route, head, forever)).toMatchObject({ kind: "deny", status: 401 });
  });

  test("of a state folder that came from somebody else is none", async () => {
    const moved = await kit.restart({ owner: { ...OWNER, name: "eve" } });
    const head = makeHead({ host: "nb.localhost:7080", headers: { cookie: `${NAME}=${value}` } });
    expect(moved.gatekeeper.check(route, head).kind).toBe("ask");
    await expect(moved.authenticate(bearer(PLAIN, token), forever)).rejects.toMatchObject({ code: "unauthenticated" });
  });
});

describe("a clock that is wrong", () => {
  test("by less than a minute harms nobody", async () => {
    const behind = await kit.restart({ clock: { now: () => kit.clock.now() - 59_000, after: kit.clock.after } });
    const head = makeHead({ host: "nb.localhost:7080", headers: { cookie: `${NAME}=${value}` } });
    expect(behind.gatekeeper.check(route, head).kind).toBe("allow");
  });

  test("by more lets nobody in with what is not yet valid", async () => {
    const behind = await kit.restart({ clock: { now: () => kit.clock.now() - 61_000, after: kit.clock.after } });
    const head = makeHead({ host: "nb.localhost:7080", headers: { cookie: `${NAME}=${value}` } });
    expect(behind.gatekeeper.check(route, head).kind).toBe("ask");
  });
});

describe("at half of its life", () => {
  beforeEach(() => kit.clock.advance(6 * HOUR));

  test("a session is renewed beside the answer, for a script as for a page, and stays the same one", async () => {
    const headers = { accept: "application/json", "sec-fetch-mode": "cors", "sec-fetch-site": "same-origin" };
    const decision = await browser.request(`${NB}/api/kernels`, { headers });
    expect(decision).toMatchObject({ kind: "allow", asked: true });
    expect(setCookies(decision)).toHaveLength(1);
    const before = claims().sid;
    value = valueIn(browser);
    expect(claims()).toMatchObject({ sid: before, exp: (kit.clock.now() + 12 * HOUR) / 1000 });
    expect(await browser.request(`${NB}/`)).toMatchObject({ kind: "allow", asked: false });
  });

  test("an open page goes on for days", async () => {
    for (let day = 0; day < 20; day += 1) {
      expect(await browser.request(`${NB}/api`, { headers: {} })).toMatchObject({ kind: "allow" });
      kit.clock.advance(7 * HOUR);
    }
  });

  test("it is not renewed beyond the login that it came from", async () => {
    const { browser: other, token: second } = await kit.login();
    kit.clock.advance(30 * 24 * HOUR - HOUR);
    await kit.enter(other, second, `${NB}/`);
    value = valueIn(other);
    expect(claims().exp).toBe((kit.clock.now() + HOUR) / 1000);
    kit.clock.advance(HOUR);
    await expect(kit.auth.authenticate(bearer(PLAIN, second), forever)).rejects.toMatchObject({
      code: "unauthenticated",
    });
    expect(show(value).kind).toBe("ask");
  });

  test("it ends with the login", async () => {
    await kit.auth.login.logout(bearer(PLAIN, token));
    expect((await browser.request(`${NB}/`)).kind).toBe("redirect");
    expect(await browser.request(`${NB}/`, { headers: {} })).toMatchObject({ kind: "deny", status: 401 });
  });

  test("it goes on unrenewed while nobody can be asked, and does not ask at every request", async () => {
    const store = kit.store;
    const failing = await kit.restart({
      store: {
        ...store,
        get: (kind, key) =>
          kind === "keys" ? store.get(kind, key) : Promise.reject(new GatewayError("unavailable", "disk")),
        list: store.list,
        watch: store.watch,
      },
    });
    const head = makeHead({ host: "nb.localhost:7080", headers: { cookie: `${NAME}=${value}` } });
    expect(failing.gatekeeper.check(route, head).kind).toBe("ask");
    expect(await failing.gatekeeper.admit(route, head, forever)).toMatchObject({ kind: "allow", respond: [] });
    expect(failing.gatekeeper.check(route, head)).toMatchObject({ kind: "allow" });
    kit.clock.advance(60_000);
    expect(failing.gatekeeper.check(route, head).kind).toBe("ask");
  });
});

describe("groups", () => {
  const grant = (name: string) => ({ to: { group: { realm: "oidc", name } }, by: OWNER });
  const shared = (...names: string[]): void => {
    route = hostRoute("nb.localhost", "local/nb/web", { access: { grants: names.map(grant), anyone: "nobody" } });
    kit.routes.set(route.id, route);
  };

  test("are in a session as far as the service's grants speak of them", async () => {
    shared("g7", "g299", "other");
    const bob = await kit.login(BOB);
    await kit.enter(bob.browser, bob.token, `${NB}/`);
    value = valueIn(bob.browser);
    expect(claims()).toMatchObject({
      groups: [
        ["oidc", "g7"],
        ["oidc", "g299"],
      ],
      adm: false,
    });
  });

  test("are looked up again when grants change, without a new login", async () => {
    shared("g7");
    const bob = await kit.login(BOB);
    await kit.enter(bob.browser, bob.token, `${NB}/`);
    shared("g8");
    const decision = await bob.browser.request(`${NB}/`, { headers: {} });
    expect(decision).toMatchObject({ kind: "allow", asked: true });
    expect(await bob.browser.request(`${NB}/`, { headers: {} })).toMatchObject({ kind: "allow", asked: false });
    shared("nobody");
    expect(await bob.browser.request(`${NB}/`, { headers: {} })).toMatchObject({ kind: "deny", status: 403 });
  });
});
