import { readFileSync } from "node:fs";

/** What /proc/PID/stat says of a process that runs (proc_pid_stat(5)). */
export interface ProcStat {
  readonly parent: number;
  /** Its process group. */
  readonly group: number;
  readonly session: number;
  /** Clock ticks since boot, as spelt there: with the pid it names one process. */
  readonly start: string;
}

/** null: gone, or a zombie, whose files and ports are closed. One that is being killed runs until the last of its threads has ended. Linux only. */
export function readProcStat(pid: number | string): ProcStat | null {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${String(pid)}/stat`, "latin1");
  } catch {
    return null; // it ended, maybe since it was listed
  }
  return parseProcStat(stat);
}

/** Of what that file holds; null as above. */
export function parseProcStat(stat: string): ProcStat | null {
  // The command name, in parentheses, may itself hold spaces and parentheses: fields are counted from the last one.
  const [state, parent, group, session, ...rest] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const start = rest[15]; // field 22
  const threads = Number(rest[13]); // field 20, the first one included
  if ((state === "Z" && threads <= 1) || state === "X" || start === undefined) return null;
  return { parent: Number(parent), group: Number(group), session: Number(session), start };
}
