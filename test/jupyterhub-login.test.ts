import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { freePorts, HUB_PASSWORD, startTestHub, type TestHub } from "../testbed/jupyterhub.ts";
import { startBrowser } from "./support/browser.ts";
import { type Answer, ROOT, startTestGate, type TestGate, until } from "./support/gate.ts";

const folder = mkdtempSync(join(tmpdir(), "taskgate-hub-login-"));
const hello = join(ROOT, "examples", "services", "hello.mjs");

let hub: TestHub;
let gate: TestGate;

/** A gate with the hub as a way to log in, and a job that anybody with a login may use. */
async function startGateFor(port: number, secret: string, more = ""): Promise<TestGate> {
  const config = join(folder, `${randomBytes(4).toString("hex")}.yaml`);
  const secretFile = `${config}.secret`;
  writeFileSync(secretFile, `${secret}\n`, { mode: 0o600 });
  writeFileSync(
    config,
    `${more}
login:
  methods:
    - type: jupyterhub
      name: hub
      label: The hub
      url: http://127.0.0.1:${String(port)}/hub/
      clientSecretFile: ${secretFile}
      admins: true
      cache: 1s
      recheck: 1s
      patience: 2s
`,
  );
  const started = await startTestGate({ config });
  const service = ["--service", "web=http", "--", process.execPath, hello];
  await started.json("run", "--name", "hello", "--access", "authenticated", ...service);
  return started;
}

beforeAll(async () => {
  const [port = 0] = await freePorts(1);
  const serviceToken = randomBytes(16).toString("hex");
  gate = await startGateFor(port, serviceToken);
  hub = await startTestHub({
    ...{ users: ["alice", "bob", "eve"], admins: ["root"], groups: { ml: ["alice"] }, permitted: ["alice", "bob"] },
    ...{ port, serviceToken, redirectUri: `${gate.file().url}/.taskgate/login/hub/callback` },
  });
}, 600_000);

