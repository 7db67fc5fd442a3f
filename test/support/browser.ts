import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { type Browser, chromium } from "playwright-core";

const CANDIDATES = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/** Quiet and self-contained: no background look-ups. */
const ARGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

export interface BrowserOptions {
  /** Further arguments of the command line. */
  readonly args?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
}

/** A real browser, headless: TASKGATE_TEST_BROWSER, an installed Chromium, or Debian's package where this may install it. Close it. */
export async function startBrowser({ args = [], environment }: BrowserOptions = {}): Promise<Browser> {
  return await chromium.launch({
    ...{ executablePath: findBrowser(), args: [...ARGS, ...args] },
    ...(environment === undefined ? {} : { env: { ...environment } }),
  });
}

function findBrowser(): string {
  const named = process.env.TASKGATE_TEST_BROWSER;
  const found = named ?? CANDIDATES.find((path) => existsSync(path));
  if (found !== undefined) return found;
  if (process.getuid?.() !== 0 || !existsSync("/usr/bin/apt-get")) {
    throw new Error("no Chromium found: install it, or name one by TASKGATE_TEST_BROWSER");
  }
  process.stderr.write("installing Chromium (Debian's package; once, about a minute) …\n");
  const environment = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  execFileSync("apt-get", ["update", "-qq"], { stdio: "ignore", env: environment });
  execFileSync("apt-get", ["install", "-y", "-qq", "--no-install-recommends", "chromium"], {
    stdio: "ignore",
    env: environment,
  });
  return "/usr/bin/chromium";
}
