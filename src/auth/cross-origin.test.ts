import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Policy, Route } from "../model/index.ts";
import { type AuthKit, hostRoute, OWNER, PLAIN, startAuthKit } from "./testing/auth-kit.ts";
import { type Browser, makeHead } from "./testing/browser.ts";
import { frameOf } from "./cross-origin.ts";

const NB = "http://nb.localhost:7080";
const FRIEND = "http://friend.localhost:7080";

let kit: AuthKit;
let browser: Browser;
beforeEach(async () => {
  kit = await startAuthKit({ table: [route()] });
  const { browser: own, token } = await kit.login();
  browser = own;
  await kit.enter(browser, token, `${NB}/`);
});
afterEach(() => kit[Symbol.asyncDispose]());

function route(policy: Policy = { allowedOrigins: [FRIEND] }, more: Partial<Route> = {}): Route {
  return hostRoute("nb.localhost", "local/nb/web", { policy, ...more });
}

function ask(headers: Record<string, string>, method: string, of = route()) {
  const cookie = browser.jar.header(new URL(NB)) ?? "";
  const own = "access-control-request-method" in headers ? {} : { cookie };
  const head = makeHead({ host: "nb.localhost:7080", method, headers: { accept: "*/*", ...own, ...headers } });
  return kit.auth.gatekeeper.check(of, head);
}

describe("an origin that the service allows", () => {
  const preflight = { origin: FRIEND, "access-control-request-method": "PUT" };

  test("has its preflight answered by the gate, which no login could come with", () => {
    const headers = { ...preflight, "access-control-request-headers": "content-type, x-own" };
    expect(ask(headers, "OPTIONS")).toEqual({
      kind: "answer",
      respond: [
        ["access-control-allow-origin", FRIEND],
        ["access-control-allow-credentials", "true"],
        ["vary", "Origin"],
        ["access-control-allow-methods", "PUT"],
        ["access-control-allow-headers", "content-type, x-own"],
        ["access-control-max-age", "600"],
      ],
    });
  });

  test("may write, open WebSockets and read what comes", () => {
    for (const [method, more] of [
      ["PUT", {}],
      ["GET", { upgrade: "websocket" }],
      ["CONNECT", { ":protocol": "websocket" }],
    ] as const) {
      const decision = ask({ origin: FRIEND, "sec-fetch-site": "same-site", ...more }, method);
      expect(decision).toMatchObject({ kind: "allow", respond: expect.arrayContaining([["access-control-allow-origin", FRIEND]]) as unknown }); // prettier-ignore
    }
  });

  test("says nothing of others: their preflights get 401, their writes 403, and no word of CORS", async () => {
    for (const origin of [
      "http://evil.localhost:7080",
      "null",
      `${FRIEND}.evil.example`,
      FRIEND.toUpperCase(),
      `${FRIEND}/`,
      `${FRIEND}, ${NB}`,
    ]) {
      // prettier-ignore
      const head = makeHead({ host: "nb.localhost:7080", method: "OPTIONS", headers: { ...preflight, origin } });
      const decision = await kit.auth.gatekeeper.admit(route(), head, new AbortController().signal);
      expect([origin, decision.kind === "deny" && decision.status]).toEqual([origin, 401]);
      expect(ask({ origin, "sec-fetch-site": "same-site" }, "POST")).toMatchObject({ kind: "deny", status: 403 });
      expect(ask({ origin, "sec-fetch-site": "same-site" }, "GET")).toMatchObject({ kind: "allow", respond: [] });
    }
  });

  test("is answered nothing odd, and nothing at all by services that allow none or check by themselves", () => {
    expect(ask({ ...preflight, "access-control-request-method": "PUT\r\nx: y" }, "OPTIONS").kind).not.toBe("answer");
    const odd = ask({ ...preflight, "access-control-request-headers": "a\r\nset-cookie: b" }, "OPTIONS");
    expect(JSON.stringify(odd)).not.toContain("set-cookie");
    expect(ask(preflight, "OPTIONS", route({})).kind).not.toBe("answer");
    expect(ask(preflight, "OPTIONS", route({ allowedOrigins: [FRIEND] }, { guard: "self" })).kind).not.toBe("answer");
  });
});

describe("who may frame a service", () => {
  const own = "'self' http://taskgate.localhost:7080";
  test.each([
    [undefined, { ancestors: own, replaces: false }],
    ["self", { ancestors: own, replaces: true }],
    ["none", { ancestors: "'none'", replaces: true }],
    ["any", { ancestors: "*", replaces: true }],
    ["app", undefined],
    ["https://hub.example.com https://x.example", { ancestors: `${own} https://hub.example.com https://x.example`, replaces: true }], // prettier-ignore
  ])("follows its policy %s", (frame, expected) => {
    expect(frameOf(PLAIN, route(frame === undefined ? {} : { frame }))).toEqual(expected);
  });

  test("is anybody, of a public service that does not say, and the affair of who checks by themselves", () => {
    expect(frameOf(PLAIN, route({}, { access: { anyone: "public", grants: [] } }))).toBeUndefined();
    expect(frameOf(PLAIN, route({ frame: "none" }, { guard: "self" }))).toBeUndefined();
  });
});

describe("Authorization", () => {
  const basic = { authorization: "Basic b2xnYTp4" };

  test("is the app's own where the policy says so, and the gate's tokens are the gate's even there", async () => {
    const app = route({ authorization: "app" });
    expect(ask(basic, "GET", app)).toMatchObject({ kind: "allow", strip: [] });
    expect(ask(basic, "GET", route({ authorization: "gate" }))).toMatchObject({ strip: ["authorization"] });
    const { token } = await kit.auth.tokens.issue({ name: "ci", principal: OWNER });
    const own = { ...basic, "x-taskgate-authorization": `Bearer ${token}` };
    const head = makeHead({ host: "nb.localhost:7080", headers: own });
    const decision = await kit.auth.gatekeeper.admit(app, head, new AbortController().signal);
    expect(decision).toMatchObject({ kind: "allow", strip: ["x-taskgate-authorization"] });
    const refused = makeHead({ host: "nb.localhost:7080", headers: { authorization: `Bearer ${token}x` } });
    const signal = new AbortController().signal;
    expect(await kit.auth.gatekeeper.admit(app, refused, signal)).toMatchObject({ kind: "deny", status: 401 });
  });
});
