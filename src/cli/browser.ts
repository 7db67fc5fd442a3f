import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Home } from "../config/home.ts";
import type { Environment } from "./terminal.ts";

/** A page that leads on is needed for as long as a browser takes to start. */
const PAGE_MS = 60_000;
const OPENER_MS = 10_000;

/** What opens a page here; null: nothing can, as over ssh. `BROWSER` names one's own. */
export function findOpener(environment: Environment): string | null {
  const own = environment.BROWSER ?? "";
  if (own !== "") return own;
  if (process.platform === "darwin") return "open";
  const screen = (environment.DISPLAY ?? "") !== "" || (environment.WAYLAND_DISPLAY ?? "") !== "";
  return screen ? "xdg-open" : null;
}

/**
 * Opens a login link. Command lines are read by every user of a machine, so the link goes by a page in the state folder that leads on to
 * it, for its owner alone. Resolves to whether the opener says that it did.
 */
export async function openInBrowser(opener: string, url: string, home: Home): Promise<boolean> {
  clearOldPages(home);
  const page = join(home.directory, `open-${randomUUID()}.html`);
  writeFileSync(page, redirectPage(url), { mode: 0o600, flag: "wx" });
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const child = spawn(opener, [pathToFileURL(page).href], { stdio: "ignore", detached: true });
  child.on("error", () => resolve(false));
  child.on("exit", (code) => resolve(code === 0));
  // Some openers are the browser itself and stay: that is success.
  const timer = setTimeout(() => resolve(true), OPENER_MS);
  const opened = await promise;
  clearTimeout(timer);
  child.unref();
  if (!opened) rmSync(page, { force: true });
  return opened;
}

function redirectPage(url: string): string {
  const escaped = url.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
  return `<!doctype html><meta charset="utf-8"><meta name="referrer" content="no-referrer"><title>taskgate</title>
<meta http-equiv="refresh" content="0;url=${escaped}"><p><a href="${escaped}">Go on</a></p>
`;
}

function clearOldPages(home: Home): void {
  for (const name of readdirSync(home.directory)) {
    if (!/^open-[0-9a-f-]{36}\.html$/.test(name)) continue;
    const path = join(home.directory, name);
    const age = Date.now() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0);
    if (age > PAGE_MS) rmSync(path, { force: true });
  }
}
