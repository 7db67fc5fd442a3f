import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { LINK_REALM, OWNER_ONLY, type Access, type Principal, type Route } from "../model/index.ts";
import type { GrantedTask } from "./granted.ts";
import { type AuthKit, bearer, hostRoute, OWNER, PLAIN, startAuthKit, useOf } from "./testing/auth-kit.ts";
import { makeHead } from "./testing/browser.ts";

const NB: GrantedTask = { key: "local/nb", instance: "1", owner: { realm: OWNER.realm, name: OWNER.name } };
const NB_URL = "http://nb.localhost:7080";
const PEER = "192.0.2.1";
const HOUR = 3_600_000;
const signal = new AbortController().signal;

let kit: AuthKit;
beforeEach(async () => {
  kit = await startAuthKit();
  showShared();
});
afterEach(() => kit[Symbol.asyncDispose]());

/** As the core does: what was given is in the routes. */
function showShared(): void {
  const access: Access = {
    ...OWNER_ONLY,
    grants: kit.auth.grants.openings(NB.key).flatMap((opening) => opening.access.grants),
  };
  const nb = hostRoute("nb.localhost", "local/nb/web", { access });
  const tb = hostRoute("tb.localhost", "local/tb/web");
  const all = hostRoute("all.localhost", "local/all/web", { access: { grants: [], anyone: "authenticated" } });
  for (const route of [nb, tb, all]) kit.routes.set(route.id, route);
}

async function share(until: number | null = null): Promise<{ id: string; link: string }> {
  const { grant, link = "" } = await kit.auth.grants.give(NB, { to: { link: true }, service: null, until }, OWNER);
  showShared();
  return { id: grant.id, link };
}

const withToken = (host: string, token: string) =>
  makeHead({ host: `${host}:7080`, headers: { authorization: `Bearer ${token}` } });

function route(host: string): Route {
  const found = kit.routeFor(host, "/");
  if (found === undefined) throw new Error(`no route ${host}`);
  return found;
}

describe("who has a link", () => {
  test("exchanges it for a token of a principal that is the link's, and no more", async () => {
    const { id, link } = await share();
    const redeemed = await kit.auth.links.redeem(link, PEER);
    expect(redeemed).toMatchObject({ taskKey: "local/nb", service: null, grantId: id });
    const visitor: Principal = { realm: LINK_REALM, name: id, groups: [], admin: false };
    const caller = await kit.auth.authenticate(bearer(PLAIN, redeemed.token), signal);
    expect(caller).toMatchObject({ ...visitor, credential: { id } });
  });

  test("comes in to that service, as a program and as a browser, and to no other", async () => {
    const { id, link } = await share();
    const { token } = await kit.auth.links.redeem(link, PEER);
    const shown = await kit.auth.gatekeeper.admit(route("nb.localhost"), withToken("nb.localhost", token), signal);
    expect(shown).toMatchObject({ kind: "allow", session: { principal: { realm: LINK_REALM, name: id } } });
    for (const host of ["tb.localhost", "all.localhost"]) {
      const refused = await kit.auth.gatekeeper.admit(route(host), withToken(host, token), signal);
      expect(refused, host).toMatchObject({ kind: "deny", status: 403 });
    }
    const browser = kit.browser();
    expect(await kit.enter(browser, token, `${NB_URL}/lab?a=1`)).toBe(`${NB_URL}/lab?a=1`);
    expect(await browser.request(`${NB_URL}/lab`)).toMatchObject({ kind: "allow" });
  });

  test("is many, each with a session of their own", async () => {
    const { link } = await share();
    const ids = new Set<string>();
    for (let visitor = 0; visitor < 5; visitor++) {
      const browser = kit.browser();
      await kit.enter(browser, (await kit.auth.links.redeem(link, PEER)).token, `${NB_URL}/`);
      const decision = await browser.request(`${NB_URL}/`);
      if (decision.kind === "allow") ids.add(decision.session?.id ?? "");
    }
    expect(ids.size).toBe(5);
  });

  test("goes on in an open session while the link is there, and not a moment longer than its end", async () => {
    const { link } = await share(kit.clock.now() + 20 * HOUR);
    const browser = kit.browser();
    await kit.enter(browser, (await kit.auth.links.redeem(link, PEER)).token, `${NB_URL}/`);
    for (let hour = 0; hour < 19; hour++) {
      kit.clock.advance(HOUR);
      expect(await browser.request(`${NB_URL}/`), String(hour)).toMatchObject({ kind: "allow" });
    }
    kit.clock.advance(HOUR);
    expect(await browser.request(`${NB_URL}/`)).toMatchObject({ kind: "redirect" });
    await expect(kit.auth.links.redeem(link, PEER)).rejects.toMatchObject({ code: "unauthenticated" });
  });

  test("is out at once when it is taken back: open connections, sessions, tokens and the link itself", async () => {
    const { id, link } = await share();
    const { token } = await kit.auth.links.redeem(link, PEER);
    const browser = kit.browser();
    await kit.enter(browser, token, `${NB_URL}/`);
    const decision = await browser.request(`${NB_URL}/`);
    const session = decision.kind === "allow" ? decision.session : null;
    let cut = 0;
    kit.auth.gatekeeper.opened(useOf(session), route("nb.localhost"), () => (cut += 1));
    await kit.auth.grants.take(NB, [id], OWNER);
    expect(cut).toBe(1);
    expect(await browser.request(`${NB_URL}/`)).toMatchObject({ kind: "redirect" });
    await expect(kit.auth.authenticate(bearer(PLAIN, token), signal)).rejects.toMatchObject({
      code: "unauthenticated",
    });
    await expect(kit.auth.links.redeem(link, PEER)).rejects.toMatchObject({ code: "unauthenticated" });
  });

  test("stays out after a restart when it was taken back, and stays in when not", async () => {
    const [gone, kept] = [await share(), await share()];
    const tokens = await Promise.all([gone, kept].map(async ({ link }) => (await kit.auth.links.redeem(link, PEER)).token)); // prettier-ignore
    await kit.auth.grants.take(NB, [gone.id], OWNER);
    const next = await kit.restart();
    await expect(next.authenticate(bearer(PLAIN, tokens[0] ?? ""), signal)).rejects.toMatchObject({ code: "unauthenticated" }); // prettier-ignore
    expect(await next.authenticate(bearer(PLAIN, tokens[1] ?? ""), signal)).toMatchObject({ name: kept.id });
  });
});

