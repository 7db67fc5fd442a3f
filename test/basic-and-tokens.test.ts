import { once } from "node:events";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import { debianProgram } from "../testbed/debian-program.ts";
import { startBrowser } from "./support/browser.ts";
import { type Ran, ROOT, run, startTestGate, type TestGate } from "./support/gate.ts";

const htpasswd = debianProgram("apache2-utils", ["/usr/bin/htpasswd"]);
const curl = debianProgram("curl", ["/usr/bin/curl"]);
const SECRET = "the-proxy-shows-this-secret";
const MOZILLA = "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/150.0";

const config = (folder: string, workers: number): string => `
workers: ${String(workers)}
login:
  methods:
    - { type: basic, name: corp, label: Example Corp, passwordFile: ${folder}/htpasswd, groupsFile: ${folder}/groups }
    - type: trusted-header
      name: proxy
      from: ["127.0.0.3"]
      user: X-Corp-User
      groups: X-Corp-Groups
      secret: { file: ${folder}/secret }
  tokens: { lifetime: 30d, maxLifetime: 60d }
`;

describe.each([0, 2])("with %i worker processes", (workers) => {
  let folder: string;
  let gate: TestGate;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "tg-basic-"));
    const file = join(folder, "htpasswd");
    execFileSync(htpasswd, ["-cbBC", "5", file, "alice", "correct horse"], { stdio: "ignore" });
    execFileSync(htpasswd, ["-bBC", "5", file, "carol", "open sesame"], { stdio: "ignore" });
    const bob = await run(
      "/bin/sh",
      ["-c", `echo "battery staple" | "${ROOT}/bin/taskgate" password bob`],
      process.env as Record<string, string>,
    );
    writeFileSync(file, readFileSync(file, "utf8") + bob.stdout);
    writeFileSync(join(folder, "groups"), "ml: alice\n");
    writeFileSync(join(folder, "secret"), `${SECRET}\n`, { mode: 0o600 });
    writeFileSync(join(folder, "gate.yaml"), config(folder, workers));
    gate = await startTestGate({ config: join(folder, "gate.yaml") });
    const serve = (name: string, access: string, program: string) => {
      const path = join(ROOT, "examples", "services", program);
      return gate.json(
        "run",
        "--name",
        name,
        "--access",
        access,
        "--service",
        "web=http",
        "--",
        process.execPath,
        path,
      );
    };
    await serve("hello", "authenticated", "hello.mjs");
    await serve("other", "authenticated", "hello.mjs");
    await serve("chat", "authenticated", "chat.mjs");
  });

  afterAll(async () => {
    await gate[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  });

  const at = (host: string, path = "/"): string => `http://${host}.localhost:${String(gate.file().port)}${path}`;

  /** What curl got; from an address of its own unless it says otherwise, so that no limit of another test counts. */
  async function ask(
    url: string,
    ...options: readonly string[]
  ): Promise<{ status: number; head: string; body: string }> {
    const host = new URL(url).hostname;
    const { port } = gate.file();
    const resolve = ["--resolve", `${host}:${String(port)}:127.0.0.1`, "--noproxy", "*"];
    const ran: Ran = await run(curl, ["-sS", "-i", ...resolve, ...options, url], {});
    const end = ran.stdout.indexOf("\r\n\r\n");
    const head = ran.stdout.slice(0, end);
    return { status: Number(head.split(" ")[1]), head: head.toLowerCase(), body: ran.stdout.slice(end + 4) };
  }

  const from = (address: string): readonly string[] => ["--interface", address];
  const json = ["-H", "accept: application/json"];

  test("curl -u comes in, and the job learns who, and no password", async () => {
    for (const [user, password] of [
      ["alice", "correct horse"],
      ["bob", "battery staple"],
    ] as const) {
      const answer = await ask(at("hello"), "-u", `${user}:${password}`, ...json);
      expect(answer.status).toBe(200);
      const { headers } = JSON.parse(answer.body) as { headers: Record<string, string> };
      expect(headers["x-taskgate-user"]).toBe(`corp/${user}`);
      expect(headers).not.toHaveProperty("authorization");
    }
  });

  test("a program is challenged, a browser on an app's page never is", async () => {
    const program = await ask(at("hello"));
    expect(program.status).toBe(401);
    expect(program.head).toContain(
      'www-authenticate: bearer realm="taskgate", basic realm="taskgate", charset="utf-8"',
    );
    const wrong = await ask(at("hello"), "-u", "alice:wrong", ...from("127.0.0.9"));
    expect(wrong.status).toBe(401);
    const script = await ask(at("hello"), "-A", MOZILLA, ...json);
    expect(script.status).toBe(401);
    expect(script.head).not.toMatch(/www-authenticate:.*basic/);
    const page = await ask(at("hello"), "-A", MOZILLA, "-H", "accept: text/html", "-H", "sec-fetch-mode: navigate");
    expect(page.status).toBe(302);
    const api = await ask(at("taskgate", "/.taskgate/api/v1/tasks"), "-A", MOZILLA);
    expect(api.head).not.toMatch(/www-authenticate:.*basic/);
  });

  test("a page of another site gets nowhere with a password that the browser remembers", async () => {
    const login = ["-u", "alice:correct horse"];
    const evil = ["-H", "origin: http://evil.example"];
    expect((await ask(at("hello"), ...login, ...evil, "-X", "POST")).status).toBe(403);
    const sibling = ["-H", `origin: ${at("other").slice(0, -1)}`, "-H", "sec-fetch-site: same-site"];
    expect((await ask(at("hello"), ...login, ...sibling, "-X", "POST")).status).toBe(403);
    const api = at("taskgate", "/.taskgate/api/v1/tokens");
    const body = ["-H", "content-type: application/json", "-d", '{"name":"stolen"}'];
    expect((await ask(api, ...login, ...evil, ...body)).status).toBe(403);
    expect((await ask(at("hello"), ...login, "-X", "POST")).status).toBe(200);
  });

  test("wrong passwords are answered with 429 and when to come back, for that account from that address", async () => {
    const attempts = [];
    for (let times = 0; times < 7; times += 1) {
      attempts.push(await ask(at("hello"), "-u", `carol:wrong-${String(times)}`, ...from("127.0.0.10")));
    }
    expect(attempts.map(({ status }) => status)).toEqual([401, 401, 401, 401, 401, 429, 429]);
    expect(attempts[6]?.head).toMatch(/retry-after: \d+/);
    expect(attempts[6]?.body).toMatch(/too many failed logins; try again in \d+ s/);
    expect((await ask(at("hello"), "-u", "carol:open sesame", ...from("127.0.0.10"))).status).toBe(429);
    expect((await ask(at("hello"), "-u", "carol:open sesame", ...from("127.0.0.11"))).status).toBe(200);
    expect((await ask(at("hello"), "-u", "alice:correct horse", ...from("127.0.0.10"))).status).toBe(200);
    const spoofed = ["-H", "x-forwarded-for: 127.0.0.99", "-u", "carol:open sesamf", ...from("127.0.0.10")];
    expect((await ask(at("hello"), ...spoofed)).status).toBe(429);
  });

  test("who is taken out of the file is out within a second, with the WebSocket that was open", async () => {
    const file = join(folder, "htpasswd");
    execFileSync(htpasswd, ["-bBC", "5", file, "dave", "for a while"], { stdio: "ignore" });
    const login = ["-u", "dave:for a while", ...from("127.0.0.12")];
    await expect
      .poll(async () => (await ask(at("hello"), ...login)).status, { timeout: 10_000, interval: 3000 })
      .toBe(200);
    const authorization = `Basic ${Buffer.from("dave:for a while").toString("base64")}`;
    const { port } = gate.file();
    const headers = { authorization, host: `chat.localhost:${String(port)}` };
    const socket = new WebSocket(`ws://127.0.0.1:${String(port)}/`, { headers });
    await once(socket, "open");
    const closed = once(socket, "close");
    execFileSync(htpasswd, ["-D", file, "dave"], { stdio: "ignore" });
    const removed = performance.now();
    await closed;
    expect(performance.now() - removed).toBeLessThan(1000);
    expect((await ask(at("hello"), ...login)).status).toBe(401);
  });

  test("the word of the proxy counts, from its address alone and with its secret", async () => {
    const says = (...more: readonly string[]) => ["-H", "x-corp-user: erin", "-H", "x-corp-groups: ml, ops", ...more];
    const withSecret = says("-H", `x-proxy-secret: ${SECRET}`);
    const answer = await ask(at("hello"), ...withSecret, ...json, ...from("127.0.0.3"));
    expect(answer.status).toBe(200);
    const { headers } = JSON.parse(answer.body) as { headers: Record<string, string> };
    expect(headers["x-taskgate-user"]).toBe("proxy/erin");
    for (const name of ["x-corp-user", "x-corp-groups", "x-proxy-secret"]) expect(headers).not.toHaveProperty(name);
    expect((await ask(at("hello"), ...says(), ...from("127.0.0.3"))).status).toBe(401);
    expect((await ask(at("hello"), ...withSecret, ...from("127.0.0.4"))).status).toBe(401);
    const forwarded = ["-H", "x-forwarded-for: 127.0.0.3"];
    expect((await ask(at("hello"), ...withSecret, ...forwarded, ...from("127.0.0.4"))).status).toBe(401);
    const stranger = await ask(at("hello"), ...withSecret, ...json, "-u", "alice:correct horse", ...from("127.0.0.4"));
    const seen = (JSON.parse(stranger.body) as { headers: Record<string, string> }).headers;
    expect(seen["x-taskgate-user"]).toBe("corp/alice");
    for (const name of ["x-corp-user", "x-corp-groups", "x-proxy-secret"]) expect(seen).not.toHaveProperty(name);
    if (workers === 0) expect(readFileSync(join(gate.home, "gate.log"), "utf8")).toContain("identity header ignored");
  });

  test("a token with a scope opens what is in it, and nothing else; it ends with its time, and at once when it is revoked", async () => {
    const made = await gate.json<{ id: string; token: string; expiresAt: number; createdAt: number }>(
      ...["token", "create", "ci", "--service", "hello", "--scope", "connect"],
    );
    expect(made.expiresAt - made.createdAt).toBe(30 * 86_400_000);
    const bearer = (token: string) => ["-H", `authorization: Bearer ${token}`];
    expect((await ask(at("hello"), ...bearer(made.token))).status).toBe(200);
    expect((await ask(at("other"), ...bearer(made.token))).status).toBe(403);
    const asIt = { ...gate.environment, TASKGATE_TOKEN: made.token };
    const cli = (...words: readonly string[]) => run(join(ROOT, "bin", "taskgate"), words, asIt);
    const seen = JSON.parse((await cli("ps", "--json")).stdout) as readonly { name: string }[];
    expect(seen.map(({ name }) => name)).toEqual(["hello"]);
    for (const words of [
      ["stop", "hello"],
      ["token", "create"],
      ["token", "list"],
      ["open", "--print"],
    ]) {
      expect((await cli(...words)).code, words.join(" ")).toBe(5);
    }
    const tooLong = await gate.cli("token", "create", "x", "--for", "61d");
    expect(tooLong.stderr).toContain("60 days at most");
    const listed = (await gate.cli("token", "list")).stdout;
    expect(listed).toMatch(/ci +token +\S+ +connect of hello +\S+ +\d+s/);
    expect((await gate.cli("token", "revoke", made.id)).code).toBe(0);
    expect((await ask(at("hello"), ...bearer(made.token))).status).toBe(401);
    const short = await gate.json<{ token: string }>("token", "create", "short", "--for", "1s");
    await expect
      .poll(async () => (await ask(at("hello"), ...bearer(short.token))).status, { timeout: 15_000 })
      .toBe(401);
  });

  test("who has a password makes tokens of their own, and an administrator makes them for service accounts", async () => {
    const api = at("taskgate", "/.taskgate/api/v1/tokens");
    const post = (body: string) =>
      ask(api, "-u", "alice:correct horse", "-H", "content-type: application/json", "-d", body);
    const made = await post('{"name":"mine","scope":{"actions":["connect"]}}');
    expect(made.status).toBe(201);
    const { token } = JSON.parse(made.body) as { token: string };
    const answer = await ask(at("hello"), "-H", `authorization: Bearer ${token}`, ...json);
    expect(answer.body).toContain('"x-taskgate-user":"corp/alice"');
    expect((await post('{"name":"robots","account":"robot"}')).status).toBe(403);
    const robot = await gate.json<{ owner: string }>("token", "create", "robots", "--account", "robot");
    expect(robot.owner).toBe("service/robot");
  });
});

