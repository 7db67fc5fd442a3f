import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { GatewayError, type Decision, type Policy, type Principal, type Route } from "../model/index.ts";
import type { Authenticator } from "./authenticators/authenticator.ts";
import { type AuthKit, hostRoute, makeRoute, OWNER, startAuthKit } from "./testing/auth-kit.ts";
import { type Browser, makeHead, NAVIGATION } from "./testing/browser.ts";

const NB = "http://nb.localhost:7080";
const PUBLIC = { grants: [], anyone: "public" } as const;
const BOB: Principal = { realm: "oidc", name: "bob", groups: [], admin: false };
const forever = new AbortController().signal;
const XHR = { accept: "*/*", "sec-fetch-mode": "cors", "sec-fetch-dest": "empty", "sec-fetch-site": "same-origin" };

let kit: AuthKit;
let browser: Browser;
let token: string;
beforeEach(async () => {
  kit = await startAuthKit({
    table: [
      hostRoute("nb.localhost", "local/nb/web"),
      hostRoute("open.localhost", "local/open/web", { access: PUBLIC }),
      hostRoute("taskgate.localhost", "gate/gate/api", { guard: "self" }),
    ],
  });
  ({ browser, token } = await kit.login());
});
afterEach(() => kit[Symbol.asyncDispose]());

/** A program's request: no cookie jar, just what it sends. */
async function send(
  headers: Record<string, string>,
  options: { method?: string; url?: string } = {},
): Promise<Decision> {
  return kit
    .browser()
    .request(options.url ?? `${NB}/api`, { headers, ...(options.method ? { method: options.method } : {}) });
}

function withPolicy(policy: Policy): void {
  const route = hostRoute("nb.localhost", "local/nb/web", { policy });
  kit.routes.set(route.id, route);
}

async function issue(): Promise<string> {
  return (await kit.auth.tokens.issue({ name: "ci", principal: OWNER })).token;
}

describe("without credentials", () => {
  const refused = { kind: "deny", status: 401, code: "unauthenticated", challenge: 'Bearer realm="taskgate"' };

  test.each<[string, Record<string, string>, string?]>([
    ["a script", XHR],
    ["curl", { accept: "*/*" }],
    ["a program that says nothing", {}],
    ["gRPC", { "content-type": "application/grpc", te: "trailers" }, "POST"],
    ["a WebSocket", { ...NAVIGATION, upgrade: "websocket", connection: "Upgrade" }],
    ["a form", NAVIGATION, "POST"],
    ["an old script", { accept: "text/html", "x-requested-with": "XMLHttpRequest" }],
    ["an image", { ...NAVIGATION, "sec-fetch-dest": "image", "sec-fetch-mode": "no-cors" }],
    ["a script that fetches a page", { ...NAVIGATION, "sec-fetch-dest": "empty", "sec-fetch-mode": "cors" }],
    ["a preflight", { origin: "http://evil.example", "access-control-request-method": "PUT" }, "OPTIONS"],
  ])("%s gets 401 with a reason, and no redirect", async (_who, headers, method = "GET") => {
    expect(await send(headers, { method })).toMatchObject(refused);
  });

  test("a page goes to the login page, in a frame or without Fetch Metadata, too", async () => {
    for (const headers of [NAVIGATION, { ...NAVIGATION, "sec-fetch-dest": "iframe" }, { accept: "text/html" }]) {
      expect((await send(headers)).kind).toBe("redirect");
    }
    expect((await send({ accept: "text/html" }, { method: "HEAD" })).kind).toBe("redirect");
  });

  test("a service that is found by headers has no page to come back to", async () => {
    const route = makeRoute({ by: "headers", listener: "web", all: [["x-yt-taskproxy-id", "1"]] });
    const head = makeHead({ host: "anything:7080", headers: NAVIGATION });
    expect(await kit.auth.gatekeeper.admit(route, head, forever)).toMatchObject(refused);
  });

  test("a public service lets everybody in, preflights too, as nobody", async () => {
    const url = "http://open.localhost:7080/";
    for (const [headers, method] of [
      [NAVIGATION, "GET"],
      [XHR, "POST"],
      [{ "access-control-request-method": "PUT" }, "OPTIONS"],
    ] as const) {
      expect(await send(headers, { url, method })).toMatchObject({ kind: "allow", session: null, asked: false });
    }
  });
});

