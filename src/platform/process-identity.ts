import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { readProcStat } from "./proc-stat.ts";

/**
 * When process `pid` started, as the operating system spells it; null if there is none (a zombie counts as none). Pid and start time
 * together name one process: pids are used again. Linux: field 22 of /proc/PID/stat (proc_pid_stat(5)); elsewhere `ps`.
 */
export function processStart(pid: number): string | null {
  return process.platform === "linux" ? (readProcStat(pid)?.start ?? null) : psStart(pid);
}

/** Whether that very process still runs. */
export function isSameProcess(pid: number, start: string): boolean {
  return processStart(pid) === start;
}

function psStart(pid: number): string | null {
  try {
    const [state = "", ...start] = execFileSync("ps", ["-o", "state=,lstart=", "-p", String(pid)], { encoding: "utf8" })
      .trim()
      .split(/\s+/);
    return state === "" || state.startsWith("Z") ? null : start.join(" ");
  } catch {
    return null;
  }
}

/**
 * Names this boot of the machine: start times of processes count from it, so they say nothing across a restart. Empty where the operating
 * system spells start times as dates, which need no such help.
 */
export function bootId(): string {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim();
  } catch {
    return "";
  }
}
