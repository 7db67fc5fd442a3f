import { GatewayError } from "../../model/index.ts";
import type { Clock } from "../../platform/clock.ts";
import type { Logger } from "../../platform/logger.ts";
import { pause } from "../../platform/pause.ts";
import type { Leadership } from "../leadership.ts";
import type { Store } from "../store.ts";

export interface SoleLeadershipDeps {
  /** Where the last fence of each name is kept. Disposed after all leads. */
  readonly store: Store;
  readonly clock: Clock;
  readonly logger: Logger;
}

const KIND = "fence";

/** The pause before work starts again doubles with each failure in a row; work that held on for the longest pause starts a new row. */
const SHORTEST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 30_000;

/**
 * Leadership of a gate that is the only one on its store: it is elected for every name at once, and stays so. `lead` throws `conflict`
 * for a name that is led here already.
 */
export function startSoleLeadership(deps: SoleLeadershipDeps): Leadership {
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

interface Lead extends SoleLeadershipDeps {
  readonly name: string;
  readonly work: (signal: AbortSignal, fence: number) => Promise<void>;
}

async function leadUntil(signal: AbortSignal, lead: Lead): Promise<void> {
  const { clock, logger, name } = lead;
  let failures = 0;
  while (!signal.aborted) {
    const since = clock.now();
    try {
      const fence = await raiseFence(lead.store, name);
      if (isAborted(signal)) return;
      await lead.work(signal, fence);
      if (isAborted(signal)) return;
      logger.warn({ lead: name, fence }, "led work ended by itself; it starts again");
    } catch (error) {
      if (isAborted(signal)) return;
      logger.error({ err: error, lead: name }, "led work failed; it starts again");
    }
    failures = clock.now() - since >= LONGEST_PAUSE_MS ? 1 : failures + 1;
    await pause(clock, pauseAfter(failures), signal);
  }
}

// A call, for the compiler takes a flag that was false to stay so across an await.
function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}

async function raiseFence(store: Store, name: string): Promise<number> {
  const held = await store.get<number>(KIND, name);
  const fence = (held?.value ?? 0) + 1;
  await store.put(KIND, name, fence, { version: held?.version ?? null });
  return fence;
}

/** Between half and all of the doubled pause, so that what failed together does not start together. */
function pauseAfter(failures: number): number {
  const pauseMs = Math.min(SHORTEST_PAUSE_MS * 2 ** (failures - 1), LONGEST_PAUSE_MS);
  return pauseMs * (0.5 + Math.random() / 2);
}