describe("a service that checks by itself", () => {
  const sent = { authorization: "Bearer tg_x", cookie: "taskgate-session-7080=x; a=b", "x-taskgate-user": "root" };

  test("gets what was sent, with nothing taken out, where it is the gate's own", async () => {
    const url = "http://taskgate.localhost:7080/.taskgate/api/v1/tasks";
    expect(await send(sent, { url })).toMatchObject({
      ...{ kind: "allow", session: null, strip: [], stripCookies: [], set: [], asked: false },
    });
  });

  test("gets nothing of the gate's where it is a job's", async () => {
    const route = hostRoute("nb.localhost", "file/nb/web", { guard: "self" });
    kit.routes.set(route.id, route);
    expect(await send(sent)).toMatchObject({
      ...{ kind: "allow", session: null, asked: false },
      ...{ strip: ["authorization", "x-taskgate-user"], stripCookies: ["taskgate-session-7080"] },
    });
  });
});

describe("a token", () => {
  test.each(["authorization", "x-taskgate-authorization"])(
    "is taken in %s, and never reaches the job",
    async (name) => {
      const good = await issue();
      const decision = await send({ [name]: `Bearer ${good}`, "x-app": "1" });
      expect(decision).toMatchObject({ kind: "allow", session: { principal: OWNER }, strip: [name] });
      expect(await send({ [name]: `bearer  ${good}` })).toMatchObject({ kind: "allow" });
    },
  );

  test("is asked for once, then known for a few seconds", async () => {
    const headers = { authorization: `Bearer ${await issue()}` };
    expect(await send(headers)).toMatchObject({ kind: "allow", asked: true });
    expect(await send(headers)).toMatchObject({ kind: "allow", asked: false });
    kit.clock.advance(5_000);
    expect(await send(headers)).toMatchObject({ kind: "allow", asked: true });
  });

  test("leaves the app its own Authorization beside it", async () => {
    const headers = { "x-taskgate-authorization": `Bearer ${await issue()}`, authorization: "Bearer of-the-app" };
    expect(await send(headers)).toMatchObject({ kind: "allow", strip: ["x-taskgate-authorization"] });
  });

  test("that is wrong is refused, and no cookie speaks for it", async () => {
    await kit.enter(browser, token, `${NB}/`);
    for (const authorization of [
      `Bearer tg_${"a".repeat(12)}_${"b".repeat(43)}`,
      "Bearer tg_",
      `Bearer ${token.slice(0, -1)}`,
    ]) {
      const decision = await browser.request(`${NB}/`, { headers: { ...NAVIGATION, authorization } });
      expect(decision).toMatchObject({ kind: "deny", status: 401, code: "unauthenticated" });
    }
    const odd = { ...NAVIGATION, "x-taskgate-authorization": "Basic b2xnYTpvbGdh" };
    expect(await browser.request(`${NB}/`, { headers: odd })).toMatchObject({ status: 401 });
  });

  test.each([
    ["two fields, joined", (good: string) => `Basic eDp5, Bearer ${good}`],
    ["two tokens", (good: string) => `Bearer ${good}, Bearer ${good}`],
    ["another scheme", (good: string) => `token ${good}`],
    ["no scheme", (good: string) => good],
    ["something after it", (good: string) => `Bearer ${good} x`],
  ])("in %s is recognised, so that the job never sees it, and refused", async (_how, field) => {
    const good = await issue();
    await kit.enter(browser, token, `${NB}/`);
    const headers = { ...NAVIGATION, authorization: field(good) };
    expect(await browser.request(`${NB}/`, { headers })).toMatchObject({ kind: "deny", status: 401 });
    expect(await send({ authorization: field(good) }, { url: "http://open.localhost:7080/" })).toMatchObject({
      status: 401,
    });
  });

  test("of the gate's login works like one for programs, for who may use the service", async () => {
    expect(await send({ authorization: `Bearer ${token}` })).toMatchObject({ kind: "allow" });
    const bob = (await kit.auth.tokens.issue({ name: "ci", principal: BOB })).token;
    expect(await send({ authorization: `Bearer ${bob}` })).toMatchObject({ kind: "deny", status: 403, code: "denied" });
  });

  test("needs no Origin: whoever sends one means it", async () => {
    const headers = { authorization: `Bearer ${await issue()}`, origin: "http://evil.example", upgrade: "websocket" };
    expect(await send(headers)).toMatchObject({ kind: "allow" });
    expect(await send(headers, { method: "DELETE" })).toMatchObject({ kind: "allow" });
  });

  test("is no login to a service's own host by cookie", async () => {
    expect(await send({ cookie: `taskgate-session-7080=${token}` })).toMatchObject({ kind: "deny", status: 401 });
  });
});

