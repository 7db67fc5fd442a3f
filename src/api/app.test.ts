import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { GatewayError, type Principal } from "../model/index.ts";
import { openApiDocument } from "./openapi.ts";
import { ROUTES } from "./routes.ts";
import { startTestGate, type TestGate } from "./testing/start-gate.ts";
import { OWNER, webTask } from "./testing/web-task.ts";
import { ErrorView, LinkView, LoginView, OPERATIONS, TasksView, TaskView, VersionView, WhoView } from "./wire.ts";
import { TokenCreated, TokensView } from "./wire-tokens.ts";

const STRANGER: Principal = { realm: "other", name: "bob", groups: [], admin: false };
const RUN = { command: ["true"], directory: "/", environment: {} };

let gate: TestGate;

beforeAll(async () => {
  gate = await startTestGate();
});

afterAll(async () => {
  await gate[Symbol.asyncDispose]();
});

const post = (path: string, body: unknown, more = {}) => gate.ask(path, { body: JSON.stringify(body), ...more });

describe("who may ask", () => {
  const open = [
    ...["openapi", "redeemCode", "redeemLink"],
    ...["loginMethods", "beginLogin", "completeLogin", "passwordLogin", "headerLogin", "beginDevice", "pollDevice"],
  ];
  const closed = Object.entries(OPERATIONS).filter(([name]) => !open.includes(name));

  test.each(closed)("%s is closed to who has not logged in", async (_, operation) => {
    const [method = "", path = ""] = operation.split(" ");
    const filled = path.replace(/\{\w+\}/, "x");
    for (const token of [null, "tg_wrong"]) {
      const body = method === "POST" ? { body: "{}" } : {};
      const answer = await gate.ask(filled, { method, token, ...body });
      expect(answer.status).toBe(401);
      expect(answer.headers["www-authenticate"]).toMatch(/^Bearer/);
      expect(ErrorView.parse(answer.json()).error.code).toBe("unauthenticated");
    }
  });

  test("a path that is not there is closed as well, so that nobody learns which ones are", async () => {
    expect((await gate.ask("/nothing", { token: null })).status).toBe(401);
    expect((await gate.ask("//.taskgate/api/v1/login/", { token: null, body: "{}" })).status).toBe(401);
    expect((await gate.ask("/nothing")).status).toBe(404);
  });

  test("a token in a cookie or in the address is no login", async () => {
    for (const cookie of [`taskgate=${gate.token}`, `authorization=Bearer ${gate.token}`]) {
      expect((await gate.ask("/tasks", { token: null, headers: { cookie } })).status).toBe(401);
    }
    expect((await gate.ask(`/tasks?token=${gate.token}&access_token=${gate.token}`, { token: null })).status).toBe(401);
  });

  test("the token is taken from the gate's own header, too", async () => {
    const headers = { "x-taskgate-authorization": `Bearer ${gate.token}` };
    expect((await gate.ask("/version", { token: null, headers })).status).toBe(200);
  });

  test("no other origin is allowed to read or ask", async () => {
    const preflight = await gate.ask("/tasks", { method: "OPTIONS", headers: { origin: "http://evil.example" } });
    const read = await gate.ask("/tasks", { headers: { origin: "http://evil.example" } });
    for (const answer of [preflight, read]) {
      expect(Object.keys(answer.headers).filter((name) => name.startsWith("access-control-"))).toEqual([]);
    }
  });
});

