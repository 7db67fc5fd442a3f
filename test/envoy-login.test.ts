import { createHmac, generateKeyPairSync, sign } from "node:crypto";
import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from "jose";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { LoginEnvoy } from "./support/login-envoy.ts";
import { BY, cookieOf, GROUP, HOST, notebook, OPEN, OTHER, PAGE, SAME, Stand, ZOE } from "./support/login-stand.ts";

function claimsOf(cookie: string): Record<string, unknown> {
  return JSON.parse(Buffer.from(cookie.split(".")[1] ?? "", "base64url").toString()) as Record<string, unknown>;
}

describe("login through an Envoy that verifies sessions itself", () => {
  let stand: Stand;
  let cookie: string;

  beforeAll(async () => {
    stand = await Stand.start();
    cookie = await stand.enter(HOST, ZOE);
  });
  afterAll(() => stand[Symbol.asyncDispose]());

  test.each<[string, Parameters<LoginEnvoy["ask"]>[1]]>([
    ["a page", { headers: PAGE }],
    ["a script's request", { headers: [SAME, ["x-requested-with", "XMLHttpRequest"]] }],
    ["what a program asks for", {}],
    ["a form's post", { method: "POST", body: "a=1", headers: [SAME] }],
    ["a post that says of which page it is", { method: "POST", headers: [["origin", "OWN"]] }],
    ["a method of WebDAV", { method: "PROPFIND", headers: [SAME] }],
  ])("lets %s pass without a question", async (_what, request) => {
    const asked = await stand.questions(async () => {
      const own = `http://${HOST}:${String(stand.site.port)}`;
      const headers = (request?.headers ?? []).map(([name, value]) => [name, value === "OWN" ? own : value] as const);
      const answer = await stand.envoy.ask(HOST, { ...request, headers: [...headers, ["cookie", cookie]] });
      expect(answer.status).toBe(200);
      expect(answer.seen["x-taskgate-user"]).toBe("corp/Zo%C3%AB%2C%2050%25");
    });
    expect(asked).toBe(0);
  });

  test("tells the job who asks, as it can be verified, and nothing else of it", async () => {
    const { seen } = await stand.envoy.ask(HOST, { headers: [["cookie", `a=1; ${cookie}; b="2 3"`]] });
    expect(seen["x-taskgate-groups"]).toBe("corp/data/%C3%BC");
    expect(seen.cookie).toBe('a=1; b="2 3"');
    const keys = createLocalJWKSet(structuredClone(stand.kit.auth.keys.keySet()) as unknown as JSONWebKeySet);
    const { payload } = await jwtVerify(seen["x-taskgate-assertion"] ?? "", keys, { typ: "taskgate-assertion+jwt", audience: "local/nb/web" }); // prettier-ignore
    expect(payload).toMatchObject({ realm: "corp", name: ZOE.name, groups: ["corp/data/ü"] });
    expect(Object.keys(seen).filter((name) => name.startsWith("x-tg-"))).toEqual([]);
  });

  test("lets nobody say who they are", async () => {
    const fields = ["X-Taskgate-User", "x_taskgate_user", "X-Taskgate_Groups", "X-TASKGATE-ASSERTION", "X.Taskgate.User", "Remote-User", "REMOTE_USER", "X-Forwarded-User", "X-Auth-Request-Email", "X_Auth_Request_Email", "X-Tg-Scoped", "X-Tg-Cluster", "X-Tg-Tunnel", "X-Envoy-Original-Path", "Proxy-Authorization"]; // prettier-ignore
    for (const headers of [[["cookie", cookie] as const], [] as const]) {
      const host = headers.length === 0 ? OPEN : HOST;
      const { seen, status } = await stand.envoy.ask(host, { headers: [...headers, ...fields.map((name) => [name, "eve"] as const), ["X-Own_Thing", "kept"]] }); // prettier-ignore
      expect(status).toBe(200);
      expect(Object.entries(seen).filter(([, value]) => value.includes("eve"))).toEqual([]);
      expect(seen["x-own_thing"]).toBe("kept");
    }
  });

  test.each([
    ["taskgate-session-1=x; a=1", "a=1"],
    ["a=1;taskgate-session-1=x", "a=1"],
    ["a=1; TaskGate-state-1=x; b=2", "a=1; b=2"],
    ["__Host-taskgate-session=x;__Secure-taskgate-session-a=y; a=1", "a=1"],
    ["__hOsT-taskgate-session=x", undefined],
    ["taskgate-a=1; taskgate-b=2; taskgate-c=3", undefined],
    ["a=1; \ttaskgate-b; c=3", "a=1; c=3"],
    ["a=taskgate-b; nottaskgate-c=1", "a=taskgate-b; nottaskgate-c=1"],
    ['a="x;taskgate-b=2"; c', 'a="x; c'],
  ])("shows the job of the cookies %j only %j", async (sent, kept) => {
    const { seen, status } = await stand.envoy.ask(OPEN, { headers: [["cookie", sent]] });
    expect(status).toBe(200);
    expect(seen.cookie).toBe(kept);
  });

  test("takes cookies out of more than one field", async () => {
    const { seen } = await stand.envoy.ask(HOST, { headers: [["cookie", `${cookie}; a=1`], ["cookie", "taskgate-x=1; b=2"]] }); // prettier-ignore
    expect(seen.cookie).toBe("a=1; b=2");
  });

  test("knows a session from anything else", async () => {
    const [name = "", token = ""] = cookie.split("=");
    const [header = "", payload = "", signature = ""] = token.split(".");
    const ast = String(claimsOf(cookie).ast);
    const { privateKey } = generateKeyPairSync("ed25519");
    const kid = (JSON.parse(Buffer.from(header, "base64url").toString()) as { kid: string }).kid;
    const publicKey = stand.kit.auth.keys.published().get(kid)?.publicKey ?? "";
    const made = (head: object, signed: (text: string) => Buffer): string => {
      const text = `${Buffer.from(JSON.stringify(head)).toString("base64url")}.${payload}`;
      return `${text}.${signed(text).toString("base64url")}`;
    };
    const forged = [
      ast,
      `${header}.${payload}.`,
      `${header}.${payload}.${signature.slice(0, -4)}AAAA`,
      `${header}.${Buffer.from(JSON.stringify({ ...claimsOf(cookie), sub: "olga" })).toString("base64url")}.${signature}`,
      made({ alg: "none", kid }, () => Buffer.alloc(0)),
      made({ alg: "EdDSA", kid }, (text) => sign(null, Buffer.from(text), privateKey)),
      made({ alg: "EdDSA", kid: "other" }, (text) => sign(null, Buffer.from(text), privateKey)),
      made({ alg: "HS256", kid }, (text) => createHmac("sha256", publicKey).update(text).digest()),
      await stand.enter(OTHER).then((other) => other.split("=")[1] ?? ""),
      "x".repeat(5000),
      "",
    ];
    for (const value of forged) {
      const answer = await stand.envoy.ask(HOST, { headers: [["cookie", `${name}=${value}`]] });
      expect(answer.status).toBe(401);
      expect(answer.headers["x-taskgate-error"]).toBe("unauthenticated");
    }
    const asked = await stand.questions(() => stand.envoy.ask(HOST, { headers: [["cookie", cookie]] }));
    expect(asked).toBe(0);
  });

  test("takes a session from its cookie alone", async () => {
    const token = cookie.split("=")[1] ?? "";
    for (const request of [
      { path: `/?access_token=${token}` },
      { headers: [["authorization", `Bearer ${token}`]] as const },
      { headers: [["cookie", `taskgate-session-1=${token}`]] as const },
    ]) {
      expect((await stand.envoy.ask(HOST, request)).status).toBe(401);
    }
  });

  test("tells nobody's job who has a session of another service", async () => {
    for (const host of [OPEN, "self.localhost"]) {
      const { seen, status } = await stand.envoy.ask(host, { headers: [["cookie", cookie]] });
      expect(status).toBe(200);
      expect(Object.keys(seen).filter((name) => name.startsWith("x-taskgate"))).toEqual([]);
      expect(seen.cookie).toBeUndefined();
    }
  });

  test.each<[string, Parameters<LoginEnvoy["ask"]>[1], number]>([
    [
      "a post of another site",
      {
        method: "POST",
        headers: [
          ["sec-fetch-site", "cross-site"],
          ["origin", "http://evil.example"],
        ],
      },
      403,
    ],
    [
      "a post of a sibling",
      {
        method: "POST",
        headers: [
          ["sec-fetch-site", "same-site"],
          ["origin", "http://other.localhost"],
        ],
      },
      403,
    ],
    ["a post that does not say where it comes from", { method: "POST" }, 403],
    ["a post of a page at another port", { method: "POST", headers: [["origin", "http://nb.localhost"]] }, 403],
    [
      "a WebSocket of another site",
      {
        headers: [
          ["origin", "http://evil.example"],
          ["connection", "Upgrade"],
          ["upgrade", "websocket"],
        ],
      },
      403,
    ],
    [
      "a bad token beside it",
      { headers: [["authorization", "Bearer tg_aaaaaaaaaaaa_bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"]] },
      401,
    ],
    ["a bad token in the gate's own field", { headers: [["x-taskgate-authorization", "Bearer tg_x"]] }, 401],
    ["a service's name that is another's", { headers: [["x-taskgate-service", "other"]] }, 421],
    ["its own service's name", { headers: [["x-taskgate-service", "nb"]] }, 200],
    ["a path of the gate", { path: "/.taskgate/nothing" }, 404],
  ])("asks about %s, whatever the session", async (_what, request, status) => {
    // prettier-ignore
    const asked = await stand.questions(async () => {
      const answer = await stand.envoy.ask(HOST, { ...request, headers: [...(request?.headers ?? []), ["cookie", cookie]] }); // prettier-ignore
      expect(answer.status).toBe(status);
    });
    expect(asked).toBe(1);
  });

  test("leaves Authorization to apps whose affair it is, but no token of the gate", async () => {
    const session = await stand.enter("app.localhost");
    const asked = await stand.questions(async () => {
      const { seen } = await stand.envoy.ask("app.localhost", { headers: [["cookie", session], ["authorization", "Bearer of-the-app"]] }); // prettier-ignore
      expect(seen.authorization).toBe("Bearer of-the-app");
    });
    expect(asked).toBe(0);
    const { token } = await stand.kit.login();
    const { seen, status } = await stand.envoy.ask("app.localhost", { headers: [["authorization", `Bearer ${token}`]] }); // prettier-ignore
    expect(status).toBe(200);
    expect(seen).toMatchObject({ "x-taskgate-user": "local/olga" });
    expect(seen.authorization).toBeUndefined();
  });

  test("answers preflights, and says alone who may read what it lets through", async () => {
    const origin = ["origin", "http://page.example"] as const;
    const preflight = await stand.envoy.ask("cors.localhost", { method: "OPTIONS", headers: [origin, ["access-control-request-method", "PUT"]] }); // prettier-ignore
    expect(preflight.status).toBe(204);
    expect(preflight.headers).toMatchObject({ "access-control-allow-origin": "http://page.example", "access-control-allow-methods": "PUT" }); // prettier-ignore
    const session = await stand.enter("cors.localhost");
    const got = await stand.envoy.ask("cors.localhost", { headers: [origin, ["sec-fetch-site", "cross-site"], ["cookie", session]] }); // prettier-ignore
    expect(got.status).toBe(200);
    expect(got.headers).toMatchObject({ "access-control-allow-origin": "http://page.example", "access-control-allow-credentials": "true" }); // prettier-ignore
  });

  test.each([
    ["raw.localhost", 501, "tcp_only"],
    ["nothing.localhost", 404, "unknown_host"],
  ])("says of %s what the embedded plane says", async (host, status, code) => {
    const { token } = await stand.kit.login();
    const answer = await stand.envoy.ask(host, { headers: [["authorization", `Bearer ${token}`], ["accept", "application/json"]] }); // prettier-ignore
    expect(answer.status).toBe(status);
    expect(answer.headers["x-taskgate-error"]).toBe(code);
    expect(answer.headers["content-type"]).toBe("application/json");
    expect((JSON.parse(answer.body) as { error: { code: string } }).error.code).toBe(code);
  });

  test("lets everybody in where nobody has to say who they are, without a question", async () => {
    const asked = await stand.questions(async () => {
      expect((await stand.envoy.ask(OPEN, { method: "POST", body: "x" })).status).toBe(200);
      expect((await stand.envoy.ask("self.localhost", { headers: [["authorization", "Basic eDp5"]] })).seen.authorization).toBe("Basic eDp5"); // prettier-ignore
    });
    expect(asked).toBe(0);
  });

  test("finds a host under another port and in capitals by asking", async () => {
    for (const [host, port] of [
      ["NB.localhost", stand.site.port],
      [HOST, 9],
    ] as const) {
      // prettier-ignore
      const { status, seen } = await stand.envoy.ask(host, { port, headers: [["cookie", cookie]] });
      expect(status).toBe(200);
      expect(seen["x-taskgate-user"]).toContain("corp/");
    }
  });
});

