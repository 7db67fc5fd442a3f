import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Decision, Principal, Route } from "../model/index.ts";
import { describeAuthority } from "./authority.contract.ts";
import { type AuthKit, hostRoute, OWNER, startAuthKit, useOf } from "./testing/auth-kit.ts";
import { type Browser, makeHead } from "./testing/browser.ts";
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

  test("keeps nothing else open while it takes its time to answer", async () => {
    const now = kit.clock.now();
    const { view } = await kit.auth.tokens.issue({ name: "ci", principal: BOB });
    const until = now + 4000;
    const shared = hostRoute("tb.localhost", "local/tb/web", {
      access: { grants: [{ to: BOB, by: OWNER, until }], anyone: "nobody" },
    });
    const [asked, granted] = (
      [
        [nb("1"), now + 2000],
        [shared, Infinity],
      ] as const
    ).map(([route, renewAt]) => {
      // prettier-ignore
      const session = { id: view.id, principal: BOB, service: route.service, expiresAt: Infinity, renewAt };
      const state = { cuts: 0 };
      kit.auth.gatekeeper.opened(useOf(session), route, () => void (state.cuts += 1));
      return state;
    });
    server.stall();
    for (let seconds = 0; seconds < 6; seconds += 1) {
      kit.clock.advance(1000);
      for (let turns = 0; turns < 20; turns += 1) await new Promise(setImmediate);
    }
    expect([asked?.cuts, granted?.cuts]).toEqual([0, 1]);
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

describe("a service with an action for what changes something", () => {
  const access = (epoch: string): Route["access"] => ({
    ...{ grants: [], anyone: "nobody" as const },
    authority: { name: "test", resource: "op-1", action: "read", epoch },
  });
  const policy = { writeAction: "write" };
  const nb = (epoch: string): Route =>
    hostRoute("nb.localhost", "local/nb/web", { access: access(epoch), policy, protocol: "tcp" });
  /** In whose heads `repeated` stands for those that come again: what was found out is kept by it, too. */
  let programs: Browser;
  let may: ReadonlySet<string>;
  let server: AuthorityServer;
  let kit: AuthKit;
  let authorization: string;
  beforeEach(async () => {
    may = new Set(["read", "write"]);
    server = await startAuthorityServer(({ action }) => may.has(action));
    const authorities = new Map([["test", createHttpAuthority("test", server.port)]]);
    kit = await startAuthKit({ authorities, table: [nb("1")] });
    authorization = `Bearer ${(await kit.auth.tokens.issue({ name: "ci", principal: BOB })).token}`;
    programs = kit.browser();
  });
  afterEach(async () => {
    await kit[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  });

  const READS: readonly Asking[] = [["GET"], ["HEAD"], ["OPTIONS"], ["TRACE"]];
  const WRITES: readonly Asking[] = [
    ...["POST", "PUT", "PATCH", "DELETE", "PROPFIND", "get", "CONNECT"].map((method): Asking => [method]),
    ["GET", { connection: "Upgrade", upgrade: "websocket" }],
    ["POST", { "content-type": "application/grpc", te: "trailers" }],
  ];
  const send = ([method, headers = {}]: Asking) =>
    programs.request(`${NB}/`, { method, headers: { authorization, ...headers } });
  const actions = (): readonly string[] => server.asked.map(({ action }) => action);
  const epoch = (value: string): Route => {
    const route = nb(value);
    kit.routes.set(route.id, route);
    return route;
  };

  test.each([
    ...READS.map((asking) => ["read", asking] as const),
    ...WRITES.map((asking) => ["write", asking] as const),
  ])("asks for %s about %j, and is refused by that one alone", async (action, asking) => {
    expect(await send(asking)).toMatchObject({ kind: "allow", asked: true });
    expect(actions()).toEqual([action]);
    may = new Set([action]);
    epoch("2");
    expect(await send(asking)).toMatchObject({ kind: "allow" });
    may = new Set(["read", "write"].filter((other) => other !== action));
    epoch("3");
    expect(await send(asking)).toMatchObject({ kind: "deny", status: 403, code: "denied" });
    expect(actions()).toEqual([action, action, action]);
  });

  test("keeps the answers apart: who may read is not let in to write, nor the other way", async () => {
    for (const [allowed, refused] of [
      [READS, WRITES],
      [WRITES, READS],
    ] as const) {
      may = new Set(allowed === READS ? ["read"] : ["write"]);
      epoch(`of ${[...may].join()}`);
      for (let times = 0; times < 3; times += 1) {
        for (const asking of allowed) expect(await send(asking)).toMatchObject({ kind: "allow" });
        for (const asking of refused) expect(await send(asking)).toMatchObject({ kind: "deny", status: 403 });
      }
    }
    expect(actions().toSorted()).toEqual(["read", "read", "write", "write"]);
  });

  test("asks about the usual action alone where the service names no other", async () => {
    const route = { ...nb("1"), policy: {} };
    kit.routes.set(route.id, route);
    for (const asking of [...READS, ...WRITES]) await send(asking);
    expect(actions()).toEqual(["read"]);
  });

  test("holds for sessions, which are begun and renewed by who may read", async () => {
    may = new Set(["read"]);
    const { browser, token } = await kit.login(BOB);
    await kit.enter(browser, token, `${NB}/`);
    const post = { method: "POST", headers: { "sec-fetch-site": "same-origin", origin: NB } };
    for (let times = 0; times < 2; times += 1) {
      expect(await browser.request(`${NB}/`, post)).toMatchObject({ kind: "deny", status: 403, code: "denied" });
      expect(await browser.request(`${NB}/`)).toMatchObject({ kind: "allow" });
      kit.clock.advance(7 * 3_600_000);
    }
  });

  test("holds for what is open: a WebSocket ends when writing is refused, and a page goes on", async () => {
    const opened = [WRITES.at(-2)!, READS[0]!].map(async ([method, headers = {}]) => {
      const head = makeHead({ method, host: "nb.localhost:7080", headers: { authorization, ...headers } });
      const route = kit.routeFor("nb.localhost", "/")!;
      const decision = await kit.auth.gatekeeper.admit(route, head, new AbortController().signal);
      if (decision.kind !== "allow") throw new Error(JSON.stringify(decision));
      const state = { cuts: 0 };
      const cut = (): void => void (state.cuts += 1);
      return { state, use: kit.auth.gatekeeper.opened({ ...useOf(decision.session), head }, route, cut) };
    });
    const [socket, page] = await Promise.all(opened);
    may = new Set(["read"]);
    const route = epoch("2");
    for (const each of [socket, page]) each?.use.moved(route); // nobody has asked about this epoch yet
    await expect.poll(() => socket?.state.cuts).toBe(1);
    expect(actions().slice(-2).toSorted()).toEqual(["read", "write"]);
    expect(page?.state.cuts).toBe(0);
  });
});

type Asking = readonly [method: string, headers?: Readonly<Record<string, string>>];
