import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { CLIENT_ID, CLIENT_SECRET, startTestProvider, type TestProvider } from "../src/auth/testing/oidc-provider.ts";
import { startBrowser } from "./support/browser.ts";
import { ROOT, run, startTestGate, type TestGate } from "./support/gate.ts";

let folder: string;
let provider: TestProvider;
let gate: TestGate;
let browser: Browser;

const CONFIG = (issuer: string, secretFile: string): string => `
login:
  methods:
    - type: oidc
      name: corp
      label: Example Corp
      issuer: ${issuer}
      clientId: ${CLIENT_ID}
      clientSecretFile: ${secretFile}
      scopes: [openid, profile, email, groups]
      nameClaim: preferred_username
      adminGroups: [gate-admins]
      allow:
        groups: [ml, gate-admins]
      recheck: 1s
      logout: provider
`;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "tg-oidc-"));
  provider = await startTestProvider({
    people: {
      alice: { groups: ["ml"] },
      bob: { groups: ["ml"] },
      root: { groups: ["gate-admins"] },
      eve: { groups: ["guests"] },
    },
  });
  const secret = join(folder, "client-secret");
  writeFileSync(secret, `${CLIENT_SECRET}\n`, { mode: 0o600 });
  writeFileSync(join(folder, "gate.yaml"), CONFIG(provider.issuer, secret));
  gate = await startTestGate({ config: join(folder, "gate.yaml") });
  provider.register(gate.file().url);
  const hello = join(ROOT, "examples", "services", "hello.mjs");
  const chat = join(ROOT, "examples", "services", "chat.mjs");
  const serve = (name: string, access: string, program: string) =>
    gate.json("run", "--name", name, "--access", access, "--service", "web=http", "--", process.execPath, program);
  await serve("open-to-all", "authenticated", hello);
  await serve("owners-own", "owner", hello);
  await serve("chat", "authenticated", chat);
  browser = await startBrowser();
});