describe("what somebody else sees", () => {
  test("tasks of others are not there, whatever is asked, and problems of the gate are not told", async () => {
    await using own = await startTestGate();
    const token = await own.tokenOf(STRANGER);
    own.provider.set(webTask("mine"), webTask("theirs", { owner: { realm: STRANGER.realm, name: STRANGER.name } }));
    own.publish("file", { kind: "stale", since: 1, error: new Error("secret path") });
    const seen = TasksView.parse((await own.ask("/tasks", { token })).json());
    expect(seen.tasks.map((task) => task.name)).toEqual(["theirs"]);
    expect(seen.problems).toEqual([]);
    expect((await own.ask("/problems", { token })).json()).toEqual({ problems: [] });
    for (const [method, path] of [
      ["GET", "/tasks/mine"],
      ["GET", "/tasks/local%2Fmine"],
      ["GET", "/tasks/mine/logs"],
      ["POST", "/tasks/mine/stop"],
      ["POST", "/tasks/mine/restart"],
      ["DELETE", "/tasks/mine"],
    ] as const) {
      const answer = await own.ask(path, { method, token });
      expect([path, answer.status]).toEqual([path, 404]);
      expect(answer.body).toBe((await own.ask(path.replace("mine", "nothing"), { method, token })).body);
    }
    expect((await own.ask("/tasks/theirs", { token })).status).toBe(200);
    expect((await own.ask("/tasks", { token, body: JSON.stringify(RUN) })).status).toBe(403);
    expect((await own.ask("/attach", { token, body: JSON.stringify({ port: 80 }) })).status).toBe(403);
    expect(own.provider.runs).toEqual([]);
  });
});

describe("tasks", () => {
  test("a task is started, shown, stopped, restarted and removed", async () => {
    const services = [{ name: "web", protocol: "http" }];
    const started = await post("/tasks", { ...RUN, name: "round", services, restart: "on-failure" });
    expect(started.status).toBe(201);
    expect(TaskView.parse(started.json())).toMatchObject({
      name: "round",
      state: "starting",
      controllable: true,
      removable: true,
    });
    expect(gate.provider.runs.at(-1)).toEqual({
      ...RUN,
      name: "round",
      services,
      restart: "on-failure",
      replicas: 1,
      anyone: "nobody",
    });
    expect(TaskView.parse((await gate.ask("/tasks/round")).json()).id).toBe("local/round");
    const stopped = await gate.ask("/tasks/local%2Fround/stop", { method: "POST" });
    expect([stopped.status, TaskView.parse(stopped.json()).state]).toEqual([200, "finished"]);
    const again = await gate.ask("/tasks/round/restart", { method: "POST" });
    expect([again.status, TaskView.parse(again.json()).state]).toEqual([200, "starting"]);
    const alive = await gate.ask("/tasks/round/restart", { method: "POST" });
    expect([alive.status, TaskView.parse(alive.json()).state]).toEqual([200, "starting"]);
    expect(gate.provider.stopped).toEqual(["round", "round"]);
    const removed = await gate.ask("/tasks/round", { method: "DELETE" });
    expect([removed.status, removed.body]).toEqual([204, ""]);
    expect((await gate.ask("/tasks/round")).status).toBe(404);
  });

  test("a port is taken in", async () => {
    const answer = await post("/attach", { port: 8888, name: "found" });
    expect(answer.status).toBe(201);
    expect(gate.provider.attached.at(-1)).toEqual({ port: 8888, name: "found", anyone: "nobody" });
    expect(TaskView.parse(answer.json())).toMatchObject({ controllable: false, removable: true });
  });

  test("a task that the gate does not run is shown, and cannot be acted on", async () => {
    gate.publish("file", { kind: "whole", tasks: [webTask("shared")], problems: [] });
    const shared = TaskView.parse((await gate.ask("/tasks/shared")).json());
    expect(shared).toMatchObject({ controllable: false, removable: false });
    for (const [method, path] of [
      ["POST", "/tasks/shared/stop"],
      ["POST", "/tasks/shared/restart"],
      ["DELETE", "/tasks/shared"],
      ["GET", "/tasks/shared/logs"],
    ] as const) {
      expect((await gate.ask(path, { method })).status).toBe(501);
    }
  });

  test("a name of two providers is a conflict until it says which", async () => {
    gate.provider.set(webTask("twice"));
    gate.publish("other", { kind: "whole", tasks: [webTask("twice")], problems: [] });
    expect((await gate.ask("/tasks/twice")).status).toBe(409);
    expect(TaskView.parse((await gate.ask("/tasks/other%2Ftwice")).json()).provider).toBe("other");
  });

  test("what a provider refuses is told with its code, and what it did not foresee with nothing but an id", async () => {
    gate.provider.runError = new GatewayError("conflict", "nb runs already");
    const refused = await post("/tasks", { ...RUN, name: "nb" });
    expect([refused.status, refused.json()]).toEqual([
      409,
      { error: { code: "conflict", message: "nb runs already" } },
    ]);
    gate.provider.runError = new Error("ENOENT /home/alice/secret");
    const broken = await post("/tasks", { ...RUN, name: "nb" });
    gate.provider.runError = null;
    expect(broken.status).toBe(500);
    expect(broken.body).not.toContain("secret");
    expect(ErrorView.parse(broken.json()).error.message).toMatch(/under [0-9a-f]{12}$/);
  });
});

