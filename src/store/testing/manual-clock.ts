import type { Clock } from "../../platform/clock.ts";

/** Time that stands still until a test moves it. */
export interface ManualClock extends Clock {
  /** Moves on, and makes the calls that fall due, in order. */
  advance(ms: number): void;
}

export function createManualClock(start: number): ManualClock {
  let now = start;
  const timers = new Set<{ readonly at: number; readonly call: () => void }>();
  const due = (until: number) => [...timers].filter((timer) => timer.at <= until).sort((a, b) => a.at - b.at)[0];
  return {
    now: () => now,
    after(delayMs, call) {
      const timer = { at: now + delayMs, call };
      timers.add(timer);
      return {
        [Symbol.dispose]() {
          timers.delete(timer);
        },
      };
    },
    advance(ms) {
      const until = now + ms;
      for (let timer = due(until); timer !== undefined; timer = due(until)) {
        timers.delete(timer);
        now = Math.max(now, timer.at);
        timer.call();
      }
      now = until;
    },
  };
}
