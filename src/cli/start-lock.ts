import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Home } from "../config/home.ts";
import { isSameProcess, processStart } from "../platform/process-identity.ts";
import { pause } from "./pause.ts";

const POLL_MS = 50;

/**
 * One call at a time starts a gate for a state folder: several `taskgate run` of one script would else race for its port. The lock names
 * its holder by pid and start time, so one that was killed holds nothing. Throws the signal's reason when it aborts while waiting.
 */
export async function withStartLock<T>(home: Home, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  const path = join(home.directory, "start.lock");
  while (!take(path)) await pause(POLL_MS, signal);
  try {
    return await work();
  } finally {
    rmSync(path, { force: true });
  }
}

/** A link is made at once and with its content, so nobody ever sees a lock without its holder. */
function take(path: string): boolean {
  const mine = `${path}.${process.pid}`;
  writeFileSync(mine, `${process.pid} ${processStart(process.pid) ?? ""}`, { mode: 0o600 });
  try {
    linkSync(mine, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    clearDead(path);
    return false;
  } finally {
    rmSync(mine, { force: true });
  }
}

/** Takes a lock away whose holder is dead, by renaming it, so that of several who try one does. */
function clearDead(path: string): void {
  const aside = `${path}.dead.${process.pid}`;
  try {
    if (isHeld(readFileSync(path, "utf8"))) return;
    renameSync(path, aside);
    // Between the look and the renaming somebody may have cleared it and taken it: theirs goes back.
    if (isHeld(readFileSync(aside, "utf8"))) linkSync(aside, path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "ENOENT" && code !== "EEXIST") throw error; // gone or taken meanwhile: the next round sees
  } finally {
    rmSync(aside, { force: true });
  }
}

function isHeld(lock: string): boolean {
  const [pid = "", ...start] = lock.split(" ");
  return isSameProcess(Number(pid), start.join(" "));
}