describe("an Authorization that is not the gate's", () => {
  test("lets nobody in", async () => {
    for (const authorization of ["Bearer xyz", "Basic b2xnYTpvbGdh", "Bearer eyJhbGciOiJub25lIn0.e30."]) {
      expect(await send({ authorization })).toMatchObject({ kind: "deny", status: 401 });
    }
  });

  test("passes to the app beside a session", async () => {
    await kit.enter(browser, token, `${NB}/`);
    for (const policy of [{}, { authorization: "app" }] as const) {
      withPolicy(policy);
      const decision = await browser.request(`${NB}/`, { headers: { ...XHR, authorization: "Bearer of-the-app" } });
      expect(decision).toMatchObject({ kind: "allow", strip: [] });
    }
  });

  test("never passes where the service says that the header is the gate's", async () => {
    await kit.enter(browser, token, `${NB}/`);
    withPolicy({ authorization: "gate" });
    const decision = await browser.request(`${NB}/`, { headers: { ...XHR, authorization: "Bearer of-the-app" } });
    expect(decision).toMatchObject({ kind: "allow", strip: ["authorization"] });
  });
});

describe("what a job gets to see", () => {
  test("is neither the gate's cookies nor who a visitor claims to be", async () => {
    await kit.enter(browser, token, `${NB}/`);
    await browser.request("http://nb.localhost:7080/.taskgate/none");
    const cookie = `${browser.jar.header(new URL(NB)) ?? ""}; _xsrf=1; taskgate-state-9999=x; __Host-taskgate-session=y`;
    const headers = { ...XHR, cookie, "x-taskgate-user": "root", "remote-user": "root", x_forwarded_user: "root" };
    const decision = await browser.request(`${NB}/`, { headers });
    expect(decision).toMatchObject({
      kind: "allow",
      strip: ["x-taskgate-user", "remote-user", "x_forwarded_user"],
      stripCookies: ["taskgate-session-7080", "taskgate-state-9999", "__Host-taskgate-session"],
      set: [
        ["X-Taskgate-User", "local/olga"],
        ["X-Taskgate-Assertion", expect.stringMatching(/^ey/) as string],
      ],
    });
  });

  test("is no credential on a public service either", async () => {
    const cookie = "taskgate-session-7080=junk; a=b";
    const headers = { cookie, "x-taskgate-user": "root", authorization: `Bearer ${token}` };
    expect(await send(headers, { url: "http://open.localhost:7080/" })).toMatchObject({
      ...{ kind: "allow", session: { principal: OWNER } },
      ...{ strip: ["authorization", "x-taskgate-user"], stripCookies: ["taskgate-session-7080"] },
    });
  });
});