describe("bad requests", () => {
  test.each([
    ["an unknown key", { ...RUN, colour: 1 }, /colour/],
    ["a missing key", { directory: "/", environment: {} }, /^command/],
    ["a bad value", { ...RUN, restart: "maybe" }, /^restart/],
    ["a bad value inside", { ...RUN, services: [{ name: "web", protocol: "htp" }] }, /^services\.0\.protocol/],
    ["a NUL", { ...RUN, environment: { A: "x\0y" } }, /^environment\.A/],
    ["a list", [], /object/],
  ])("%s is refused with the key named", async (_, body, message) => {
    const answer = await post("/tasks", body);
    expect(answer.status).toBe(400);
    const { error } = ErrorView.parse(answer.json());
    expect(error.code).toBe("bad_request");
    expect(error.message).toMatch(message);
  });

  test("what is no JSON is refused", async () => {
    for (const body of ["", "{", "\u0000", '{"command":']) {
      expect((await gate.ask("/tasks", { method: "POST", body })).status).toBe(400);
    }
  });

  test("any other content type is refused, so that no form of another site can ask", async () => {
    for (const type of ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""]) {
      const headers = { "content-type": type };
      expect((await gate.ask("/tasks", { body: JSON.stringify(RUN), headers })).status).toBe(400);
    }
  });

  test("a body of more than 2 MiB is refused, declared or not", async () => {
    const body = JSON.stringify({ ...RUN, environment: { A: "x".repeat(2 * 1024 * 1024) } });
    const declared = await gate.ask("/tasks", { body });
    const chunked = await gate.ask("/tasks", { body, headers: { "transfer-encoding": "chunked" } });
    expect([declared.status, chunked.status]).toEqual([413, 413]);
    const fits = JSON.stringify({ ...RUN, name: "large", environment: { A: "x".repeat(1024 * 1024) } });
    expect((await gate.ask("/tasks", { body: fits, headers: { "transfer-encoding": "chunked" } })).status).toBe(201);
  });

  test("who is not logged in sends a kilobyte at most", async () => {
    const answer = await post("/login", { code: "x".repeat(2000) }, { token: null });
    expect(answer.status).toBe(413);
  });

  test("a query that is no such query is refused", async () => {
    gate.provider.set(webTask("q"));
    for (const query of ["tail=-1", "tail=x", "tail=1e3", "follow=maybe", "tail=1&tail=2", "colour=1"]) {
      expect([query, (await gate.ask(`/tasks/q/logs?${query}`)).status]).toEqual([query, 400]);
    }
  });

  test("HEAD opens no stream", async () => {
    const before = gate.directory.subscribers;
    expect((await gate.ask("/events", { method: "HEAD" })).status).toBe(400);
    expect(gate.directory.subscribers).toBe(before);
  });

  test("2,000 random bodies are answered, and none with a failure of the gate", { timeout: 60_000 }, async () => {
    await using own = await startTestGate();
    const paths = ["/tasks", "/attach", "/tokens", "/links", "/login", "/visits", "/tasks/x/stop"];
    const statuses = new Set<number>();
    const request = fc.record({ path: fc.constantFrom(...paths), body: anyBody(), type: anyType() });
    const ask = async ({ path, body, type }: { path: string; body: Buffer; type: string }) => {
      const { status } = await own.ask(path, { method: "POST", body, headers: { "content-type": type } });
      statuses.add(status);
      expect(status).toBeLessThan(500);
    };
    const twenty = fc.array(request, { minLength: 20, maxLength: 20 });
    await fc.assert(
      fc.asyncProperty(twenty, async (requests) => {
        await Promise.all(requests.map(ask));
      }),
      { numRuns: 100 },
    );
    expect(statuses).toContain(400);
    expect((await own.ask("/tasks")).status).toBe(200);
  });
});

