import type { RestartPolicy } from "../../../model/index.ts";

const FIRST_MS = 250;
const LONGEST_MS = 30_000;
/** A process that ran this long was well: what follows counts from the start again. */
const GOOD_MS = 60_000;

/** Whether the policy wants another process. A process that could not be started, or was killed, failed. */
export function wantsRestart(policy: RestartPolicy, exitCode: number | null): boolean {
  return policy === "always" || (policy === "on-failure" && exitCode !== 0);
}

/** How many restarts in a row count, after one more of a process that ran for `ranMs`. */
export function nextAttempt(attempt: number, ranMs: number): number {
  return ranMs >= GOOD_MS ? 1 : attempt + 1;
}

/** 250 ms doubled with every attempt (from 1) to at most 30 s, less up to a quarter by `random` (0 to 1), so that not all come at once. */
export function restartDelay(attempt: number, random: number): number {
  const full = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(attempt - 1, 20));
  return Math.round(full * (1 - random / 4));
}