describe("fields that come again and again", () => {
  const again = async (url: string, method = "GET", headers: Record<string, string> = XHR): Promise<Decision> => {
    for (let time = 0; time < 3; time += 1) await browser.request(url, { method, headers });
    return browser.request(url, { method, headers });
  };
  beforeEach(() => kit.enter(browser, token, `${NB}/`));

  const expectAgain = async (url: string, decision: object): Promise<void> => {
    expect(await browser.request(url, { headers: XHR })).toMatchObject(decision);
  };

  test("are judged once, whatever is asked for with them", async () => {
    const route = kit.routeFor("nb.localhost", "/")!;
    await again(`${NB}/a`);
    const decide = (path: string) => kit.auth.gatekeeper.check(route, browser.head(NB + path, { headers: XHR }));
    expect(decide("/b?c")).toMatchObject({ kind: "allow", session: { service: "local/nb/web" } });
    expect(decide("/d")).toBe(decide("/e"));
  });

  test("get nothing of the gate's own paths that they would not get the first time", async () => {
    await again(`${NB}/`);
    const route = kit.routeFor("nb.localhost", "/")!;
    const check = (path: string) => kit.auth.gatekeeper.check(route, browser.head(NB + path, { headers: XHR })).kind;
    expect([check("/.taskgate/login"), check("/.taskgate"), check("/.taskgate?x"), check("/x/.taskgate/")]).toEqual([
      ...["ask", "ask", "ask", "allow"],
    ]);
  });

  test("are judged anew with another method: reading is not writing", async () => {
    const foreign = { ...XHR, origin: "http://evil.localhost:7080", "sec-fetch-site": "same-site" };
    expect((await again(`${NB}/`, "GET", foreign)).kind).toBe("allow");
    expect(await again(`${NB}/`, "POST", foreign)).toMatchObject({ kind: "deny", code: "cross_origin" });
    expect((await again(`${NB}/`, "GET", foreign)).kind).toBe("allow");
  });

  test("are refused at once when their login is revoked", async () => {
    const decision = await again(`${NB}/`);
    if (decision.kind !== "allow") throw new Error(decision.kind);
    await kit.auth.tokens.revoke(decision.session!.id.split(".")[0]!, OWNER);
    await expectAgain(`${NB}/`, { kind: "deny", code: "unauthenticated" });
  });

  test("are asked about when their session is to be renewed, and refused when it has ended", async () => {
    const decision = await again(`${NB}/`);
    if (decision.kind !== "allow") throw new Error(decision.kind);
    const { renewAt, expiresAt } = decision.session!;
    const route = kit.routeFor("nb.localhost", "/")!;
    const head = browser.head(NB, { headers: XHR });
    kit.clock.advance(renewAt - 1 - kit.clock.now());
    expect(kit.auth.gatekeeper.check(route, head).kind).toBe("allow");
    kit.clock.advance(1);
    expect(kit.auth.gatekeeper.check(route, head).kind).toBe("ask");
    kit.clock.advance(expiresAt - kit.clock.now());
    expect(kit.auth.gatekeeper.check(route, head).kind).toBe("ask");
    expect(await kit.auth.gatekeeper.admit(route, head, forever)).toMatchObject({ code: "unauthenticated" });
  });

  test("lose what the service strips from now on", async () => {
    await again(`${NB}/`, "GET", { ...XHR, authorization: "Basic eDp5" });
    withPolicy({ authorization: "gate" });
    expect(await again(`${NB}/`, "GET", { ...XHR, authorization: "Basic eDp5" })).toMatchObject({
      strip: ["authorization"],
    });
  });

  test("are refused at once where a grant was taken away", async () => {
    const grant = (grants: Route["access"]["grants"]): void => {
      const route = hostRoute("nb.localhost", "local/nb/web", { access: { grants, anyone: "nobody" } });
      kit.routes.set(route.id, route);
    };
    grant([{ to: { realm: BOB.realm, name: BOB.name }, by: { realm: OWNER.realm, name: OWNER.name } }]);
    const bob = await kit.login(BOB);
    await kit.enter(bob.browser, bob.token, `${NB}/`);
    const ask = () => bob.browser.request(`${NB}/`, { headers: XHR });
    for (let time = 0; time < 3; time += 1) expect((await ask()).kind).toBe("allow");
    grant([]);
    expect(await ask()).toMatchObject({ kind: "deny", code: "denied" });
  });

  test("never stand for a token: that is looked at every time", async () => {
    const { view, token: shown } = await kit.auth.tokens.issue({ name: "ci", principal: OWNER });
    const headers = { ...XHR, authorization: `Bearer ${shown}` };
    expect((await again(`${NB}/`, "GET", headers)).kind).toBe("allow");
    await kit.auth.tokens.revoke(view.id, OWNER);
    expect(await browser.request(`${NB}/`, { headers })).toMatchObject({ kind: "deny", code: "unauthenticated" });
  });
});

