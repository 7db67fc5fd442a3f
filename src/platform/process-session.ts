import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { readProcStat } from "./proc-stat.ts";
import { isSameProcess } from "./process-identity.ts";

/** A process of a session that was there when it was looked for. */
export interface SessionMember {
  readonly pid: number;
  /** Its process group. */
  readonly group: number;
  /** As `processStart` spells it. */
  readonly start: string;
}

/**
 * One session (setsid(2)) of processes, all of which may be signalled: a process that a detached child of ours leads, and what it started.
 *
 * Pids are used again, but the kernel gives no pid away while a process, a group or a session bears it. So a session is still the same one
 * as long as at least one process that was known to be in it is there; when none is, it is gone for good and nothing is signalled again.
 * Linux: read from /proc. Elsewhere only the leader's process group is known, by asking whether it can be signalled.
 */
export class ProcessSession {
  readonly id: number;
  #known: readonly SessionMember[];

  /** `members` are trusted to be of this session now: see `sessionOfChild` and `sessionLeftBehind`. */
  constructor(id: number, members: readonly SessionMember[]) {
    this.id = id;
    this.#known = members;
  }

  /** Looks again. Zombies do not count. Empty: the session is gone. */
  members(): readonly SessionMember[] {
    if (this.#known.length === 0) return [];
    const now = scan(this.id);
    const ours = now.some((found) =>
      this.#known.some((known) => known.pid === found.pid && known.start === found.start),
    );
    this.#known = ours ? now : [];
    return this.#known;
  }

  /** Sends to every process group of the session; those that are gone do not mind. */
  signal(signal: NodeJS.Signals): void {
    for (const group of new Set(this.members().map((member) => member.group))) signalGroup(group, signal);
  }
}

/** The session of a child that was spawned `detached`: call it while it runs, or on its `exit` event, before its pid can be used again. */
export function sessionOfChild(pid: number): ProcessSession {
  return new ProcessSession(pid, scan(pid));
}

/**
 * The session that a process led whose parent is gone. It is ours if that very process still leads it; if the leader ended, what is left
 * is ours where it carries `mark` (`NAME=VALUE` pairs) in the environment that it was started with. Otherwise it is an empty session.
 */
export function sessionLeftBehind(
  leader: { readonly pid: number; readonly start: string },
  mark: readonly string[],
): ProcessSession {
  const now = scan(leader.pid);
  const led = isSameProcess(leader.pid, leader.start);
  // A live process of that pid and another start time: the pid was given away, hence the session had ended.
  const reused = !led && now.some((member) => member.pid === leader.pid);
  const ours = led || (!reused && now.some((member) => carries(member.pid, mark)));
  return new ProcessSession(leader.pid, ours ? now : []);
}

/**
 * Ends every process of the session: SIGTERM now, SIGKILL from `deadline()` (epoch ms, asked again and again: it may come nearer) on.
 * Resolves when none is left; what the kernel does not let go (uninterruptible sleep) is waited for until the signal aborts.
 */
export async function endSession(session: ProcessSession, deadline: () => number, signal?: AbortSignal): Promise<void> {
  session.signal("SIGTERM");
  // A stopped process would act on SIGTERM only when somebody continues it.
  session.signal("SIGCONT");
  for (let round = 0; session.members().length > 0; round += 1) {
    if (Date.now() >= deadline()) session.signal("SIGKILL");
    await delay(round < 20 ? 25 : 100, undefined, signal === undefined ? {} : { signal });
  }
}

function signalGroup(group: number, signal: NodeJS.Signals): void {
  // 0 is how a group outside our pid namespace reads, and kill(0) and kill(-1) would hit ourselves and everybody.
  if (group <= 1) return;
  try {
    process.kill(-group, signal);
  } catch (error) {
    // ESRCH: gone meanwhile. EPERM: what is left of it belongs to another user (setuid programs); the loop of `endSession` goes on.
    const code = (error as NodeJS.ErrnoException).code;
    if (code !== "ESRCH" && code !== "EPERM") throw error;
  }
}

function scan(session: number): readonly SessionMember[] {
  return process.platform === "linux" ? scanProc(session) : scanGroup(session);
}

function scanProc(session: number): readonly SessionMember[] {
  const members: SessionMember[] = [];
  for (const entry of readdirSync("/proc")) {
    if (!/^[1-9]/.test(entry)) continue;
    const stat = readProcStat(entry);
    if (stat?.session === session) members.push({ pid: Number(entry), group: stat.group, start: stat.start });
  }
  return members;
}

function scanGroup(group: number): readonly SessionMember[] {
  try {
    process.kill(-group, 0);
    return [{ pid: group, group, start: "" }];
  } catch {
    return [];
  }
}

function carries(pid: number, mark: readonly string[]): boolean {
  try {
    const environment = new Set(readFileSync(`/proc/${String(pid)}/environ`, "utf8").split("\0"));
    return mark.every((pair) => environment.has(pair));
  } catch {
    return false;
  }
}