describe("sessions that are not good for ever", () => {
  test("end with the grant that they stand on, and are renewed where another one does", async () => {
    await using stand = await Stand.start();
    const cookie = await stand.enter(HOST, ZOE);
    const ask = () => stand.envoy.ask(HOST, { headers: [["cookie", cookie]] });
    await stand.serve(notebook({ access: { grants: [{ to: { realm: "corp", name: ZOE.name }, by: BY }], anyone: "nobody" } })); // prettier-ignore
    const renewed = await ask();
    expect(renewed.status).toBe(200);
    expect(renewed.headers["set-cookie"]).toHaveLength(1);
    expect(renewed.seen["x-taskgate-groups"]).toBeUndefined();
    const next = cookieOf(renewed);
    const again = await stand.questions(() => stand.envoy.ask(HOST, { headers: [["cookie", next]] }));
    expect(again).toBe(0);
    await stand.serve(notebook({ access: { grants: [], anyone: "nobody" } }));
    expect((await ask()).status).toBe(403);
    expect((await stand.envoy.ask(HOST, { headers: [["cookie", next]] })).status).toBe(403);
  });

  test("last no longer than a grant that has an end, not even without the gate", async () => {
    await using stand = await Stand.start();
    const until = Date.now() + 3000;
    await stand.serve(notebook({ access: { grants: [{ to: GROUP, by: BY, until }], anyone: "nobody" } }));
    const cookie = await stand.enter(HOST, ZOE);
    expect(Number(claimsOf(cookie).per)).toBe(Math.floor(until / 1000));
    expect((await stand.envoy.ask(HOST, { headers: [["cookie", cookie]] })).status).toBe(200);
    await stand.envoy.kill();
    await new Promise((resolve) => setTimeout(resolve, until + 50 - Date.now()));
    expect((await stand.envoy.ask(HOST, { headers: [["cookie", cookie]] })).status).toBe(503);
  });

  test("are void at once when they, their login or their user are", async () => {
    await using stand = await Stand.start();
    const [one, two, three] = [await stand.enter(HOST, ZOE), await stand.enter(HOST, ZOE), await stand.enter(HOST)];
    const status = async (cookie: string) => (await stand.envoy.ask(HOST, { headers: [["cookie", cookie]] })).status;
    const caller = { ...ZOE, respond: [], credential: { id: "x", expiresAt: Infinity, proof: "x" } };
    const revoke = performance.now();
    await stand.kit.auth.sessions.end(String(claimsOf(one).sid), caller);
    await until401(() => status(one));
    expect(performance.now() - revoke).toBeLessThan(2000);
    expect([await status(two), await status(three)]).toEqual([200, 200]);
    await stand.kit.auth.sessions.endUser(ZOE, caller);
    await until401(() => status(two));
    const asked = await stand.questions(async () => expect(await status(three)).toBe(200));
    expect(asked).toBe(0);
  });

  test("go on under a new key", async () => {
    await using stand = await Stand.start();
    const cookie = await stand.enter(HOST, ZOE);
    await stand.kit.auth.keys.rotate();
    await stand.envoy.heard();
    const { keys } = stand.kit.auth;
    keys.acknowledge(keys.published().keys());
    expect([...keys.published()]).toHaveLength(2);
    const asked = await stand.questions(() => stand.envoy.ask(HOST, { headers: [["cookie", cookie]] }));
    expect(asked).toBe(0);
  });

  test("are renewed by any answer once it is time, and go on without the gate", async () => {
    await using stand = await Stand.start({ login: { session: "8s" } });
    const [cookie, other] = [await stand.enter(HOST, ZOE), await stand.enter(HOST, ZOE)];
    await new Promise((resolve) => setTimeout(resolve, 4200));
    const renewed = await stand.envoy.ask(HOST, { headers: [["cookie", cookie]] });
    expect(renewed.status).toBe(200);
    expect(claimsOf(cookieOf(renewed)).sid).toBe(claimsOf(cookie).sid);
    expect(await stand.questions(() => stand.envoy.ask(HOST, { headers: [["cookie", cookieOf(renewed)]] }))).toBe(0);
    await stand.envoy.kill();
    const alone = await stand.envoy.ask(HOST, { headers: [["cookie", other]] });
    expect(alone.status).toBe(200);
    expect(alone.seen["x-taskgate-user"]).toContain("corp/");
    expect((await stand.envoy.ask(HOST, { headers: PAGE })).status).toBe(503);
    await stand.envoy.revive();
    expect(cookieOf(await eventually(() => stand.envoy.ask(HOST, { headers: [["cookie", other]] }), (answer) => cookieOf(answer) !== ""))).not.toBe(""); // prettier-ignore
  });
});

