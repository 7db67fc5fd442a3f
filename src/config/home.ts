import { mkdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { homedir, userInfo } from "node:os";
import { isAbsolute, join, resolve } from "node:path";
import { GatewayError } from "../model/index.ts";
import { replaceFile } from "../platform/replace-file.ts";

/** The state folder and what is where in it. Everything in it is for its owner alone. */
export interface Home {
  readonly directory: string;
  readonly database: string;
  /** The command line's token, 0600. */
  readonly token: string;
  /** Key, 0600, of what is kept encrypted in the database. */
  readonly sealingKey: string;
  /** Says that a gate runs, and where. */
  readonly gateFile: string;
  /** Where the API listens; the data plane leads to it. */
  readonly apiSocket: string;
  /** Log of a gate that was started in the background. */
  readonly gateLog: string;
  /** Folder of the authority that `listen.tls.local` makes. */
  readonly authority: string;
  /** Folder of the command line's logins to gates elsewhere. */
  readonly remotes: string;
  /** One folder per local task. */
  readonly tasks: string;
  /** Files of the audit log. */
  readonly audit: string;
  /** Folder of the gate's own Envoy. */
  readonly envoy: string;
  /** Folder of sockets that lead to pods. Short: so are paths of sockets. */
  readonly forwards: string;
}

/** `TASKGATE_HOME`, else `~/.taskgate`; absolute. Nothing is made. Throws `bad_request` for a user without a folder. */
export function homeAt(environment: Readonly<Record<string, string | undefined>>): Home {
  const set = environment.TASKGATE_HOME;
  const directory = set === undefined || set === "" ? join(userFolder(), ".taskgate") : resolve(set);
  return {
    directory,
    database: join(directory, "gate.db"),
    token: join(directory, "token"),
    sealingKey: join(directory, "sealing.key"),
    gateFile: join(directory, "gate.json"),
    apiSocket: join(directory, "api.sock"),
    gateLog: join(directory, "gate.log"),
    authority: join(directory, "authority"),
    remotes: join(directory, "remotes"),
    tasks: join(directory, "tasks"),
    audit: join(directory, "audit"),
    envoy: join(directory, "envoy"),
    forwards: join(directory, "fw"),
  };
}

/** An empty HOME, or one that is no whole path, is none: secrets would land in whatever folder somebody stands in. */
function userFolder(): string {
  try {
    const named = homedir();
    const folder = isAbsolute(named) ? named : userInfo().homedir;
    if (isAbsolute(folder)) return folder;
  } catch {
    // uv_os_homedir: the user is on no list of users.
  }
  throw new GatewayError("bad_request", "this user has no home folder. Name a state folder: TASKGATE_HOME, or --home");
}

/** sun_path of unix(7) holds 108 bytes on Linux and 104 on macOS, the last of them NUL. */
const SOCKET_PATH_BYTES = 103;

/** Why the folder's path cannot be used, whatever is there; null: it can. */
export function badPath(home: Home): string | null {
  if (Buffer.byteLength(home.apiSocket) <= SOCKET_PATH_BYTES) return null;
  const room = SOCKET_PATH_BYTES - Buffer.byteLength(home.apiSocket) + Buffer.byteLength(home.directory);
  return `the state folder ${home.directory} has too long a path for the sockets in it: ${String(room)} bytes at most`;
}

/** Permission bits: group and everybody may write. */
const OTHERS_WRITE = 0o022;

/**
 * Makes the folder (0700) and the one for tasks. Throws `denied` where it cannot, and where the folder is there and somebody else has a
 * hand in it; `bad_request` for a path that cannot be used.
 */
export function makeHome(home: Home): void {
  const bad = badPath(home);
  if (bad !== null) throw new GatewayError("bad_request", `${bad}. ${OTHER_HOME}`);
  makeFolder(home.directory);
  const { uid, mode } = statSync(home.directory);
  if (uid !== (process.getuid?.() ?? uid)) {
    throw new GatewayError(
      "denied",
      `the state folder ${home.directory} belongs to another user; name one of your own`,
    );
  }
  // What others may write, they may replace: the token that the command line shows, the socket that requests are sent to.
  if ((mode & OTHERS_WRITE) !== 0) {
    throw new GatewayError("denied", `others may write to the state folder ${home.directory}: chmod go-w it`);
  }
  makeFolder(home.tasks);
}

const OTHER_HOME = "Name another one: TASKGATE_HOME, or --home";

function makeFolder(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (cause) {
    const { code = "error" } = cause as NodeJS.ErrnoException;
    throw new GatewayError("denied", `cannot make the folder ${path} (${code}). ${OTHER_HOME}`, { cause });
  }
}

/** What a running gate says of itself to the command line. */
export interface GateFile {
  readonly pid: number;
  /** Of the process, as the operating system tells it: pid and start time together name one process. */
  readonly processStart: string;
  readonly version: string;
  /** `http://taskgate.localhost:7080`. */
  readonly url: string;
  readonly gateHost: string;
  readonly domain: string;
  readonly secure: boolean;
  /** Absolute: the chain that it serves, or its own authority, by which the command line knows it. Absent where it serves plain HTTP. */
  readonly certificateFile?: string;
  /** Where its API is, as nothing of its own listens for visitors: Envoys elsewhere do. Absent: at the address. */
  readonly apiSocket?: string;
  /** IP address that it listens on; `dialOf` makes of it what to dial. */
  readonly address: string;
  readonly port: number;
  readonly adminAddress: string | null;
  /** What moves its bytes, where that is not the gate itself. */
  readonly dataPlane?: string;
  /** How long what is open gets when it is stopped. */
  readonly drainMs?: number;
}

/** By hand and not by a schema: every call of the command line reads it, and loading the schemas' library is half of such a call. */
const GATE_FILE_TYPES = {
  pid: ["number"],
  processStart: ["string"],
  version: ["string"],
  url: ["string"],
  gateHost: ["string"],
  domain: ["string"],
  secure: ["boolean"],
  certificateFile: ["string", "undefined"],
  apiSocket: ["string", "undefined"],
  address: ["string"],
  port: ["number"],
  adminAddress: ["string", "object"],
  dataPlane: ["string", "undefined"],
  drainMs: ["number", "undefined"],
} as const satisfies Record<keyof GateFile, readonly string[]>;

/** null: none there, or not readable as one. What a newer gate says beside is no reason to see no gate. */
export function readGateFile(home: Home): GateFile | null {
  let fields: Partial<Record<string, unknown>> | null;
  try {
    fields = JSON.parse(readFileSync(home.gateFile, "utf8")) as typeof fields;
  } catch {
    return null;
  }
  if (typeof fields !== "object" || fields === null) return null;
  const fits = Object.entries<readonly string[]>(GATE_FILE_TYPES).every(([name, types]) =>
    types.includes(typeof fields[name]),
  );
  return fits ? (fields as unknown as GateFile) : null;
}

export function writeGateFile(home: Home, gate: GateFile): void {
  replaceFile(home.gateFile, `${JSON.stringify(gate)}\n`);
}

export function removeGateFile(home: Home): void {
  rmSync(home.gateFile, { force: true });
}