describe("in a real browser", () => {
  let folder: string;
  let gate: TestGate;
  let browser: Browser;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "tg-form-"));
    execFileSync(htpasswd, ["-cbBC", "5", join(folder, "htpasswd"), "alice", "correct horse"], { stdio: "ignore" });
    const methods = `login: { methods: [{ type: basic, name: corp, label: Example Corp, passwordFile: ${folder}/htpasswd }] }\n`;
    writeFileSync(join(folder, "gate.yaml"), methods);
    gate = await startTestGate({ config: join(folder, "gate.yaml") });
    const program = join(ROOT, "examples", "services", "hello.mjs");
    await gate.json(
      "run",
      "--name",
      "hello",
      "--access",
      "authenticated",
      "--service",
      "web=http",
      "--",
      process.execPath,
      program,
    );
    browser = await startBrowser();
  });

  afterAll(async () => {
    await browser.close();
    await gate[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  });

  test("the form logs in, with the deep link kept; a wrong password is told so; a new password ends the login", async () => {
    const page = await (await browser.newContext()).newPage();
    const deep = `http://hello.localhost:${String(gate.file().port)}/deep/link?q=1`;
    await page.goto(deep);
    const logIn = async (password: string) => {
      await page.getByLabel("Name").fill("alice");
      await page.getByLabel("Password").fill(password);
      await page.getByRole("button", { name: "Log in with Example Corp" }).click();
    };
    await logIn("wrong");
    await page.getByText("That did not work. Try again.").waitFor();
    await logIn("correct horse");
    await page.getByRole("heading", { name: "Hello from a job" }).waitFor();
    expect(page.url()).toBe(deep);
    execFileSync(htpasswd, ["-bBC", "5", join(folder, "htpasswd"), "alice", "another one"], { stdio: "ignore" });
    const whereNow = async () => (await page.goto(deep), new URL(page.url()).hostname);
    await expect.poll(whereNow, { timeout: 15_000 }).toBe("taskgate.localhost");
    await page.context().close();
  });

  test("the page makes a token, shows it this once, and revokes it", async () => {
    const page = await (await browser.newContext()).newPage();
    await page.goto((await gate.json<{ url: string }>("open")).url);
    await page.getByRole("link", { name: "Tokens" }).click();
    await page.getByLabel("Name").fill("from the page");
    await page.getByLabel("Only these services").fill("hello");
    await page.getByRole("button", { name: "Make a token" }).click();
    const token = await page.locator("#token").innerText();
    const authorization = `Bearer ${token}`;
    const status = async () =>
      (await gate.ask("hello.localhost", "/", { anonymous: true, headers: { authorization } })).status;
    expect(await status()).toBe(200);
    await page.getByRole("cell", { name: "connect: hello" }).waitFor();
    await page.reload();
    expect(await page.locator("#made").isVisible()).toBe(false);
    await page.getByRole("button", { name: "Revoke from the page" }).click();
    await page.getByRole("button", { name: "Revoke", exact: true }).last().click();
    await page.getByRole("cell", { name: "connect: hello" }).waitFor({ state: "detached" });
    expect(await status()).toBe(401);
    await page.context().close();
  });
});
