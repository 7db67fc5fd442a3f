import { join } from "node:path";
import type { Browser, BrowserContext } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { TaskView } from "../src/api/wire.ts";
import { startBrowser } from "./support/browser.ts";
import { ROOT, startTestGate, type TestGate } from "./support/gate.ts";

let gate: TestGate;
let browser: Browser;

beforeAll(async () => {
  gate = await startTestGate();
  const hello = join(ROOT, "examples", "services", "hello.mjs");
  const chat = join(ROOT, "examples", "services", "chat.mjs");
  await gate.json("run", "--name", "hello", "--service", "web=http", "--", process.execPath, hello);
  await gate.json(
    "run",
    "--name",
    "by-path",
    "--path",
    "/tools/hello/",
    "--service",
    "web=http",
    "--",
    process.execPath,
    hello,
  );
  await gate.json("run", "--name", "chat", "--service", "web=http", "--", process.execPath, chat);
  browser = await startBrowser();
});

afterAll(async () => {
  await browser.close();
  await gate[Symbol.asyncDispose]();
});

async function loggedIn(): Promise<BrowserContext> {
  const context = await browser.newContext();
  const page = await context.newPage();
  const { url } = await gate.json<{ url: string }>("open", "--print");
  await page.goto(url);
  await page.getByRole("link", { name: /hello/ }).first().waitFor();
  return context;
}

test("the login link works once, shows what is there, and leaves no code in the address", async () => {
  const context = await browser.newContext();
  const page = await context.newPage();
  const { url } = await gate.json<{ url: string }>("open", "--print");
  await page.goto(url);
  await page.getByRole("link", { name: /hello/ }).first().waitFor();
  expect(page.url()).not.toContain("code=");
  await context.close();

  const stranger = await browser.newContext();
  const again = await stranger.newPage();
  await again.goto(url);
  await again.getByText("taskgate open").first().waitFor(); // says how to get a link that works
  expect(await again.getByRole("link", { name: /hello/ }).count()).toBe(0);
  await stranger.close();
});

test("a deep link to a service's host goes through login and comes back to the same place", async () => {
  const context = await loggedIn();
  const page = await context.newPage();
  const { port } = gate.file();
  await page.goto(`http://hello.localhost:${String(port)}/deep/link?q=1`);
  await page.getByRole("heading", { name: "Hello from a job" }).waitFor();
  expect(page.url()).toBe(`http://hello.localhost:${String(port)}/deep/link?q=1`);
  const shown = await page.locator("pre").innerText();
  expect(shown).toContain("GET /deep/link?q=1");
  expect(shown).not.toMatch(/taskgate-session|authorization/i); // no credential of the gate's reaches the job
  await context.close();
});

test("without login the same deep link shows the login page, and nothing of the job", async () => {
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(`http://hello.localhost:${String(gate.file().port)}/deep/link`);
  expect(new URL(page.url()).hostname).toBe("taskgate.localhost");
  await page.getByText("taskgate open").first().waitFor();
  await context.close();
});

test("path mode works in a browser on a host of its own", async () => {
  const context = await loggedIn();
  const page = await context.newPage();
  await page.goto(`http://paths.localhost:${String(gate.file().port)}/tools/hello/x`);
  await page.getByRole("heading", { name: "Hello from a job" }).waitFor();
  expect(await page.locator("pre").innerText()).toContain("GET /x");
  await context.close();
});

test("a page's own WebSocket passes, and another host's page cannot open it", async () => {
  const context = await loggedIn();
  const page = await context.newPage();
  const { port } = gate.file();
  // chat.mjs answers plain requests with 426; the page below is only an origin to speak from.
  await page.goto(`http://chat.localhost:${String(port)}/`);
  await page.waitForURL(`http://chat.localhost:${String(port)}/`);
  const talk = (url: string): Promise<string> =>
    new Promise((resolve) => {
      const socket = new WebSocket(url);
      socket.onopen = () => socket.send("hi");
      socket.onmessage = (event) => resolve(String(event.data));
      socket.onerror = () => resolve("refused");
    });
  expect(await page.evaluate(talk, `ws://chat.localhost:${String(port)}/`)).toBe("hi");
  await page.goto(`http://hello.localhost:${String(port)}/`);
  await page.getByRole("heading", { name: "Hello from a job" }).waitFor();
  expect(await page.evaluate(talk, `ws://chat.localhost:${String(port)}/`)).toBe("refused");
  await context.close();
});

test("the page of the gate is live: a task that starts and one that goes show without reloading", async () => {
  const context = await loggedIn();
  const [page] = context.pages();
  const hello = join(ROOT, "examples", "services", "hello.mjs");
  await gate.json<TaskView>("run", "--name", "late", "--service", "web=http", "--", process.execPath, hello);
  await page!.getByText("late", { exact: true }).first().waitFor();
  await gate.cli("rm", "late");
  await page!.getByText("late", { exact: true }).first().waitFor({ state: "detached" });
  await context.close();
});