describe("a request with a cookie from another origin", () => {
  const foreign = { ...XHR, origin: "http://evil.localhost:7080", "sec-fetch-site": "same-site" };
  const refused = { kind: "deny", status: 403, code: "cross_origin" };
  beforeEach(() => kit.enter(browser, token, `${NB}/`));

  test("may look, as any link may", async () => {
    expect(
      await browser.request(`${NB}/`, { headers: { ...NAVIGATION, "sec-fetch-site": "cross-site" } }),
    ).toMatchObject({
      kind: "allow",
    });
  });

  test.each(["POST", "PUT", "PATCH", "DELETE"])("is refused %s", async (method) => {
    expect(await browser.request(`${NB}/`, { method, headers: foreign })).toMatchObject(refused);
    expect(await browser.request(`${NB}/`, { method, headers: {} })).toMatchObject(refused);
    expect(await browser.request(`${NB}/`, { method, headers: { ...XHR, origin: NB } })).toMatchObject({
      kind: "allow",
    });
  });

  test("is refused a WebSocket", async () => {
    const upgrade = { connection: "Upgrade", upgrade: "websocket" };
    expect(
      await browser.request(`${NB}/ws`, { headers: { ...upgrade, origin: "http://evil.localhost:7080" } }),
    ).toMatchObject(refused);
    expect(await browser.request(`${NB}/ws`, { headers: { ...upgrade, origin: NB } })).toMatchObject({ kind: "allow" });
    expect(await browser.request(`${NB}/ws`, { headers: upgrade })).toMatchObject(refused);
  });

  test("is let in where the service allows that origin", async () => {
    withPolicy({ allowedOrigins: ["http://evil.localhost:7080"] });
    expect(await browser.request(`${NB}/`, { method: "POST", headers: foreign })).toMatchObject({ kind: "allow" });
  });

  test("is refused on the slow way, too, when its session is due to be renewed", async () => {
    kit.clock.advance(7 * 3_600_000);
    const decision = await browser.request(`${NB}/`, { method: "POST", headers: foreign });
    expect(decision).toMatchObject({ ...refused, asked: true });
  });

  test("reaches a public service as nobody", async () => {
    const url = "http://open.localhost:7080/";
    const session = { kind: "allow", session: { principal: OWNER } };
    const closed = hostRoute("open.localhost", "local/open/web");
    const open = kit.routes.get(closed.id)!;
    kit.routes.set(closed.id, closed);
    await kit.enter(browser, token, url);
    kit.routes.set(open.id, open);
    expect(
      await browser.request(url, { method: "POST", headers: { ...XHR, origin: "http://open.localhost:7080" } }),
    ).toMatchObject(session);
    expect(await browser.request(url, { method: "POST", headers: foreign })).toMatchObject({
      kind: "allow",
      session: null,
    });
  });
});