describe("a wrong link", () => {
  test("is refused like one that is gone, whatever is wrong with it", async () => {
    const { id, link } = await share();
    const other = await share();
    const messages = new Set<string>();
    const wrong = [
      `${link.slice(0, -1)}${link.endsWith("A") ? "B" : "A"}`,
      `${other.id}${link.slice(id.length)}`,
      `g-${"a".repeat(12)}${link.slice(id.length)}`,
      ...[link.slice(0, -1), `${link}A`, id, "", "x".repeat(5000), link.toUpperCase(), ` ${link}`],
    ];
    for (const text of wrong) {
      const error: unknown = await kit.auth.links.redeem(text, PEER).catch((failure: unknown) => failure);
      expect(error, text).toMatchObject({ code: "unauthenticated" });
      if (error instanceof Error) messages.add(error.message);
    }
    expect(messages.size).toBe(1);
    await expect(kit.auth.links.redeem(link, PEER)).resolves.toBeDefined();
  });

  test("is counted, and who tries many is told to wait; who has the right one still comes in", async () => {
    const { link } = await share();
    const codes: unknown[] = [];
    for (let tries = 0; tries <= 200; tries++) {
      codes.push(await kit.auth.links.redeem("g-x", PEER).catch((error: unknown) => (error as { code: string }).code));
    }
    expect(codes.at(0)).toBe("unauthenticated");
    expect(codes.at(-1)).toBe("rate_limited");
    await expect(kit.auth.links.redeem(link, PEER)).resolves.toBeDefined();
  });

  test("gets no token that works: one of another link, with a later end, or with a letter changed", async () => {
    const { link } = await share();
    const other = await share();
    const { token } = await kit.auth.links.redeem(link, PEER);
    const [head = "", mac = ""] = token.split(".");
    const [, , expiry = ""] = head.split("_");
    const forged = [
      `tg_${other.id.slice(2)}_${expiry}.${mac}`,
      `${head.replace(expiry, `l${(parseInt(expiry.slice(1), 36) + 1).toString(36)}`)}.${mac}`,
      `${head}.${mac.slice(0, -1)}${mac.endsWith("A") ? "E" : "A"}`,
      `${head}.`,
      head,
    ];
    for (const text of forged) {
      await expect(kit.auth.authenticate(bearer(PLAIN, text), signal), text).rejects.toMatchObject({
        code: "unauthenticated",
      });
    }
  });
});

test("neither link nor token is in a log, and a job sees neither", async () => {
  const { link } = await share();
  const { token } = await kit.auth.links.redeem(link, PEER);
  await kit.auth.links.redeem(`${link.slice(0, -2)}xx`, PEER).catch(() => undefined);
  const head = withToken("nb.localhost", token);
  const decision = await kit.auth.gatekeeper.admit(route("nb.localhost"), head, signal);
  expect(decision.kind === "allow" && decision.strip).toContain("authorization");
  for (const secret of [link.slice(15, -2), token.split(".")[1] ?? token]) expect(kit.logged()).not.toContain(secret);
});
