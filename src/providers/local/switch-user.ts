import { execFile } from "node:child_process";
import { access, constants } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { GatewayError } from "../../model/index.ts";
import { ownUserName } from "../../platform/own-user.ts";

/** How a command is run as somebody else. */
export interface UserSwitch {
  /** Goes before the command. */
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}

/** The gate's own user runs it. */
export const NOBODY_ELSE: UserSwitch = Object.freeze({ command: [], environment: {} });
const FOLDERS = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];
const run = promisify(execFile);

/**
 * By setpriv(1), which takes the groups of that user and drops ours. Throws `denied` where the gate may not do that, `bad_request` where
 * there is no such user, `unsupported` where the machine has no setpriv.
 */
export async function switchUser(user: string | undefined): Promise<UserSwitch> {
  if (user === undefined || user === ownUserName()) return NOBODY_ELSE;
  if (process.getuid?.() !== 0) {
    throw new GatewayError(
      "denied",
      `The gate runs as ${ownUserName()} and cannot run tasks as ${user}: only a gate that runs as root can.`,
    );
  }
  const setpriv = await find("setpriv");
  const getent = await find("getent");
  if (setpriv === null || getent === null) {
    throw new GatewayError("unsupported", "Running as another user needs setpriv and getent (util-linux, libc-bin).");
  }
  const { name, uid, gid, home, shell } = await lookUp(getent, user);
  return {
    command: [setpriv, `--reuid=${uid}`, `--regid=${gid}`, "--init-groups", "--"],
    environment: { HOME: home, USER: name, LOGNAME: name, SHELL: shell },
  };
}

async function lookUp(
  getent: string,
  user: string,
): Promise<Record<"name" | "uid" | "gid" | "home" | "shell", string>> {
  const line = await run(getent, ["passwd", "--", user]).then(
    ({ stdout }) => stdout.trim(),
    () => "",
  );
  const [name, , uid, gid, , home, shell] = line.split(":");
  // By name alone: getent also takes numbers, and setpriv asks the user database for the groups of the name.
  if (name !== user || uid === undefined || gid === undefined) {
    throw new GatewayError("bad_request", `This machine has no user ${JSON.stringify(user)}.`);
  }
  return { name, uid, gid, home: home ?? "/", shell: shell === undefined || shell === "" ? "/bin/sh" : shell };
}

async function find(program: string): Promise<string | null> {
  for (const folder of FOLDERS) {
    const file = join(folder, program);
    const found = await access(file, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (found) return file;
  }
  return null;
}