function anyType() {
  return fc.oneof(
    { weight: 8, arbitrary: fc.constant("application/json") },
    fc.constantFrom("application/json; charset=latin1", "text/plain", "application/problem+json", "x", ""),
  );
}

/** Bytes, JSON of any shape, and requests that are nearly right. */
function anyBody() {
  const value = fc.oneof(fc.jsonValue(), fc.string(), fc.integer(), fc.constant("__proto__"));
  const keys = fc.constantFrom(
    ...["command", "directory", "environment", "services", "replicas", "restart", "anyone", "path", "user", "name"],
    ...["kind", "port", "protocol", "code", "lifetimeMs", "to", "host", "state", "__proto__", "constructor"],
  );
  const near = fc.dictionary(keys, value).map((bad) => JSON.stringify({ ...RUN, name: "near", port: 80, ...bad }));
  return fc.oneof(
    fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
    fc.json().map((text) => Buffer.from(text)),
    near.map((text) => Buffer.from(text)),
    near.map((text) => Buffer.from(text.slice(0, -1))),
  );
}

describe("login", () => {
  test("a link's code is good once, and gives a login that can be ended", async () => {
    const link = LinkView.parse((await post("/links", {})).json());
    const code = new URLSearchParams(new URL(link.url).hash.slice(1)).get("code");
    expect(new URL(link.url).search).toBe("");
    const answer = await post("/login", { code }, { token: null });
    const { token, principal } = LoginView.parse(answer.json());
    expect(principal).toBe(OWNER.name);
    expect((await post("/login", { code }, { token: null })).status).toBe(401);
    expect(WhoView.parse((await gate.ask("/login", { token })).json())).toEqual({
      realm: OWNER.realm,
      name: OWNER.name,
      admin: true,
    });
    expect((await gate.ask("/login", { method: "DELETE", token })).status).toBe(204);
    expect((await gate.ask("/login", { token })).status).toBe(401);
  });

  test("a link leads on to hosts of this gate alone", async () => {
    const ask = async (to: string) => post("/links", { to });
    for (const to of [
      "http://nb.localhost:7080/lab?x=1",
      "http://taskgate.localhost:7080/",
      "http://paths.localhost:7080/nb/",
    ]) {
      const link = LinkView.parse((await ask(to)).json());
      expect(new URLSearchParams(new URL(link.url).hash.slice(1)).get("to")).toBe(to);
    }
    for (const to of [
      ...["http://evil.example/", "http://nb.localhost:9999/", "https://nb.localhost:7080/", "javascript:alert(1)"],
      ...["//evil.example/", "http://nb.localhost:7080@evil.example/", "http://evillocalhost:7080/", "/lab"],
    ]) {
      expect([to, (await ask(to)).status]).toEqual([to, 400]);
    }
  });

  test("a visit leads to the service's host with a code, for who may use it", async () => {
    gate.provider.set(webTask("visited"));
    const visit = { host: "visited.localhost:7080", state: "A".repeat(43), path: "/lab?x=1" };
    const answer = await post("/visits", visit);
    expect(answer.json<{ location: string }>().location).toMatch(
      /^http:\/\/visited\.localhost:7080\/\.taskgate\/session\?code=/,
    );
    const token = await gate.tokenOf(STRANGER);
    expect((await post("/visits", visit, { token })).status).toBe(403);
    expect((await post("/visits", { ...visit, host: "evil.example" })).status).toBe(404);
  });

  test("tokens are issued, listed without themselves, and revoked", async () => {
    const created = TokenCreated.parse((await post("/tokens", { name: "ci", lifetimeMs: 60_000 })).json());
    const { tokens } = TokensView.parse((await gate.ask("/tokens")).json());
    expect(tokens.find((token) => token.id === created.id)).toMatchObject({
      name: "ci",
      kind: "token",
      owner: "alice",
    });
    expect((await gate.ask("/version", { token: created.token })).status).toBe(200);
    expect((await gate.ask(`/tokens/${created.id}`, { method: "DELETE" })).status).toBe(204);
    expect((await gate.ask("/version", { token: created.token })).status).toBe(401);
    expect((await gate.ask(`/tokens/${created.id}`, { method: "DELETE" })).status).toBe(404);
  });

  test("the gate says what it is to who is logged in", async () => {
    expect(VersionView.parse((await gate.ask("/version")).json()).version).toBe("0.1.0");
  });
});

