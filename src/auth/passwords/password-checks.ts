import { GatewayError } from "../../model/index.ts";
import { abortable } from "../answers.ts";

/** Hashes under way at once: half of libuv's threads, so that files and names are still read while many log in. */
const AT_ONCE = 2;
const MAX_WAITING = 100;

/** Runs what is slow and off this thread, a few at a time. */
export interface PasswordChecks {
  /** Throws `unavailable` without running `check` where a hundred wait already, and the signal's reason while it waits. */
  run<T>(check: () => Promise<T>, signal: AbortSignal): Promise<T>;
}

/** There is nothing to close. */
export function createPasswordChecks(): PasswordChecks {
  let running = 0;
  const waiting = new Set<() => void>();

  async function turn(signal: AbortSignal): Promise<void> {
    if (running < AT_ONCE) {
      running += 1;
      return;
    }
    if (waiting.size >= MAX_WAITING)
      throw new GatewayError("unavailable", "too many are logging in at once; try again");
    const { promise, resolve } = Promise.withResolvers<undefined>();
    const called = () => resolve(undefined);
    waiting.add(called);
    try {
      await abortable(promise, signal);
    } catch (error) {
      // Called in the same moment: the turn that it was given is the next one's.
      if (!waiting.delete(called)) pass();
      throw error;
    }
  }

  /** The turn goes over to the next one: it is never free in between. */
  function pass(): void {
    const [next] = waiting;
    if (next === undefined) running -= 1;
    else {
      waiting.delete(next);
      next();
    }
  }

  return {
    async run(check, signal) {
      await turn(signal);
      try {
        return await check();
      } finally {
        pass();
      }
    },
  };
}
