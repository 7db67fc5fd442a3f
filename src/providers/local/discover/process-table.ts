import { readFileSync, readdirSync, readlinkSync } from "node:fs";
import { setImmediate } from "node:timers/promises";
import { readProcStat } from "../../../platform/proc-stat.ts";

/** One process as /proc tells it. */
export interface ProcessEntry {
  readonly pid: number;
  readonly parent: number;
  readonly session: number;
  /** Clock ticks since boot: with the pid it names one process, and the smaller is the older. */
  readonly start: number;
}

/**
 * Reading /proc never waits for a disk, and a promise costs more than the read itself: reads are synchronous, and after this many
 * the event loop gets its turn (about a millisecond).
 */
const READS_PER_TURN = 64;
/** Most file descriptors of one process that are looked at. */
const MAX_DESCRIPTORS = 65_536;

/** Every process of this machine that can be seen; those that end meanwhile are left out. */
export async function readProcesses(): Promise<ReadonlyMap<number, ProcessEntry>> {
  const processes = new Map<number, ProcessEntry>();
  const pids = readdirSync("/proc").filter((name) => name.charCodeAt(0) <= 57 && /^\d+$/.test(name));
  for (const [index, pid] of pids.entries()) {
    if (index % READS_PER_TURN === READS_PER_TURN - 1) await setImmediate();
    const entry = readStat(Number(pid));
    if (entry !== null) processes.set(entry.pid, entry);
  }
  return processes;
}

/** One process; null if it is gone or a zombie. */
export function readStat(pid: number): ProcessEntry | null {
  const stat = readProcStat(pid);
  return stat && { pid, parent: stat.parent, session: stat.session, start: Number(stat.start) };
}

/** argv of a process; empty if it is gone or another user's. */
export function readCommand(pid: number): readonly string[] {
  try {
    const argv = readFileSync(`/proc/${String(pid)}/cmdline`, "utf8").split("\0");
    // Programs that rename themselves leave the rest of their old argv as empty strings.
    while (argv.at(-1) === "") argv.pop();
    return argv;
  } catch {
    return [];
  }
}

/** Inodes of the sockets that a process holds, of those in `wanted`. Empty if it is gone or another user's. */
export async function readSocketInodes(pid: number, wanted: ReadonlySet<string>): Promise<readonly string[]> {
  const folder = `/proc/${String(pid)}/fd`;
  const found: string[] = [];
  let descriptors: string[];
  try {
    descriptors = readdirSync(folder);
  } catch {
    return found; // it ended, or is another user's
  }
  for (const [index, descriptor] of descriptors.slice(0, MAX_DESCRIPTORS).entries()) {
    if (index % (READS_PER_TURN * 4) === READS_PER_TURN * 4 - 1) await setImmediate();
    const inode = socketInode(`${folder}/${descriptor}`);
    if (inode !== null && wanted.has(inode)) found.push(inode);
  }
  return found;
}

function socketInode(path: string): string | null {
  try {
    const target = readlinkSync(path);
    return target.startsWith("socket:[") ? target.slice(8, -1) : null;
  } catch {
    return null; // closed since it was listed
  }
}
