import { randomUUID } from "node:crypto";
import { existsSync, linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { isSameProcess, processStart } from "../src/platform/process-identity.ts";
import { say } from "./run-program.ts";

/** Its presence says that the folder is whole. Scripts in it may hold its path, so it cannot be built elsewhere and renamed. */
const COMPLETE = ".complete";
const LOCK_POLL_MS = 500;
const PROGRESS_MS = 20_000;

/**
 * Folder `name` of what tests and benches build once, in `~/.cache/taskgate` or the folder that TASKGATE_TEST_CACHE names. `build` fills
 * the empty folder where it is not there yet; what fails is built anew the next time. Processes that ask at once wait for the one that
 * builds. `what` is told on standard error, and that it goes on. Put versions and recipes into the name.
 */
export async function buildOnce(name: string, what: string, build: (folder: string) => Promise<void>): Promise<string> {
  const folder = join(cacheFolder(), name);
  const complete = (): boolean => isBuilt(name);
  if (complete()) return folder;
  mkdirSync(cacheFolder(), { recursive: true });
  const held = await lock(`${folder}.lock`, what, complete);
  try {
    if (!complete()) await buildNow(folder, what, build);
  } finally {
    held[Symbol.dispose]();
  }
  return folder;
}

/** Whether `buildOnce` has it. */
export function isBuilt(name: string): boolean {
  return existsSync(join(cacheFolder(), name, COMPLETE));
}

/** Where all of it is: in no folder of the project. */
export function cacheFolder(): string {
  const set = process.env.TASKGATE_TEST_CACHE;
  return set === undefined || set === "" ? join(homedir(), ".cache", "taskgate") : set;
}

async function buildNow(folder: string, what: string, build: (folder: string) => Promise<void>): Promise<void> {
  const started = Date.now();
  const took = (): string => `${String(Math.round((Date.now() - started) / 1000))} s`;
  say(`${what}, in ${folder} …`);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  const progress = setInterval(() => say(`${what}: still at it, ${took()} …`), PROGRESS_MS);
  try {
    await build(folder);
  } finally {
    clearInterval(progress);
  }
  writeFileSync(join(folder, COMPLETE), "");
  say(`${what}: done, ${took()}`);
}

/** Waits until nobody who still runs holds the lock, or `done`; telling so. It is held until disposed of, or its process ends. */
export async function lock(path: string, what: string, done: () => boolean): Promise<Disposable> {
  const own = `${path}.${randomUUID()}`;
  const content = JSON.stringify({ pid: process.pid, start: processStart(process.pid) });
  writeFileSync(own, content);
  try {
    for (let told = false; !done(); told = true) {
      // A link is made with its content or not at all.
      if (tryLink(own, path)) return { [Symbol.dispose]: () => rmSync(path, { force: true }) };
      if (!told) say(`${what}: waiting for another process that does it …`);
      if (isHeld(path)) await setTimeout(LOCK_POLL_MS);
      else renameAway(path);
    }
    return { [Symbol.dispose]: () => undefined };
  } finally {
    rmSync(own, { force: true });
  }
}

function tryLink(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EEXIST") return false;
    throw error;
  }
}

function isHeld(path: string): boolean {
  try {
    const { pid, start } = JSON.parse(readFileSync(path, "utf8")) as { readonly pid: number; readonly start: string };
    return isSameProcess(pid, start);
  } catch {
    return existsSync(path); // released since, or not to be understood: then it is somebody's
  }
}

/** Takes a dead process's lock away. */
function renameAway(path: string): void {
  const away = `${path}.${randomUUID()}`;
  try {
    renameSync(path, away);
  } catch {
    return; // another one was faster
  }
  // Between looking and moving, another one may have moved the dead lock and made its own.
  if (isHeld(away)) tryLink(away, path);
  rmSync(away);
}