describe("pages", () => {
  test("the front door leads to the page, and the pages are served with their types", async () => {
    for (const path of ["//", "//.taskgate"]) {
      const answer = await gate.ask(path, { token: null });
      expect([answer.status, answer.headers.location]).toEqual([302, "/.taskgate/"]);
    }
    for (const [path, type] of [
      ["//.taskgate/", "text/html; charset=utf-8"],
      ["//.taskgate/login", "text/html; charset=utf-8"],
      ["//.taskgate/ui/main.js", "text/javascript; charset=utf-8"],
      ["//.taskgate/ui/style.css", "text/css; charset=utf-8"],
      ["//.taskgate/ui/icon.svg", "image/svg+xml"],
    ] as const) {
      const answer = await gate.ask(path, { token: null });
      expect([path, answer.status, answer.headers["content-type"]]).toEqual([path, 200, type]);
    }
  });

  test("a page that did not change is not sent again", async () => {
    const first = await gate.ask("//.taskgate/", { token: null });
    const etag = first.headers.etag ?? "";
    const again = await gate.ask("//.taskgate/", { token: null, headers: { "if-none-match": `"x", W/${etag}` } });
    expect([again.status, again.body, again.headers.etag]).toEqual([304, "", etag]);
    expect((await gate.ask("//.taskgate/", { token: null, headers: { "if-none-match": '"x"' } })).status).toBe(200);
  });

  test("nothing beside the pages can be had", async () => {
    for (const path of [
      "//.taskgate/ui/../../package.json",
      "//.taskgate/ui/%2e%2e%2fpackage.json",
      "//.taskgate/ui/",
      "//x",
    ]) {
      expect((await gate.ask(path, { token: null })).status).toBe(404);
    }
  });

  test("every answer carries what keeps browsers strict", async () => {
    const answers = await Promise.all([
      gate.ask("//.taskgate/", { token: null }),
      gate.ask("/tasks"),
      gate.ask("/tasks", { token: null }),
      gate.ask("//nothing", { token: null }),
    ]);
    for (const { headers } of answers) {
      expect(headers).toMatchObject({
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "x-frame-options": "DENY",
      });
      expect(headers["content-security-policy"]).toContain("frame-ancestors 'none'");
      expect(headers["content-security-policy"]).not.toMatch(/unsafe|\*|https?:/);
    }
    expect(answers.map(({ headers }) => headers["cache-control"])).toEqual([
      "no-cache",
      "no-store",
      "no-store",
      "no-store",
    ]);
  });
});

describe("the contract", () => {
  test("every operation of the wire has its route, and no route has none", () => {
    const routes = Object.entries(ROUTES).map(([name, { method, path }]) => [name, `${method.toUpperCase()} ${path}`]);
    expect(Object.fromEntries(routes)).toEqual(OPERATIONS);
  });

  test("the document that is served is the one that is generated", async () => {
    const answer = await gate.ask("/openapi.json", { token: null });
    expect(answer.json()).toEqual(JSON.parse(JSON.stringify(openApiDocument())));
    const { paths, components } = answer.json<{ paths: object; components: { schemas: object } }>();
    expect(Object.keys(paths)).toContain("/tasks/{task}/stop");
    expect(Object.keys(components.schemas)).toContain("TaskView");
  });
});