test("sessions of a gate behind TLS pass without a question, too", async () => {
  await using stand = await Stand.start({ secure: true });
  const cookie = await stand.enter(HOST, ZOE);
  expect(cookie).toMatch(/^__Host-taskgate-session=/);
  const asked = await stand.questions(async () => {
    const { seen, status } = await stand.envoy.ask(HOST, { headers: [["cookie", `${cookie}; a=1`]] });
    expect(status).toBe(200);
    expect(seen).toMatchObject({ cookie: "a=1", "x-taskgate-user": "corp/Zo%C3%AB%2C%2050%25" });
  });
  expect(asked).toBe(0);
});

describe("answers of jobs through an Envoy", () => {
  test("keep to the job's own affairs", async () => {
    await using stand = await Stand.start({
      handle: (_req, res) => {
        res.writeHead(200, ["Set-Cookie", "before=1", "Set-Cookie", "a=1; Domain=localhost", "Set-Cookie", "taskgate-session-1=x", "Set-Cookie", `after=1; Domain=${HOST}`, "X-Taskgate-Error", "denied", "Proxy-Status", "taskgate; error=x", "Content-Type", "text/html", "X-Tg-Own", "guess"]); // prettier-ignore
        res.end("<p>");
      },
    });
    const cookie = await stand.enter(HOST);
    const { headers } = await stand.envoy.ask(HOST, { headers: [["cookie", cookie]] });
    expect(headers["set-cookie"]).toEqual(["before=1", `after=1; Domain=${HOST}`]);
    expect(headers["x-taskgate-error"]).toBeUndefined();
    expect(headers["proxy-status"]).toBeUndefined();
    expect(Object.keys(headers).filter((name) => name.startsWith("x-tg"))).toEqual([]);
    expect(headers["content-security-policy"]).toBe(`frame-ancestors 'self' http://taskgate.localhost:${String(stand.site.port)}`); // prettier-ignore
  });
});

async function until401(status: () => Promise<number>): Promise<void> {
  await eventually(status, (code) => code === 401);
}

async function eventually<T>(ask: () => Promise<T>, holds: (found: T) => boolean): Promise<T> {
  for (let tries = 0; tries < 200; tries += 1) {
    const found = await ask();
    if (holds(found)) return found;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error("still not");
}
