import type { Clock } from "../../platform/clock.ts";
import type { Logger } from "../../platform/logger.ts";
import { createLeadership } from "../lead-loop.ts";
import type { Leadership } from "../leadership.ts";
import type { Store } from "../store.ts";

export interface SoleLeadershipDeps {
  /** Where the last fence of each name is kept. Disposed after all leads. */
  readonly store: Store;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Kind of the entries that have the last fence of each name. */
export const FENCES = "fence";

/**
 * Leadership of a gate that is the only one on its store: it is elected for every name at once, and stays so. `lead` throws `conflict`
 * for a name that is led here already.
 */
export function startSoleLeadership({ store, clock, logger }: SoleLeadershipDeps): Leadership {
  const signal = new AbortController().signal;
  const elect = async (name: string) => ({
    fence: await raiseFence(store, name),
    signal,
    [Symbol.asyncDispose]: () => Promise.resolve(),
  });
  return createLeadership({ elect, clock, logger });
}

async function raiseFence(store: Store, name: string): Promise<number> {
  const held = await store.get<number>(FENCES, name);
  const fence = (held?.value ?? 0) + 1;
  await store.put(FENCES, name, fence, { version: held?.version ?? null });
  return fence;
}
