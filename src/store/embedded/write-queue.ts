import { GatewayError } from "../../model/index.ts";
import type { Clock } from "../../platform/clock.ts";
import type { Logger } from "../../platform/logger.ts";
import type { Entry } from "../entry.ts";
import type { Entries } from "./entries.ts";

export interface WriteQueueDeps {
  readonly entries: Entries;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly translate: (error: unknown) => GatewayError;
  /** Called after each commit with what it changed, in order. */
  readonly committed: (entries: readonly Entry[]) => void;
}

/** Writes of one turn of the event loop share a transaction, and so one wait for the disk. Entries expire here, too. */
export interface WriteQueue extends Disposable {
  /**
   * `perform` runs within the transaction: it looks first and writes then, so that a GatewayError of it leaves nothing behind. Resolves
   * when the write is on the disk.
   */
  add(perform: (now: number) => Entry): Promise<Entry>;
  /** Does now what is queued or expired. Never throws: who wrote is told by their promise. */
  flush(): void;
}

interface Write {
  readonly perform: (now: number) => Entry;
  readonly resolve: (entry: Entry) => void;
  readonly reject: (error: GatewayError) => void;
}

/** Timers of more than 2^31-1 ms (24.8 days) fire at once in Node. */
const LONGEST_SLEEP_MS = 86_400_000;

/** Pause before expiry is tried again on a disk that refused it. */
const RETRY_MS = 5_000;

/** Sleeps until the first `flush`. Disposing does what is queued; add nothing after it. */
export function createWriteQueue(deps: WriteQueueDeps): WriteQueue {
  const { entries, clock, logger } = deps;
  let queue: Write[] = [];
  let timer: Disposable | null = null;
  let disposed = false;

  const sleep = (delayMs: number): void => {
    timer?.[Symbol.dispose]();
    timer = clock.after(Math.min(Math.max(delayMs, 0), LONGEST_SLEEP_MS), flush);
  };
  const commit = (writes: readonly Write[]): void => {
    const now = clock.now();
    const { expired, outcomes } = entries.transaction(() => ({
      expired: entries.expire(now),
      outcomes: writes.map((write) => attempt(write, now)),
    }));
    deps.committed([...expired, ...outcomes.flatMap((outcome) => (outcome instanceof GatewayError ? [] : [outcome]))]);
    writes.forEach((write, index) => {
      const outcome = outcomes[index];
      if (outcome instanceof GatewayError) write.reject(outcome);
      else if (outcome !== undefined) write.resolve(outcome);
    });
  };
  function flush(): void {
    if (disposed) return;
    const writes = queue;
    queue = [];
    try {
      commit(writes);
      const next = entries.nextExpiry();
      sleep(next === null ? LONGEST_SLEEP_MS : next - clock.now());
    } catch (error) {
      logger.error({ err: error, writes: writes.length }, "the store could not write");
      const failure = deps.translate(error);
      for (const write of writes) write.reject(failure);
      sleep(RETRY_MS);
    }
  }

  return {
    add: (perform) =>
      new Promise((resolve, reject) => {
        if (queue.push({ perform, resolve, reject }) === 1) setImmediate(flush);
      }),
    flush,
    [Symbol.dispose]() {
      flush();
      disposed = true;
      timer?.[Symbol.dispose]();
    },
  };
}

function attempt(write: Write, now: number): Entry | GatewayError {
  try {
    return write.perform(now);
  } catch (error) {
    if (error instanceof GatewayError) return error;
    throw error;
  }
}