test("a stopped service shows a page that says so, with its last log lines to its owner", async () => {
  const context = await loggedIn();
  const script = 'console.log("last words"); process.exit(3)';
  await gate.cli("run", "--name", "gone", "--no-wait", "--service", "web=http", "--", process.execPath, "-e", script);
  const page = await context.newPage();
  await expect
    .poll(
      async () => {
        await page.goto(`http://gone.localhost:${String(gate.file().port)}/`);
        return await page.innerText("body");
      },
      { timeout: 30_000 },
    )
    .toMatch(/gone has crashed[\s\S]*Exited with code 3[\s\S]*last words/);
  await context.close();
});

const at = (name: string, path = "/") => `http://${name}.localhost:${String(gate.file().port)}${path}`;

test("logging out ends what the login opened, in every tab", async () => {
  const context = await loggedIn();
  const tab = await context.newPage();
  await tab.goto(at("hello"));
  await tab.getByRole("heading", { name: "Hello from a job" }).waitFor();
  const page = await context.newPage();
  await page.goto(at("taskgate", "/.taskgate/"));
  await page.getByRole("button", { name: "Log out" }).click();
  await page.getByLabel("Login link or token").waitFor();
  expect(await tab.evaluate(async () => (await fetch("/")).status)).toBe(401);
  await tab.reload();
  await tab.getByLabel("Login link or token").waitFor();
  expect(new URL(tab.url()).hostname).toBe("taskgate.localhost");
  await context.close();
});

test("a session that ends under an open page: its scripts are told so, and reloading goes on by the login to the same place", async () => {
  const context = await loggedIn();
  const page = await context.newPage();
  await page.goto(at("hello", "/deep?q=2"));
  await page.getByRole("heading", { name: "Hello from a job" }).waitFor();
  const sessions = await gate.json<{ id: string; host: string }[]>("sessions", "list");
  for (const { id, host } of sessions) if (host === "hello.localhost") await gate.cli("sessions", "end", id);
  const told = await page.evaluate(async () => {
    const answer = await fetch("/data", { redirect: "manual" });
    return [answer.status, answer.headers.get("x-taskgate-error"), answer.type];
  });
  expect(told).toEqual([401, "unauthenticated", "basic"]);
  await page.reload();
  await page.getByText("GET /deep?q=2").waitFor();
  expect(page.url()).toBe(at("hello", "/deep?q=2"));
  await context.close();
});

/** In a page: shows another one in itself. */
const FRAME = `(url) => new Promise((resolve) => {
  const frame = document.createElement("iframe");
  frame.src = url;
  frame.onload = () => resolve(null);
  document.body.append(frame);
})`;
/** In a page: sets cookies of the gate's names in all ways that a script can. */
const TOSS = `(port) => {
  for (const name of ["session", "state", "other"])
    for (const more of ["", "; domain=localhost", "; domain=hello.localhost", "; path=/deep"])
      document.cookie = "taskgate-" + name + "-" + port + "=tossed" + more;
}`;

test("a hostile job's page reads nothing of its siblings or of the gate, frames none, and keeps nobody out by cookies", async () => {
  const context = await loggedIn();
  const page = await context.newPage();
  for (const name of ["chat", "hello"]) {
    await page.goto(at(name));
    await page.waitForURL(at(name)); // the way through the login ends with a page that leads on
  }
  await page.getByRole("heading", { name: "Hello from a job" }).waitFor();
  const reads = (url: string): Promise<string> =>
    fetch(url, { credentials: "include" }).then(
      async (answer) => `${String(answer.status)} ${await answer.text()}`,
      () => "refused",
    );
  for (const url of [at("chat"), at("taskgate", "/.taskgate/api/v1/tasks"), at("taskgate", "/.taskgate/")])
    expect(await page.evaluate(reads, url), url).toBe("refused");
  await page.evaluate(`(${FRAME})(${JSON.stringify(at("taskgate", "/.taskgate/login"))})`);
  await page.evaluate(`(${TOSS})(${String(gate.file().port)})`);
  expect(page.frames()).toHaveLength(2);
  expect(page.frames().map((frame) => frame.url())).not.toContain(at("taskgate", "/.taskgate/login"));
  const seen = await page.evaluate("document.cookie");
  expect(seen).toContain("tossed");
  expect(seen).not.toContain("eyJ"); // no script sees the session
  for (const name of ["hello", "chat"]) {
    const answer = await page.goto(at(name, "/deep"));
    expect([200, 426], name).toContain(answer?.status());
  }
  await context.close();
});
