import { accessSync, constants, existsSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { badPath, type Home } from "../../config/home.ts";
import { shellWord } from "../ways-in.ts";
import { fail, ok, warn, type Finding } from "./finding.ts";

/** Permission bits of everybody but the owner. */
const OTHERS = 0o077;

/** The folder and what is secret in it: there for its owner alone, and ours. */
export function checkHome(home: Home): readonly Finding[] {
  const bad = badPath(home);
  if (bad !== null) return [fail("home", bad, "a shorter TASKGATE_HOME")];
  const place = existingFolder(home.directory);
  if (!statSync(place).isDirectory())
    return [fail("home", `${place} is no folder`, "another TASKGATE_HOME, or move it away")];
  if (!isWritable(place))
    return [fail("home", `${place} cannot be written to`, "another TASKGATE_HOME, or chmod u+rwx it")];
  if (place !== home.directory) return [warn("home", `${home.directory} is not there yet`, "taskgate up makes it")];
  const folder = statSync(place);
  return [ownership(home, folder.uid), permission("home", home.directory, folder.mode), ...filePermissions(home)];
}

/** What is there of the path: all of it, or the nearest above it. */
export function existingFolder(path: string): string {
  return existsSync(path) || dirname(path) === path ? path : existingFolder(dirname(path));
}

function isWritable(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK | constants.X_OK);
    return true;
  } catch {
    return false; // no permission, or a file system that is read-only
  }
}

function ownership(home: Home, uid: number): Finding {
  const own = process.getuid?.() ?? uid;
  if (own === uid) return ok("owner", `${home.directory} is yours`);
  return fail(
    "owner",
    `${home.directory} belongs to user ${uid}, and you are ${own}`,
    "a state folder of your own: TASKGATE_HOME",
  );
}

function filePermissions(home: Home): Finding[] {
  return [home.token, home.database, home.gateFile, home.gateLog, home.apiSocket].flatMap((path) => {
    const stat = statSync(path, { throwIfNoEntry: false });
    // A socket is kept by the folder around it: its own bits do not count on every system.
    return stat === undefined || stat.isSocket() ? [] : [permission("permissions", path, stat.mode)];
  });
}

function permission(check: string, path: string, mode: number): Finding {
  const bits = (mode & 0o777).toString(8).padStart(4, "0");
  if ((mode & OTHERS) === 0) return ok(check, `${path} is for you alone (${bits})`);
  return fail(check, `${path} can be read or changed by others (${bits})`, `chmod go-rwx ${shellWord(path)}`);
}
