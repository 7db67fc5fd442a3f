import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { once } from "node:events";
import { request as httpRequest, type IncomingMessage } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { hash } from "bcrypt";
import type { Browser, BrowserContext } from "playwright-core";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { TaskView } from "../src/api/wire.ts";
import type { AccessView, GrantCreated, SharedLinkView } from "../src/api/wire-access.ts";
import { startBrowser } from "./support/browser.ts";
import { ROOT, startTestGate, until, type TestGate } from "./support/gate.ts";

const HELLO = join(ROOT, "examples", "services", "hello.mjs");
/** Sends a line every 50 ms, for ever. */
const TICKS = `require("node:http").createServer((_, r) => { r.write("tick\\n"); const t = setInterval(() => r.write("tick\\n"), 50); r.on("close", () => clearInterval(t)); }).listen(process.env.PORT)`; // prettier-ignore

let folder: string;
let gate: TestGate;
let browser: Browser;

/** Two realms. Programs' passwords are of the first; there alice is of the group ml. */
async function writeConfig(): Promise<string> {
  const password = await hash("secret", 4);
  writeFileSync(join(folder, "corp.htpasswd"), `alice:${password}\nbob:${password}\n`, { mode: 0o600 });
  writeFileSync(join(folder, "corp.groups"), "ml: alice\n");
  writeFileSync(join(folder, "lab.htpasswd"), `alice:${password}\n`, { mode: 0o600 });
  const methods = [
    { type: "basic", name: "corp", passwordFile: "corp.htpasswd", groupsFile: "corp.groups" },
    { type: "basic", name: "lab", passwordFile: "lab.htpasswd" },
  ];
  const access = { longestLink: "1h", rules: [{ name: "ruled-*", with: ["bob"] }] };
  const file = join(folder, "config.yaml");
  writeFileSync(file, JSON.stringify({ login: { methods }, access }));
  return file;
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "tg-sharing-"));
  gate = await startTestGate({ config: await writeConfig() });
  browser = await startBrowser();
});
afterAll(async () => {
  await browser.close();
  await gate[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

let count = 0;
let name: string;
/** A task of its own for each test. */
beforeEach(async () => {
  name = `nb-${String(++count)}`;
  await start(name);
});

function start(task: string): Promise<unknown> {
  return gate.json("run", "--name", task, "--service", "web=http", "--", process.execPath, HELLO);
}

const basic = (user: string) => ({ authorization: `Basic ${Buffer.from(`${user}:secret`).toString("base64")}` });
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

async function statusFor(headers: Readonly<Record<string, string>>, task = name): Promise<number> {
  return (await gate.ask(`${task}.localhost`, "/", { anonymous: true, headers })).status;
}

async function api<T>(
  method: string,
  path: string,
  headers = {},
  body?: unknown,
): Promise<{ status: number; json: T }> {
  const answer = await gate.ask("taskgate.localhost", `/.taskgate/api/v1${path}`, {
    ...{ method, anonymous: true },
    headers: { ...headers, ...(body === undefined ? {} : { "content-type": "application/json" }) },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: answer.status, json: (answer.body === "" ? null : JSON.parse(answer.body)) as T };
}

const redeem = (link: string) => api<SharedLinkView>("POST", "/links/redeem", {}, { link });
const linkOf = async (...more: string[]) => (await gate.cli("share", name, "--link", ...more)).stdout.trim();

/** A page that goes on for as long as its visitor may see it. */
async function openStream(task: string, headers: Readonly<Record<string, string>>): Promise<IncomingMessage> {
  const { address, port } = gate.file();
  const host = `${task}.localhost:${String(port)}`;
  const sent = httpRequest({ host: address, port, path: "/", headers: { host, ...headers }, agent: false }).end();
  const [response] = (await once(sent, "response")) as [IncomingMessage];
  await once(response, "data");
  return response;
}

/** When it ended, in ms of this process. */
function ended(stream: IncomingMessage): Promise<number> {
  return new Promise((resolve) => {
    stream.resume().on("error", () => undefined);
    stream.once("close", () => resolve(performance.now()));
  });
}

/** Takes back, and tells how much longer (ms) the last of the streams went on. */
async function unshare(streams: readonly IncomingMessage[], ...words: readonly string[]): Promise<number> {
  const ends = Promise.all(streams.map(ended));
  const ran = await gate.cli("unshare", ...words);
  expect([ran.code, ran.stderr]).toEqual([0, ""]);
  const done = performance.now();
  return Math.max(...(await ends)) - done;
}

describe("people and groups", () => {
  test("come in when it is shared with them, of that realm alone, and see it in their list", async () => {
    expect(await statusFor(basic("alice"))).toBe(403);
    expect((await gate.ask(`${name}.localhost`, "/", { anonymous: true })).status).toBe(401);
    await gate.cli("share", name, "--with", "lab/alice", "--with", "group:lab/ml");
    expect(await statusFor(basic("alice"))).toBe(403);
    const said = await gate.cli("share", name, "--with", "group:ml", "--for", "8h");
    expect(said.stdout).toMatch(/^group:corp\/ml may use nb-\d+ until 20\d\d-/);
    expect(await statusFor(basic("alice"))).toBe(200);
    expect(await statusFor(basic("bob"))).toBe(403);
    const tasks = await api<{ tasks: TaskView[] }>("GET", "/tasks", basic("alice"));
    expect(tasks.json.tasks).toEqual([expect.objectContaining({ name, manageable: false, controllable: false })]);
    expect((await api<{ tasks: TaskView[] }>("GET", "/tasks", basic("bob"))).json.tasks).toEqual([]);
    const owners = await gate.task(name);
    expect(owners.services[0]?.sharedWith).toEqual(["lab/alice", "group:lab/ml", "group:corp/ml"]);
  });

  test("may use it and nothing more, and are out at once when it is taken back", async () => {
    const ticks = `ticks-${String(count)}`;
    await gate.json("run", "--name", ticks, "--service", "web=http", "--", process.execPath, "-e", TICKS);
    await gate.cli("share", ticks, "--with", "bob");
    const stream = await openStream(ticks, basic("bob"));
    for (const [method, path] of [
      ["POST", `/tasks/${ticks}/stop`],
      ["GET", `/tasks/${ticks}/logs`],
      ["GET", `/tasks/${ticks}/access`],
      ["DELETE", `/tasks/${ticks}`],
    ] as const) {
      expect((await api(method, path, basic("bob"))).status, path).toBe(403);
    }
    expect(await unshare([stream], ticks, "--with", "bob")).toBeLessThan(1000);
    expect(await statusFor(basic("bob"), ticks)).toBe(403);
  });

  test("are out, with what they have open, when their time is up, and so is everybody", async () => {
    const ticks = `ticks-${String(count)}`;
    await gate.json("run", "--name", ticks, "--service", "web=http", "--", process.execPath, "-e", TICKS);
    const [grant] = await gate.json<GrantCreated[]>("share", ticks, "--with", "bob", "--for", "8s");
    await gate.cli("share", name, "--authenticated", "--for", "8s");
    const end = ended(await openStream(ticks, basic("bob")));
    expect(await statusFor(basic("bob"))).toBe(200);
    await end;
    const late = Date.now() - (grant?.until ?? 0);
    expect(late).toBeGreaterThanOrEqual(0);
    expect(late).toBeLessThan(5000);
    expect(await statusFor(basic("bob"), ticks)).toBe(403);
    await until(async () => (await statusFor(basic("bob"))) === 403, "what was given to everybody to end", 10_000);
    expect((await gate.json<AccessView>("share", ticks)).grants).toEqual([]);
  });

  test("keep what they were given over a restart, and lose it with the task; a later one of its name has none", async () => {
    await gate.cli("share", name, "--with", "alice");
    const { json } = await redeem(await linkOf());
    await gate.kill("SIGTERM");
    await gate.up();
    expect(await statusFor(basic("alice"))).toBe(200);
    expect(await statusFor(bearer(json.token))).toBe(200);
    await gate.json("restart", name);
    await until(async () => (await statusFor(basic("alice"))) === 200, "the task to be back");
    await gate.cli("rm", name);
    await start(name);
    expect(await statusFor(basic("alice"))).toBe(403);
    expect(await statusFor(bearer(json.token))).toBe(401);
    expect((await gate.json<AccessView>("share", name)).grants).toEqual([]);
  });

  test("that a rule of the configuration names come in, and the owner sees who says so", async () => {
    const ruled = `ruled-${String(count)}`;
    await start(ruled);
    expect(await statusFor(basic("bob"), ruled)).toBe(200);
    const { grants } = await gate.json<AccessView>("share", ruled);
    expect(grants).toEqual([expect.objectContaining({ id: null, source: "rule", to: "corp/bob" })]);
    const refused = await gate.cli("unshare", ruled, "--with", "bob");
    expect([refused.code, refused.stderr]).toEqual([3, expect.stringContaining("given by its rule")]);
  });
});

describe("the command line", () => {
  test("lists, takes back by id, by name and all, and tells the history", async () => {
    const [grant] = await gate.json<GrantCreated[]>("share", name, "--with", "corp/bob", "--service", "web");
    await gate.cli("share", name, "--authenticated", "--with", "group:corp/ml", "--with", "lab/alice");
    const listed = (await gate.cli("share", name)).stdout;
    expect(listed).toMatch(/GRANT +WITH +SERVICE +UNTIL +BY/);
    expect(listed).toContain("web is open to everybody who logged in.");
    expect((await gate.cli("unshare", name, grant?.id ?? "")).stdout).toContain(`corp/bob may use ${name}/web no more`);
    expect((await gate.cli("unshare", name, "--with", "group:ml")).stdout).toContain("group:corp/ml may use");
    const all = await gate.json<{ taken: string[] }>("unshare", name, "--all");
    expect(all.taken).toHaveLength(2);
    const history = (await gate.cli("share", name, "--history")).stdout.trim().split("\n");
    expect(history).toHaveLength(8);
    expect(history[0]).toMatch(/took +(authenticated|lab\/alice)/);
  });

  test.each([
    [["--with", "Corp Realm/x"], 1, /expected a realm/],
    [["--link", "--for", "2h"], 5, /1h \(access\.longestLink\)/],
    [["--for", "2h"], 2, /nobody is named/],
    [["--with", "bob", "--for", "soon"], 2, /is no duration/],
    [["--with", "bob", "--service", "nope"], 3, /no service named nope; it has web/],
  ])("says what is wrong with %j", async (words, code, why) => {
    const ran = await gate.cli("share", name, ...words);
    expect(ran.stderr).toMatch(why);
    expect(ran.code).toBe(code);
  });

  test("knows the task's nearest name, and says what to take back", async () => {
    expect((await gate.cli("share", `${name}x`, "--public")).stderr).toContain(`did you mean ${name}?`);
    const nothing = await gate.cli("unshare", name);
    expect([nothing.code, nothing.stderr]).toEqual([2, expect.stringContaining("--all")]);
    expect((await gate.cli("unshare", name, "--with", "bob")).code).toBe(3);
  });
});

describe("a link", () => {
  test("lets programs in by a token, and is out with all that it opened when it is taken back", async () => {
    const ticks = `ticks-${String(count)}`;
    await gate.json("run", "--name", ticks, "--service", "web=http", "--", process.execPath, "-e", TICKS);
    const [grant] = await gate.json<GrantCreated[]>("share", ticks, "--link");
    const { json } = await redeem(grant?.link ?? "");
    const streams = await Promise.all([
      openStream(ticks, bearer(json.token)),
      openStream(ticks, { "x-taskgate-authorization": `Bearer ${json.token}` }),
    ]);
    expect(await unshare(streams, ticks, "--links")).toBeLessThan(1000);
    expect(await statusFor(bearer(json.token), ticks)).toBe(401);
    expect((await redeem(grant?.link ?? "")).status).toBe(401);
  });

  test("reaches no job, no log and no state folder in the clear", async () => {
    const link = await linkOf();
    const secret = link.slice(-43);
    const { json } = await redeem(link);
    const shown = await gate.ask(`${name}.localhost`, "/", { anonymous: true, headers: bearer(json.token) });
    expect(shown.status).toBe(200);
    expect(shown.body).not.toContain(json.token.slice(-20));
    const { stdout } = await gate.cli("logs", name);
    expect(stdout).not.toContain(secret);
    const found = execFileSync("sh", [
      "-c",
      `grep -rl -e '${secret}' -e '${json.token.slice(-43)}' '${gate.home}' || true`,
    ]);
    expect(found.toString()).toBe("");
  });
});

test("in worker processes, too, what is taken back ends within a second", async () => {
  const config = join(folder, "workers.yaml");
  writeFileSync(config, readFileSync(join(folder, "config.yaml"), "utf8").replace("{", '{"workers":2,'));
  await using crew = await startTestGate({ config });
  const own = gate;
  gate = crew;
  try {
    await gate.json("run", "--name", "ticks", "--service", "web=http", "--", process.execPath, "-e", TICKS);
    const [grant] = await gate.json<GrantCreated[]>("share", "ticks", "--link");
    await gate.cli("share", "ticks", "--with", "bob");
    const { json } = await redeem(grant?.link ?? "");
    const streams = await Promise.all([
      openStream("ticks", basic("bob")),
      openStream("ticks", basic("bob")),
      openStream("ticks", bearer(json.token)),
      openStream("ticks", bearer(json.token)),
    ]);
    expect(await unshare(streams, "ticks", "--all")).toBeLessThan(1000);
    expect([await statusFor(basic("bob"), "ticks"), await statusFor(bearer(json.token), "ticks")]).toEqual([403, 401]);
  } finally {
    gate = own;
  }
});

describe("in a browser", () => {
  async function page(context: BrowserContext, url: string) {
    const opened = await context.newPage();
    await opened.goto(url);
    return opened;
  }

  test("a link opens the service in a private window, and its secret is nowhere after", async () => {
    const link = await linkOf("--service", "web");
    const visitor = await browser.newContext();
    const asked: string[] = [];
    visitor.on("request", (request) => asked.push(`${request.url()} ${request.headers().referer ?? ""}`));
    const opened = await page(visitor, link);
    await opened.getByRole("heading", { name: "Hello from a job" }).waitFor();
    expect(new URL(opened.url()).hostname).toBe(`${name}.localhost`);
    expect(await opened.locator("pre").innerText()).not.toMatch(/referer|taskgate-session|authorization/i);
    const secret = link.slice(-43);
    expect(asked.join("\n")).not.toContain(secret);
    await opened.goBack().catch(() => null);
    expect(opened.url()).not.toContain(secret);
    const deep = await page(visitor, `http://${name}.localhost:${String(gate.file().port)}/deep?q=1`);
    await deep.getByText("GET /deep?q=1").waitFor();
    const other = await page(visitor, gate.file().url);
    await other.getByLabel("Login link or token").waitFor(); // the gate's own page is not theirs
    await gate.cli("unshare", name, "--links");
    await deep.reload();
    await deep.getByLabel("Login link or token").waitFor();
    const again = await page(visitor, link);
    await again.getByText("does not work any more").waitFor();
    await visitor.close();
  });

  test("the owner shares on the task's card: a person, then a link, and takes both back", async () => {
    const owner = await browser.newContext({ permissions: ["clipboard-read", "clipboard-write"] });
    const { url } = await gate.json<{ url: string }>("open", "--print");
    const tasks = await page(owner, url);
    const card = tasks.getByRole("article").filter({ hasText: name });
    await card.getByRole("button", { name: `Share ${name}` }).click();
    const dialog = tasks.getByRole("dialog", { name: `Share ${name}` });
    await dialog.getByLabel("Name").fill("bob");
    await dialog.getByRole("button", { name: "Share", exact: true }).click();
    await dialog.getByText("corp/bob").waitFor();
    expect(await statusFor(basic("bob"))).toBe(200);
    await dialog.getByLabel("Name").fill("no such realm/x");
    await dialog.getByRole("button", { name: "Share", exact: true }).click();
    await dialog.getByRole("alert").filter({ hasText: "expected a realm" }).waitFor();
    await dialog.getByLabel("Who").selectOption("link");
    await dialog.getByRole("button", { name: "Share", exact: true }).click();
    const address = dialog.locator("#share-address");
    await address.filter({ hasText: "#link=g-" }).waitFor();
    const link = await address.innerText();
    await dialog.getByRole("button", { name: "Copy" }).click();
    expect(await tasks.evaluate("navigator.clipboard.readText()")).toBe(link);
    expect((await redeem(link)).status).toBe(200);
    await dialog.getByRole("button", { name: "Close" }).click();
    await card.getByText("shared with 2").waitFor();
    await card.getByRole("button", { name: `Share ${name}` }).click();
    await dialog.getByRole("button", { name: "Remove corp/bob" }).click();
    await dialog.getByRole("button", { name: "Remove Whoever has the link" }).click();
    await dialog.getByText("Nobody else may use it").waitFor();
    expect(await statusFor(basic("bob"))).toBe(403);
    expect((await redeem(link)).status).toBe(401);
    await owner.close();
  });
});
