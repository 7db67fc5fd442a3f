import { spawn } from "node:child_process";
import { createHash, randomUUID } from "node:crypto";
import { existsSync, linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { isSameProcess, processStart } from "../../src/platform/process-identity.ts";

/** A virtual environment with what requirements.txt lists. */
export interface PythonEnvironment {
  /** The interpreter. */
  readonly python: string;
  /** Folder of the programs: `jupyter`, `tensorboard`, … */
  readonly bin: string;
}

const REQUIREMENTS = fileURLToPath(new URL("requirements.txt", import.meta.url));
/** Its presence says that the environment beside it is whole. Scripts in it hold its path, so it cannot be built elsewhere and renamed. */
const COMPLETE = ".complete";
const LOCK_POLL_MS = 500;

/**
 * Makes the environment once (about two minutes, told on standard error), in `~/.cache/taskgate` or the folder that TASKGATE_TEST_CACHE
 * names, and finds it there from then on. Processes that ask at once wait for the one that builds. Needs python3 with venv and pip.
 */
export async function pythonEnvironment(): Promise<PythonEnvironment> {
  const set = process.env.TASKGATE_TEST_CACHE;
  const cache = set === undefined || set === "" ? join(homedir(), ".cache", "taskgate") : set;
  const folder = join(cache, `python-${await recipeHash()}`);
  const found = { python: join(folder, "bin", "python"), bin: join(folder, "bin") };
  if (existsSync(join(folder, COMPLETE))) return found;
  mkdirSync(cache, { recursive: true });
  const held = await lock(`${folder}.lock`, () => existsSync(join(folder, COMPLETE)));
  try {
    if (!existsSync(join(folder, COMPLETE))) await build(folder);
  } finally {
    held[Symbol.dispose]();
  }
  return found;
}

async function recipeHash(): Promise<string> {
  const version = await run("python3", ["-c", "import sys; print(sys.version)"]);
  return createHash("sha256").update(version).update(readFileSync(REQUIREMENTS)).digest("hex").slice(0, 12);
}

async function build(folder: string): Promise<void> {
  const started = Date.now();
  say(`installing Python programs for the tests into ${folder} (once, about two minutes) …`);
  rmSync(folder, { recursive: true, force: true });
  await run("python3", ["-m", "venv", folder]);
  const progress = setInterval(() => say(`still installing, ${seconds(started)} …`), 20_000);
  try {
    const options = ["--quiet", "--disable-pip-version-check", "--no-input"];
    await run(join(folder, "bin", "python"), ["-m", "pip", "install", ...options, "-r", REQUIREMENTS]);
  } finally {
    clearInterval(progress);
  }
  writeFileSync(join(folder, COMPLETE), "");
  say(`Python programs are installed, ${seconds(started)}`);
}

function seconds(since: number): string {
  return `${String(Math.round((Date.now() - since) / 1000))} s`;
}

function say(message: string): void {
  process.stderr.write(`${message}\n`);
}

/** Runs to the end; standard output. Throws with the last lines of standard error. */
async function run(program: string, args: readonly string[]): Promise<string> {
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] });
  let [output, errors] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text: string) => (output += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (errors = (errors + text).slice(-4000)));
  const { promise, resolve, reject } = Promise.withResolvers<number | null>();
  child.once("error", reject).once("close", resolve);
  const code = await promise;
  if (code !== 0) throw new Error(`${program} ${args.join(" ")} ended with ${String(code)}:\n${errors}`);
  return output;
}

/** Waits until nobody who still runs holds the lock, or `done`. */
async function lock(path: string, done: () => boolean): Promise<Disposable> {
  const own = `${path}.${randomUUID()}`;
  const content = JSON.stringify({ pid: process.pid, start: processStart(process.pid) });
  writeFileSync(own, content);
  try {
    for (let told = false; !done(); told = true) {
      // A link is made with its content or not at all.
      if (tryLink(own, path)) return { [Symbol.dispose]: () => rmSync(path, { force: true }) };
      if (!told) say("waiting for another process that installs Python programs …");
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
