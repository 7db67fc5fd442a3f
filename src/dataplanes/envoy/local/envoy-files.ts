import { createHash } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { GatewayError } from "../../../model/index.ts";
import { replaceFile } from "../../../platform/replace-file.ts";

/** The folder of a local Envoy and what is where in it; for its owner alone. */
export interface EnvoyFiles {
  readonly folder: string;
  /** gRPC of the gate. */
  readonly controlSocket: string;
  /** HTTP of the gate. */
  readonly gateSocket: string;
  /** Envoy's admin. */
  readonly adminSocket: string;
  /** Beginning of the names of the sockets by which processes hand over to each other. */
  readonly restartSocket: string;
  readonly bootstrap: string;
  readonly record: string;
  readonly log: string;
  /** Names the memory that processes hand over by: of this folder alone, so that one gate never meets another one's. */
  readonly baseId: number;
}

/** sun_path of unix(7) holds 108 bytes, the last of them NUL; the longest name there is `hot_udp_parent_` and ten digits. */
const SOCKET_PATH_BYTES = 107;
const LONGEST_NAME = "hot_udp_parent_0123456789".length;
/** Envoy multiplies it by ten and adds the epoch, in 32 bits. */
const BASE_IDS = 0x0fff_ffff;

export function envoyFiles(folder: string): EnvoyFiles {
  return {
    folder,
    controlSocket: join(folder, "xds.sock"),
    gateSocket: join(folder, "gate.sock"),
    adminSocket: join(folder, "admin.sock"),
    restartSocket: join(folder, "hot"),
    bootstrap: join(folder, "bootstrap.json"),
    record: join(folder, "envoy.json"),
    log: join(folder, "envoy.log"),
    baseId: (createHash("sha256").update(folder).digest().readUInt32BE(0) & BASE_IDS) + 1,
  };
}

/** Makes the folder. Throws `bad_request` where its path is too long for sockets in it. */
export function makeEnvoyFolder({ folder }: EnvoyFiles): void {
  const room = SOCKET_PATH_BYTES - LONGEST_NAME - 1;
  if (Buffer.byteLength(folder) > room) {
    const message = `the folder ${folder} has too long a path for the sockets in it: ${String(room)} bytes at most`;
    throw new GatewayError("bad_request", `${message}. Name another state folder: TASKGATE_HOME, or --home`);
  }
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  chmodSync(folder, 0o700);
}

/** Paths in it are the gate's own, and what it may hold one day is nobody else's affair. */
export function writeBootstrap(file: string, bootstrap: object): void {
  replaceFile(file, `${JSON.stringify(bootstrap, null, 2)}\n`);
}

/** What an Envoy that ended leaves behind: sockets, and a piece of shared memory. */
export function removeLeftovers({ folder, baseId }: EnvoyFiles): void {
  if (!existsSync(folder)) return;
  for (const name of readdirSync(folder)) if (name.startsWith("hot_")) rmSync(join(folder, name), { force: true });
  // Linux: shm_open(3) keeps it there.
  rmSync(`/dev/shm/envoy_shared_memory_${String(baseId)}0`, { force: true });
}

/** Moves a log away that has grown large; one older log is kept. True: whoever writes must open it again. */
export function rotateLog(file: string, bytes: number): boolean {
  if ((statSync(file, { throwIfNoEntry: false })?.size ?? 0) < bytes) return false;
  renameSync(file, `${file}.1`);
  writeFileSync(file, "", { mode: 0o600 });
  return true;
}

const LAST_BYTES = 16 * 1024;

/** The last lines that say what went wrong. */
export function lastComplaints(file: string): string {
  const text = readTail(file);
  const lines = text.split("\n").filter((line) => /\]\[(error|critical)\]/.test(line) || /^[a-z]/i.test(line));
  return lines.slice(-3).join("\n").replace(/ +/g, " ");
}

function readTail(file: string): string {
  try {
    return readFileSync(file).subarray(-LAST_BYTES).toString("utf8");
  } catch {
    return "";
  }
}
