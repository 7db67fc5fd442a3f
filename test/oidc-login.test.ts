import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { CLIENT_ID, CLIENT_SECRET, startTestProvider, type TestProvider } from "../src/auth/testing/oidc-provider.ts";
import { startBrowser } from "./support/browser.ts";
import { ROOT, startTestGate, type TestGate, until } from "./support/gate.ts";

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
  const run = (name: string, access: string) =>
    gate.json("run", "--name", name, "--access", access, "--service", "web=http", "--", process.execPath, hello);
  await run("open-to-all", "authenticated");
  await run("owners-own", "owner");
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