describe("authenticators beside the gate's own", () => {
  const route = (): Route => kit.routeFor("nb.localhost", "/")!;
  const start = (authenticate: Authenticator["authenticate"]) =>
    kit.restart({
      authenticators: [
        {
          name: "basic",
          realm: "passwords",
          challenge: 'Basic realm="taskgate"',
          forms: [{ form: "scheme", schemes: ["basic"] }],
          recognises: (head) => ((head.header("authorization") ?? "").startsWith("Basic ") ? ["authorization"] : []),
          authenticate,
        },
      ],
    });
  const basic = makeHead({ host: "nb.localhost:7080", headers: { authorization: "Basic eDp5" } });

  test("answer for what they recognise, and what they send back reaches the visitor", async () => {
    const principal = { realm: "passwords", name: "root", groups: [], admin: true };
    const respond: [string, string][] = [["authentication-info", "x"]];
    const auth = await start(() => Promise.resolve({ principal, expiresAt: Infinity, respond }));
    expect(await auth.gatekeeper.admit(route(), basic, forever)).toMatchObject({
      ...{ kind: "allow", session: { principal }, strip: ["authorization"], respond },
    });
    expect(auth.gatekeeper.check(route(), basic)).toMatchObject({ kind: "allow" });
    expect(await auth.authenticate(basic, forever)).toMatchObject(principal);
  });

  test("refuse, or cannot say, and the two are never mixed up", async () => {
    const refusing = await start(() => Promise.reject(new GatewayError("unauthenticated", "wrong password")));
    expect(await refusing.gatekeeper.admit(route(), basic, forever)).toMatchObject({
      ...{ status: 401, reason: "wrong password", challenge: 'Bearer realm="taskgate", Basic realm="taskgate"' },
    });
    for (const error of [new GatewayError("unavailable", "down"), new Error("ECONNREFUSED secret-host")]) {
      const failing = await start(() => Promise.reject(error));
      const decision = await failing.gatekeeper.admit(route(), basic, forever);
      expect(decision).toMatchObject({ kind: "deny", status: 503, code: "unavailable" });
      expect(JSON.stringify(decision)).not.toContain("secret-host");
      await expect(failing.authenticate(basic, forever)).rejects.toMatchObject({ code: "unavailable" });
    }
  });

  test("that do not answer in time are unavailable", async () => {
    const auth = await start(() => new Promise(() => undefined));
    const deciding = auth.gatekeeper.admit(route(), basic, forever);
    kit.clock.advance(10_000);
    expect(await deciding).toMatchObject({ kind: "deny", status: 503 });
  });

  test("are not waited for once the visitor has left", async () => {
    const auth = await start(() => new Promise(() => undefined));
    const leaving = new AbortController();
    const deciding = auth.gatekeeper.admit(route(), basic, leaving.signal);
    leaving.abort(new Error("gone"));
    await expect(deciding).rejects.toThrow("gone");
  });
});

describe("the API's own question", () => {
  const ask = (headers: Record<string, string>) =>
    kit.auth.authenticate(makeHead({ host: "taskgate.localhost:7080", headers }), forever);

  test("is answered for a token, and never for a cookie", async () => {
    expect(await ask({ authorization: `Bearer ${token}` })).toMatchObject(OWNER);
    await kit.enter(browser, token, `${NB}/`);
    await expect(ask({ cookie: browser.jar.header(new URL(NB)) ?? "" })).rejects.toMatchObject({
      code: "unauthenticated",
    });
    await expect(ask({})).rejects.toMatchObject({ code: "unauthenticated" });
  });
});

describe("tunnels", () => {
  const connect = { method: "CONNECT" };

  test("to a service that speaks HTTP are for its owner: nobody else's words in them are looked at", async () => {
    const shared = hostRoute("nb.localhost", "local/nb/web", { access: { grants: [], anyone: "authenticated" } });
    kit.routes.set(shared.id, shared);
    const bobs = (await kit.auth.tokens.issue({ name: "bob", principal: BOB })).token;
    const as = (shown: string) => ({ authorization: `Bearer ${shown}` });
    expect(await send(as(bobs))).toMatchObject({ kind: "allow" });
    expect(await send(as(bobs), connect)).toMatchObject({ kind: "deny", status: 403 });
    expect(await send(as(await issue()), connect)).toMatchObject({ kind: "allow" });
  });

  test("to a public service that speaks HTTP need a login, too", async () => {
    const open = "http://open.localhost:7080/";
    expect(await send({}, { url: open })).toMatchObject({ kind: "allow", session: null });
    expect(await send({}, { ...connect, url: open })).toMatchObject({ kind: "deny", status: 401 });
  });

  test("to a TCP service are for everybody who may use it", async () => {
    const route = hostRoute("nb.localhost", "local/nb/web", { protocol: "tcp", access: { grants: [], anyone: "authenticated" } }); // prettier-ignore
    kit.routes.set(route.id, route);
    const bobs = (await kit.auth.tokens.issue({ name: "bob", principal: BOB })).token;
    expect(await send({ authorization: `Bearer ${bobs}` }, connect)).toMatchObject({ kind: "allow" });
  });
});