afterAll(async () => {
  await hub[Symbol.asyncDispose]();
  await gate[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

/** What the job says reached it. */
function asked(headers: Readonly<Record<string, string>>, of = gate): Promise<Answer> {
  return of.ask("hello.localhost", "/", { anonymous: true, headers: { accept: "application/json", ...headers } });
}

const reached = (answer: Answer) =>
  (JSON.parse(answer.body) as { readonly headers: Readonly<Record<string, string>> }).headers;

const whoAmI = async (authorization: string) => {
  const answer = await gate.ask("taskgate.localhost", "/.taskgate/api/v1/login", {
    anonymous: true,
    headers: { authorization },
  });
  return answer.status === 200 ? (JSON.parse(answer.body) as unknown) : answer.status;
};

describe("a program with a token of a real JupyterHub", () => {
  test("is let in under each scheme, and the job sees nothing of the token", async () => {
    const { token } = await hub.mint("alice");
    for (const scheme of ["jupyterhub", "token", "Bearer"]) {
      const answer = await asked({ authorization: `${scheme} ${token}` });
      expect(answer.status, answer.body).toBe(200);
      expect(answer.body).not.toContain(token);
      expect(reached(answer)).not.toHaveProperty("authorization");
    }
  });

  test("may keep Authorization for the app, whose own token passes to the letter", async () => {
    const { token } = await hub.mint("alice");
    const own = `token ${randomBytes(24).toString("hex")}`; // as a notebook server makes them
    const answer = await asked({ "x-taskgate-authorization": `jupyterhub ${token}`, authorization: own });
    expect(answer.status, answer.body).toBe(200);
    expect(answer.body).not.toContain(token);
    expect(reached(answer)).toMatchObject({ authorization: own });
    expect(reached(answer)).not.toHaveProperty("x-taskgate-authorization");
  });

  test("is who the hub says, an administrator if the hub has one", async () => {
    const [alice, root] = await Promise.all([hub.mint("alice"), hub.mint("root")]);
    expect(await whoAmI(`jupyterhub ${alice.token}`)).toMatchObject({ realm: "hub", name: "alice", admin: false });
    expect(await whoAmI(`jupyterhub ${root.token}`)).toMatchObject({ realm: "hub", name: "root", admin: true });
  });

  test("gets 401 for a token that is wrong, expired or revoked, or whose user may not use the gate", async () => {
    const [short, revoked, eve] = await Promise.all([
      hub.mint("alice", { expiresIn: 1 }),
      hub.mint("alice"),
      hub.mint("eve"),
    ]);
    expect((await asked({ authorization: `token ${revoked.token}` })).status).toBe(200);
    await hub.revoke("alice", revoked.id);
    await until(async () => (await asked({ authorization: `token ${revoked.token}` })).status === 401, "the end of a revoked token"); // prettier-ignore
    await until(async () => (await asked({ authorization: `token ${short.token}` })).status === 401, "a token to expire"); // prettier-ignore
    for (const token of [randomBytes(16).toString("hex"), eve.token]) {
      const answer = await asked({ authorization: `token ${token}` });
      expect(answer.status).toBe(401);
      expect(answer.headers["x-taskgate-error"]).toBe("unauthenticated");
      expect(answer.body).not.toContain(token);
    }
  });

  test("is asked about once while the answer is fresh, however many requests come", async () => {
    const { token } = await hub.mint("bob");
    const questions = () => hub.logged().split("\n").filter((line) => line.includes("GET /hub/api/user (bob@")).length; // prettier-ignore
    const before = questions();
    const answers = await Promise.all(Array.from({ length: 30 }, () => asked({ authorization: `token ${token}` })));
    expect(answers.map((answer) => answer.status)).toEqual(answers.map(() => 200));
    expect(questions() - before).toBeLessThanOrEqual(2);
  });

  test("gets 503 while the hub is slow or gone, never a yes and never a no, and is let in when it is back", async () => {
    const { token } = await hub.mint("alice");
    const status = async (of: string) => (await asked({ authorization: `token ${of}` })).status;
    const wrong = randomBytes(16).toString("hex");
    hub.freeze();
    expect([await status(token), await status(wrong)]).toEqual([503, 503]);
    hub.thaw();
    await until(async () => (await status(token)) === 200, "the hub to answer again");
    await hub.kill();
    await until(async () => (await status(token)) === 503, "the kept answer to be old");
    expect(await status(wrong)).toBe(503);
    await hub.start();
    expect([await status(token), await status(wrong)]).toEqual([200, 401]);
  });

  test("leaves no token in the gate's log", async () => {
    const { token } = await hub.mint("alice");
    await asked({ authorization: `token ${token}` });
    await asked({ authorization: `jupyterhub ${token}, jupyterhub ${token}` });
    expect(readFileSync(join(gate.home, "gate.log"), "utf8")).not.toContain(token);
  });
});

test("workers keep a hub's token from jobs as the gate itself does", async () => {
  const { token } = await hub.mint("alice");
  const [, port = "0"] = /:(\d+)\//.exec(hub.url) ?? [];
  await using workers = await startGateFor(Number(port), "unused", "workers: 2");
  for (const authorization of [`token ${token}`, `token ${token}`, `jupyterhub ${token}`]) {
    const answer = await asked({ authorization }, workers);
    expect(answer.status, answer.body).toBe(200);
    expect(answer.body).not.toContain(token);
  }
  expect((await asked({ authorization: `token ${randomBytes(16).toString("hex")}` }, workers)).status).toBe(401);
});

describe("a person at a browser", () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await startBrowser();
  });
  afterAll(() => browser.close());

  const at = (path = "/") => `http://hello.localhost:${String(gate.file().port)}${path}`;

  /** From the gate's login page through the hub's. */
  async function logIn(page: Page, name: string): Promise<void> {
    await page.getByRole("button", { name: "Log in with The hub" }).click();
    await page.locator("#username_input").fill(name);
    await page.locator("#password_input").fill(HUB_PASSWORD);
    await page.locator("#login_submit").click();
  }

  async function someone(name: string, path?: string): Promise<Page> {
    const page = await (await browser.newContext()).newPage();
    await page.goto(at(path));
    await logIn(page, name);
    return page;
  }

  test("gets from a deep link through the hub's login back to the same place", async () => {
    const page = await someone("alice", "/deep/link?q=1");
    await page.getByRole("heading", { name: "Hello from a job" }).waitFor();
    expect(page.url()).toBe(at("/deep/link?q=1"));
    expect(await page.locator("pre").innerText()).not.toMatch(/taskgate-session|jupyterhub-session|^authorization/im);
    await page.context().close();
  });

  test("goes on without another word while they are logged in at the hub, and is told apart from others", async () => {
    const page = await someone("bob");
    await page.getByRole("heading", { name: "Hello from a job" }).waitFor();
    await page.context().clearCookies({ domain: /localhost$/ });
    await page.evaluate(() => localStorage.clear());
    await page.goto(at("/again"));
    const button = page.getByRole("button", { name: "Log in with The hub" });
    await Promise.race([button.waitFor(), page.getByRole("heading", { name: "Hello from a job" }).waitFor()]);
    if (await button.isVisible()) await button.click();
    await page.getByRole("heading", { name: "Hello from a job" }).waitFor();
    expect(await page.locator("pre").innerText()).toMatch(/x-taskgate-user: hub\/bob/i);
    await page.context().close();
  });

  test("does not get in where the hub does not let them use the gate", async () => {
    const page = await someone("eve");
    await page
      .getByText(/permission/i)
      .first()
      .waitFor();
    expect(new URL(page.url()).hostname).toBe("127.0.0.1");
    await page.context().close();
  });

  test("is logged out here when they log out there", async () => {
    const page = await someone("alice");
    await page.getByRole("heading", { name: "Hello from a job" }).waitFor();
    await page.goto(`${hub.url}/logout`);
    await until(async () => {
      await page.goto(`http://taskgate.localhost:${String(gate.file().port)}/.taskgate/`);
      const asked = page.getByRole("button", { name: "Log in with The hub" }).waitFor({ timeout: 2000 });
      return asked.then(() => true).catch(() => false);
    }, "the end of the login");
    await page.context().close();
  });
});