afterAll(async () => {
  await browser.close();
  await gate[Symbol.asyncDispose]();
  await provider[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

const at = (host: string, path = "/"): string => `http://${host}.localhost:${String(gate.file().port)}${path}`;

/** From the gate's login page through the provider's. */
async function logIn(page: Page, name: string): Promise<void> {
  await page.getByRole("button", { name: "Log in with Example Corp" }).click();
  await page.locator('input[name="login"]').fill(name);
  await page.locator('input[name="password"]').fill("any");
  await page.locator('button[type="submit"]').click();
  await page.getByRole("button", { name: "Continue" }).click();
}

async function someone(name: string, start = at("taskgate", "/.taskgate/login")): Promise<Page> {
  const page = await (await browser.newContext()).newPage();
  await page.goto(start);
  await logIn(page, name);
  return page;
}

test("a deep link goes through the gate and the provider, and comes back to the same place", async () => {
  const page = await someone("alice", at("open-to-all", "/deep/link?q=1"));
  await page.getByRole("heading", { name: "Hello from a job" }).waitFor();
  expect(page.url()).toBe(at("open-to-all", "/deep/link?q=1"));
  expect(await page.locator("pre").innerText()).not.toMatch(/taskgate-session|\bauthorization\b/i);
  await page.context().close();
});

test("nothing of the login stays in an address or the history", async () => {
  const page = await someone("alice");
  await page.waitForURL(at("taskgate", "/.taskgate/"));
  await page.goBack();
  expect(page.url()).not.toMatch(/code=|state=/);
  await page.context().close();
});

test("a group makes an administrator, who may use what is another's; everybody else may not", async () => {
  const admin = await someone("root", at("owners-own"));
  await admin.getByRole("heading", { name: "Hello from a job" }).waitFor();
  await admin.context().close();
  const alice = await someone("alice", at("owners-own"));
  await alice.getByRole("heading", { name: "You may not open this" }).waitFor();
  expect(await alice.locator("#message").innerText()).toContain("alice");
  await alice.context().close();
});

test("who is in none of the allowed groups is told so, and is not in", async () => {
  const page = await someone("eve", at("open-to-all"));
  await page.getByRole("heading", { name: "You may not log in here" }).waitFor();
  await page.goto(at("open-to-all"));
  expect(new URL(page.url()).hostname).toBe("taskgate.localhost");
  await page.context().close();
});

test("a callback in a browser that began no login logs nobody in, whoever made the link", async () => {
  const stranger = await (await browser.newContext()).newPage();
  await stranger.goto(at("taskgate", "/.taskgate/login/corp/callback?code=abc&state=xyz"));
  await stranger.getByText("not begun in this browser").waitFor();
  expect(stranger.url()).toBe(at("taskgate", "/.taskgate/login"));
  expect(await stranger.evaluate(() => localStorage.getItem("taskgate.login"))).toBeNull();
  await stranger.context().close();
});

test("two people side by side each see their own name, and logging out ends one's own login alone, here and at the provider", async () => {
  const [alice, bob] = [await someone("alice"), await someone("bob")];
  await alice.locator("#who", { hasText: "alice" }).waitFor();
  await bob.locator("#who", { hasText: "bob" }).waitFor();
  await alice.goto(at("open-to-all"));
  await alice.getByRole("heading", { name: "Hello from a job" }).waitFor();
  await alice.goto(at("taskgate", "/.taskgate/"));
  await alice.getByRole("button", { name: "Log out" }).click();
  await alice.waitForURL((url) => url.origin === provider.issuer);
  await alice.getByRole("button", { name: "Yes, sign me out" }).click();
  await alice.getByRole("button", { name: "Log in with Example Corp" }).waitFor();
  await alice.goto(at("open-to-all"));
  await alice.getByRole("button", { name: "Log in with Example Corp" }).click();
  await alice.locator('input[name="login"]').waitFor(); // the provider asks again who it is
  await bob.goto(at("open-to-all"));
  await bob.getByRole("heading", { name: "Hello from a job" }).waitFor();
  await Promise.all([alice.context().close(), bob.context().close()]);
});

/** In a page: resolves once the other side has answered over a WebSocket, and leaves it open. */
function talk(url: string): Promise<void> {
  return new Promise((resolve) => {
    const socket = new WebSocket(url);
    socket.onopen = () => socket.send("hi");
    socket.onmessage = () => resolve();
  });
}

test("a login that ends at the provider ends in an open page, and the next page asks for a login", async () => {
  const page = await someone("bob");
  await page.locator("#who", { hasText: "bob" }).waitFor();
  await page.goto(at("chat"));
  await page.waitForURL(at("chat"));
  const [socket] = await Promise.all([
    page.waitForEvent("websocket"),
    page.evaluate(talk, `ws://chat.localhost:${String(gate.file().port)}/`),
  ]);
  expect(socket.isClosed()).toBe(false);
  provider.people.delete("bob");
  // Asked after within the second that the config says, while anything of his is open.
  if (!socket.isClosed()) await socket.waitForEvent("close");
  expect(await page.evaluate(async () => (await fetch("/")).status)).toBe(401);
  await page.goto(at("open-to-all"));
  await page.getByRole("button", { name: "Log in with Example Corp" }).waitFor();
  provider.people.set("bob", { groups: ["ml"] });
  await page.context().close();
});

test("a group that was left at the provider opens nothing any more, though the session's own word is still good", async () => {
  provider.people.set("carol", { groups: ["gate-admins"] });
  const page = await someone("carol", at("owners-own"));
  await page.getByRole("heading", { name: "Hello from a job" }).waitFor();
  provider.people.set("carol", { groups: ["ml"] });
  await expect.poll(() => page.evaluate(async () => (await fetch("/")).status), { timeout: 20_000 }).toBe(403);
  await page.context().close();
});

test("the provider's word that a login has ended counts at once", async () => {
  const page = await someone("alice", at("open-to-all"));
  await page.getByRole("heading", { name: "Hello from a job" }).waitFor();
  const events = { "http://schemas.openid.net/event/backchannel-logout": {} };
  const token = await provider.sign({ sub: "alice", jti: "1", events }, { typ: "logout+jwt" });
  const tell = (body: string) =>
    gate.ask("taskgate.localhost", "/.taskgate/login/corp/backchannel-logout", {
      ...{ method: "POST", anonymous: true, body },
      headers: { "content-type": "application/x-www-form-urlencoded" },
    });
  expect((await tell("logout_token=a.b.c")).status).toBe(400);
  expect((await tell(`logout_token=${await provider.sign({ sub: "alice", exp: 9e9 })}`)).status).toBe(400);
  expect(await page.evaluate(async () => (await fetch("/")).status)).toBe(200);
  expect((await tell(`logout_token=${token}`)).status).toBe(200);
  expect(await page.evaluate(async () => (await fetch("/")).status)).toBe(401);
  await page.context().close();
});

test("a provider that is down makes logins unavailable and refuses nobody; the gate goes on", async () => {
  const page = await (await browser.newContext()).newPage();
  await page.goto(at("taskgate", "/.taskgate/login"));
  await page.getByRole("button", { name: "Log in with Example Corp" }).click();
  await page.locator('input[name="login"]').fill("alice");
  await page.locator('input[name="password"]').fill("any");
  await page.locator('button[type="submit"]').click();
  const consent = page.getByRole("button", { name: "Continue" });
  await consent.waitFor();
  await page.route("**/.taskgate/api/v1/login/methods/corp/complete", async (route) => {
    provider.fail();
    await route.continue();
  });
  await consent.click();
  await page.getByRole("heading", { name: "That did not work" }).waitFor();
  expect(await page.locator("#message").innerText()).toContain("does not answer");
  provider.recover();
  await page.unrouteAll();
  await page.getByRole("button", { name: "Try again" }).click();
  await page.waitForURL((url) => url.origin === provider.issuer || url.pathname === "/.taskgate/");
  await page.context().close();
});

test("programs show the provider's JWTs; what is of the provider never reaches a job, and an app's own Bearer does", async () => {
  const exp = Math.floor(Date.now() / 1000) + 300;
  const claims = { sub: "alice", preferred_username: "alice", groups: ["ml"], exp };
  const good = await provider.sign(claims);
  const ask = (authorization: string) =>
    gate.ask("open-to-all.localhost", "/", { anonymous: true, headers: { authorization } });
  const answer = await ask(`Bearer ${good}`);
  expect(answer.status).toBe(200);
  expect(answer.body).not.toContain(good);
  const [head = "", payload = "", signature = ""] = good.split(".");
  const refused = {
    "another audience": await provider.sign({ ...claims, aud: "another" }),
    expired: await provider.sign({ ...claims, exp: exp - 3600 }),
    "a logout token": await provider.sign({ ...claims, events: {} }, { typ: "logout+jwt" }),
    "a changed payload": `${head}.${payload.slice(0, -1)}A.${signature}`,
    "no signature": `${Buffer.from('{"alg":"none"}').toString("base64url")}.${payload}.`,
    "not in the groups": await provider.sign({ ...claims, groups: ["guests"] }),
  };
  for (const [what, token] of Object.entries(refused))
    expect([401, 403], what).toContain((await ask(`Bearer ${token}`)).status);
  const own = "Bearer eyJhbGciOiJub25lIn0.eyJpc3MiOiJodHRwczovL2FuLmFwcCJ9.x";
  const beside = await gate.ask("open-to-all.localhost", "/", {
    anonymous: true,
    headers: { authorization: own, "x-taskgate-authorization": `Bearer ${good}` },
  });
  expect(beside.status).toBe(200);
  expect(beside.body).toContain(own);
  expect(beside.body).not.toContain(good);
});

test("the provider's keys may change: the next login and the next program go by the new ones", async () => {
  const before = await provider.sign({ sub: "alice", preferred_username: "alice", groups: ["ml"], exp: 9e9 });
  await provider.rotate();
  const after = await provider.sign({ sub: "alice", preferred_username: "alice", groups: ["ml"], exp: 9e9 });
  const status = async (token: string) =>
    (await gate.ask("open-to-all.localhost", "/", { anonymous: true, headers: { authorization: `Bearer ${token}` } }))
      .status;
  await expect.poll(() => status(after), { timeout: 10_000, interval: 1000 }).toBe(200);
  expect(await status(before)).toBe(401);
  const page = await someone("alice");
  await page.waitForURL(at("taskgate", "/.taskgate/"));
  await page.context().close();
});

test("a command line elsewhere logs in by somebody's browser, works by that login, and logs out", async () => {
  const home = join(folder, "elsewhere");
  const environment = { ...gate.environment, TASKGATE_HOME: home };
  const elsewhere = (...words: string[]) => run(join(ROOT, "bin", "taskgate"), words, environment);
  const logging = spawn(join(ROOT, "bin", "taskgate"), ["login", gate.file().url, "--json"], { env: environment });
  const ended = once(logging, "close");
  const lines = createInterface(logging.stdout)[Symbol.asyncIterator]();
  const { userCode, pageWithCode } = JSON.parse((await lines.next()).value ?? "") as Record<string, string>;
  const page = await someone("alice", pageWithCode);
  await page.getByText(userCode ?? "").waitFor();
  expect(await page.locator("#message").innerText()).toContain(hostname());
  await page.getByRole("button", { name: "Let it in" }).click();
  await page.getByText("It is in.").waitFor();
  expect(JSON.parse((await lines.next()).value ?? "")).toMatchObject({
    kind: "login",
    realm: "corp",
    principal: "alice",
  });
  expect((await ended)[0]).toBe(0);
  for (const name of readdirSync(join(home, "remotes")))
    expect(statSync(join(home, "remotes", name)).mode & 0o777).toBe(0o600);

  const who = await elsewhere("whoami", "--json");
  expect(JSON.parse(who.stdout)).toMatchObject({ realm: "corp", name: "alice", admin: false, gate: gate.file().url });
  expect((await elsewhere("ps")).code).toBe(0);
  expect((await elsewhere("logout")).code).toBe(0);
  expect((await elsewhere("whoami")).code).not.toBe(0);
  await page.context().close();
});
