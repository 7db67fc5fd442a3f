import { setTimeout as delay } from "node:timers/promises";

/** Resolves after `delayMs`. Throws the signal's reason, by which a Ctrl-C is known, where Node's own delay throws an error of its own. */
export async function pause(delayMs: number, signal: AbortSignal): Promise<void> {
  try {
    await delay(delayMs, undefined, { signal });
  } catch (error) {
    throw signal.aborted ? signal.reason : error;
  }
}
