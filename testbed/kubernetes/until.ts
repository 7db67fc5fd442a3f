import { setTimeout } from "node:timers/promises";

const POLL_MS = 20;

/** Settles once `check` is so. Throws what `why` says where it is not so within the time, and what `check` throws. */
export async function until(
  check: () => Promise<boolean> | boolean,
  withinMs: number,
  why: () => string,
): Promise<void> {
  const deadline = Date.now() + withinMs;
  while (!(await check())) {
    if (Date.now() > deadline) throw new Error(why());
    await setTimeout(POLL_MS);
  }
}
