import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { EndedUserView, SessionView, SigningKeyView } from "../src/api/wire-sessions.ts";
import { freePort } from "../src/dataplanes/testing/apps.ts";
import { jwtEnvironment } from "../testbed/python/environment.ts";
import { enter, openSocket } from "./support/enter.ts";
import { type Answer, ROOT, startTestGate, type TestGate } from "./support/gate.ts";

const XHR = { accept: "application/json", "sec-fetch-mode": "cors", "sec-fetch-dest": "empty" };

async function until(what: string, condition: () => boolean | Promise<boolean>, ms = 20_000): Promise<void> {
  const end = performance.now() + ms;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`${what}: not within ${String(ms)} ms`);
    await sleep(50);
  }
}

describe.each([
  ["in the gate's process", 0],
  ["in workers", 2],
])("sessions, with the plane %s", (_where, workers) => {
  let gate: TestGate;
  let directory: string;

  beforeAll(async () => {
    const config = join(process.env.TMPDIR ?? "/tmp", `tg-sessions-${String(process.pid)}-${String(workers)}.yaml`);
    writeFileSync(config, `workers: ${String(workers)}\n`);
    gate = await startTestGate({ config });
    directory = join(ROOT, "examples", "services");
    const run = (name: string, ...more: readonly string[]) =>
      gate.json("run", "--name", name, "--service", "web=http", "--", ...more);
    await run("hello", process.execPath, join(directory, "hello.mjs"));
    await run("chat", process.execPath, join(directory, "chat.mjs"));
  });
  afterAll(() => gate[Symbol.asyncDispose]());

  const asked = (host: string, cookie: string, more: Readonly<Record<string, string>> = {}): Promise<Answer> =>
    gate.ask(host, "/", { anonymous: true, headers: { ...XHR, cookie, ...more } });
  const seen = (answer: Answer): Record<string, string> =>
    (JSON.parse(answer.body) as { headers: Record<string, string> }).headers;
  const keys = (): Promise<readonly SigningKeyView[]> => gate.json("keys", "list");
  const kidOf = (cookie: string): string =>
    (JSON.parse(Buffer.from(cookie.split("=")[1]?.split(".")[0] ?? "", "base64url").toString()) as { kid: string }).kid;

  test("tell the job who asks, by name and by an assertion, whether a cookie or a token says it", async () => {
    const cookie = await enter(gate, "hello.localhost");
    const inbound = { "x-taskgate-user": "root", x_taskgate_assertion: "x", "X-Taskgate.Groups": "all" };
    const byCookie = seen(await asked("hello.localhost", cookie, inbound));
    const byToken = seen(await gate.ask("hello.localhost", "/", { headers: XHR }));
    for (const headers of [byCookie, byToken]) {
      expect(headers["x-taskgate-user"]).toMatch(/^local\/./);
      const claims = JSON.parse(
        Buffer.from(headers["x-taskgate-assertion"]?.split(".")[1] ?? "", "base64url").toString(),
      ) as Record<string, unknown>;
      expect(claims).toMatchObject({ iss: gate.file().url, aud: "local/hello/web", sub: headers["x-taskgate-user"] });
      expect(Object.keys(headers).filter((name) => /x.taskgate/.test(name))).toHaveLength(2);
      expect(headers.cookie).toBeUndefined();
    }
  });

  test("leave Authorization to an app that has a use for it, and never show it the gate's", async () => {
    const hello = join(directory, "hello.mjs");
    await gate.json("run", "--name", "own-login", "--service", "web=http", "--policy", "authorization=app", "--", process.execPath, hello); // prettier-ignore
    const cookie = await enter(gate, "own-login.localhost");
    const authorization = "Basic b2xnYTpzZWNyZXQ=";
    expect(seen(await asked("own-login.localhost", cookie, { authorization })).authorization).toBe(authorization);
    const beside = await gate.ask("own-login.localhost", "/", { headers: { ...XHR, authorization } });
    expect(seen(beside)).toMatchObject({ authorization, "x-taskgate-user": expect.stringMatching(/^local\//) as string }); // prettier-ignore
    expect(JSON.stringify(seen(beside))).not.toContain("tg_");
    const token = { authorization: `Bearer ${gate.token()}` };
    const own = await gate.ask("own-login.localhost", "/", { anonymous: true, headers: { ...XHR, ...token } });
    expect(seen(own).authorization).toBeUndefined();
  });

  test("are signed by another key after a rotation, which ends none of them", async () => {
    const before = await enter(gate, "hello.localhost");
    const [first] = (await keys()).filter(({ use }) => use === "session");
    await gate.json("keys", "rotate");
    const published = (await keys()).find(({ use, state }) => use === "session" && state === "published");
    expect(published?.id).not.toBe(first?.id);
    expect(kidOf(await enter(gate, "hello.localhost"))).toBe(first?.id);
    await until("the new key signs", async () =>
      (await keys()).some(({ id, state }) => id === published?.id && state === "used"),
    );
    expect((await keys()).find(({ id }) => id === first?.id)?.state).toBe("retired");
    const after = await enter(gate, "hello.localhost");
    expect(kidOf(after)).toBe(published?.id);
    for (const cookie of [before, after]) expect((await asked("hello.localhost", cookie)).status).toBe(200);
  });

  test("answer everything that is no page with 401 and a reason, once they have ended", async () => {
    const cookie = await enter(gate, "hello.localhost");
    const { id } = (await gate.json<readonly SessionView[]>("sessions", "list")).at(-1) ?? { id: "" };
    await gate.json("sessions", "end", id);
    const answer = await asked("hello.localhost", cookie);
    expect([answer.status, answer.headers["x-taskgate-error"], answer.headers.location]).toEqual([
      401,
      "unauthenticated",
      undefined,
    ]);
    expect((JSON.parse(answer.body) as { error: { code: string } }).error.code).toBe("unauthenticated");
    await expect(openSocket(gate, "chat.localhost", cookie)).rejects.toThrow("401");
    const page = { accept: "text/html", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document", cookie };
    expect((await gate.ask("hello.localhost", "/deep?x=1", { anonymous: true, headers: page })).status).toBe(302);
  });

  test("close what is open when access is taken back, within a second, and nothing else", async () => {
    const api = "/.taskgate/api/v1/tasks/chat/access";
    const host = gate.file().gateHost;
    const headers = { "content-type": "application/json" };
    const own = await openSocket(gate, "chat.localhost", await enter(gate, "chat.localhost"));
    const body = JSON.stringify({ to: "public" });
    expect((await gate.ask(host, api, { method: "POST", headers, body })).status).toBe(201);
    const isPublic = async () => (await gate.ask("chat.localhost", "/", { anonymous: true, headers: XHR })).status !== 401; // prettier-ignore
    await until("everybody may come", isPublic);
    const anybody = await openSocket(gate, "chat.localhost", "");
    const from = performance.now();
    await gate.ask(host, api, { method: "DELETE" });
    expect((await anybody.ended) - from).toBeLessThan(1000);
    expect(await Promise.race([own.ended.then(() => true), sleep(1500).then(() => false)])).toBe(false);
  });

  test("close what is open of them within a second: one of them, and all that somebody has", async () => {
    const [one, other] = [await enter(gate, "chat.localhost"), await enter(gate, "chat.localhost")];
    const list = await gate.json<readonly SessionView[]>("sessions", "list");
    const [first, second] = list.filter(({ host }) => host === "chat.localhost").slice(-2);
    const sockets = [await openSocket(gate, "chat.localhost", one), await openSocket(gate, "chat.localhost", other)];
    const ends = sockets.map(({ ended }) => ended.then(() => true));
    const stillOpen = (at: number) => Promise.race([ends[at], sleep(300).then(() => false)]);

    const api = "/.taskgate/api/v1/sessions";
    const from = performance.now();
    await gate.ask(gate.file().gateHost, `${api}/${first?.id ?? ""}`, { method: "DELETE" });
    expect(((await sockets[0]?.ended) ?? Infinity) - from).toBeLessThan(1000);
    expect(await stillOpen(1)).toBe(false);

    const again = performance.now();
    const user = second?.user ?? "";
    const headers = { "content-type": "application/json" };
    const body = JSON.stringify({ user });
    const ended = await gate.ask(gate.file().gateHost, `${api}/end`, { method: "POST", headers, body });
    expect((JSON.parse(ended.body) as EndedUserView).user).toBe(user);
    expect(((await sockets[1]?.ended) ?? Infinity) - again).toBeLessThan(1000);
    expect((await asked("chat.localhost", other)).status).toBe(401);
    expect(await gate.json("sessions", "list")).toEqual([]);
    await sleep(1000); // what was begun within the second of the end is void, too
    expect((await asked("hello.localhost", await enter(gate, "hello.localhost"))).status).toBe(200);
  });
});

describe("an assertion", () => {
  let gate: TestGate;
  beforeAll(async () => {
    gate = await startTestGate();
  });
  afterAll(() => gate[Symbol.asyncDispose]());

  test.each(["verify.py", "verify.mjs"])("is verified by the example %s, which takes nothing else", async (program) => {
    const name = program.replace("verify.", "by-");
    const interpreter = program.endsWith(".py") ? (await jwtEnvironment()).python : process.execPath;
    const environment = [
      `ISSUER=${gate.file().url}`,
      `AUDIENCE=local/${name}/web`,
      `KEYS_AT=http://127.0.0.1:${String(gate.file().port)}`,
    ];
    const command = ["env", ...environment, interpreter, join(ROOT, "examples", "assertions", program)];
    const port = await freePort();
    await gate.json("run", "--name", name, "--service", `web=http:${String(port)}`, "--", ...command);
    await gate.json("run", "--name", `${name}-hello`, "--service", "web=http", "--", process.execPath, join(ROOT, "examples", "services", "hello.mjs")); // prettier-ignore
    await until("the job answers", async () => (await gate.ask(`${name}.localhost`, "/")).status === 200);

    const cookie = await enter(gate, `${name}.localhost`);
    const answer = await gate.ask(`${name}.localhost`, "/", { anonymous: true, headers: { cookie } });
    expect(JSON.parse(answer.body)).toMatchObject({ aud: `local/${name}/web`, iss: gate.file().url, groups: [] });

    // What the job has of its visitor, shown to the job itself: another's assertion, the session, and one that was changed.
    const elsewhere = await gate.ask(`${name}-hello.localhost`, "/", { headers: { accept: "application/json" } });
    const { headers } = JSON.parse(elsewhere.body) as { headers: Record<string, string> };
    const others = headers["x-taskgate-assertion"] ?? "";
    const session = cookie.split("=")[1] ?? "";
    for (const wrong of [others, session, `${others.slice(0, -4)}AAAA`, "", "a.b.c"]) {
      const refused = await fetch(`http://127.0.0.1:${String(port)}/`, { headers: { "x-taskgate-assertion": wrong } });
      expect(refused.status).toBe(401);
    }
    // And to the gate: it is nothing there, as a token or as a cookie.
    const cookieName = cookie.split("=")[0] ?? "";
    for (const replay of [
      { authorization: `Bearer ${others}` },
      { "x-taskgate-authorization": `Bearer ${others}` },
      { cookie: `${cookieName}=${others}` },
    ]) {
      // prettier-ignore
      const refused = await gate.ask(`${name}-hello.localhost`, "/", { anonymous: true, headers: { ...XHR, ...replay } }); // prettier-ignore
      expect(refused.status).toBe(401);
    }
  });

  test("has its keys published for everybody, public halves alone, to be kept for a while", async () => {
    const answer = await gate.ask(gate.file().gateHost, "/.taskgate/jwks.json", { anonymous: true });
    expect([answer.status, answer.headers["cache-control"]]).toEqual([200, "public, max-age=300"]);
    const { keys } = JSON.parse(answer.body) as { keys: Record<string, string>[] };
    expect(keys.length).toBeGreaterThan(0);
    for (const key of keys) {
      expect(Object.keys(key).toSorted()).toEqual(["alg", "crv", "kid", "kty", "use", "x", "y"]);
    }
  });
});
