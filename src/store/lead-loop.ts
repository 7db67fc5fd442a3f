import { GatewayError } from "../model/index.ts";
import type { Clock } from "../platform/clock.ts";
import type { Logger } from "../platform/logger.ts";
import { pause } from "../platform/pause.ts";
import type { Leadership } from "./leadership.ts";

/** A time of being elected. Disposing gives the place up. */
export interface Term extends AsyncDisposable {
  readonly fence: number;
  /** Aborts when the term ends before it was given up. */
  readonly signal: AbortSignal;
}

export interface LeadLoopDeps {
  /** Waits until this gate is elected for `name`; each term has a higher fence. May throw, above all once `signal` aborts. */
  readonly elect: (name: string, signal: AbortSignal) => Promise<Term>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The pause before work starts again doubles with each failure in a row; work that held on for the longest pause starts a new row. */
const SHORTEST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 30_000;

/** Leadership by a way to elect. `lead` throws `conflict` for a name that is led here already. */
export function createLeadership(deps: LeadLoopDeps): Leadership {
  const led = new Set<string>();
  return {
    lead(name, work) {
      if (led.has(name)) throw new GatewayError("conflict", `${name} is led here already`);
      led.add(name);
      const stop = new AbortController();
      const ended = leadUntil(stop.signal, { ...deps, name, work });
      return {
        async [Symbol.asyncDispose]() {
          stop.abort(new GatewayError("unavailable", `the lead of ${name} was given up`));
          await ended;
          led.delete(name);
        },
      };
    },
  };
}

interface Lead extends LeadLoopDeps {
  readonly name: string;
  readonly work: (signal: AbortSignal, fence: number) => Promise<void>;
}

async function leadUntil(signal: AbortSignal, lead: Lead): Promise<void> {
  const { clock, logger, name } = lead;
  let failures = 0;
  while (!signal.aborted) {
    const since = clock.now();
    let isLost = false;
    try {
      isLost = await leadOnce(signal, lead);
    } catch (error) {
      if (isAborted(signal)) return;
      logger.error({ err: error, lead: name }, "led work failed; it starts again");
    }
    // Somebody else leads now: nothing failed, and the next election waits by itself.
    if (isLost || isAborted(signal)) continue;
    failures = clock.now() - since >= LONGEST_PAUSE_MS ? 1 : failures + 1;
    await pause(clock, pauseAfter(failures), signal);
  }
}

/** Whether the term ended before the work did. */
async function leadOnce(signal: AbortSignal, { elect, logger, name, work }: Lead): Promise<boolean> {
  await using term = await elect(name, signal);
  const { fence } = term;
  if (signal.aborted) return false;
  try {
    await work(AbortSignal.any([signal, term.signal]), fence);
  } catch (error) {
    if (!term.signal.aborted) throw error;
  }
  if (term.signal.aborted) logger.warn({ lead: name, fence }, "another may lead now; led work was ended");
  else if (!isAborted(signal)) logger.warn({ lead: name, fence }, "led work ended by itself; it starts again");
  return term.signal.aborted;
}

// A call, for the compiler takes a flag that was false to stay so across an await.
function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}

/** Between half and all of the doubled pause, so that what failed together does not start together. */
function pauseAfter(failures: number): number {
  const pauseMs = Math.min(SHORTEST_PAUSE_MS * 2 ** (failures - 1), LONGEST_PAUSE_MS);
  return pauseMs * (0.5 + Math.random() / 2);
}
