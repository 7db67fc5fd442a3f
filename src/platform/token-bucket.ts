import type { Clock } from "./clock.ts";
import { pause } from "./pause.ts";

export interface TokenBucketOptions {
  readonly perSecond: number;
  /** How many at once after a rest. */
  readonly burst: number;
}

/** How often something may be done: in the long run `perSecond`. What is spent beyond what is there is made up for by waiting. */
export class TokenBucket {
  readonly #clock: Clock;
  readonly #options: TokenBucketOptions;
  #tokens: number;
  /** Epoch ms. */
  #asOf: number;

  constructor(clock: Clock, options: TokenBucketOptions) {
    this.#clock = clock;
    this.#options = options;
    this.#tokens = options.burst;
    this.#asOf = clock.now();
  }

  /** Resolves once there is one to spend, or as soon as `signal` aborts: callers look at the signal themselves. */
  async ready(signal: AbortSignal): Promise<void> {
    for (;;) {
      const waitMs = this.#waitMs();
      if (waitMs <= 0 || signal.aborted) return;
      await pause(this.#clock, waitMs, signal);
    }
  }

  spend(count = 1): void {
    this.#fill();
    this.#tokens -= count;
  }

  #waitMs(): number {
    this.#fill();
    return Math.ceil(Math.max(0, ((1 - this.#tokens) * 1000) / this.#options.perSecond));
  }

  #fill(): void {
    const { perSecond, burst } = this.#options;
    const now = this.#clock.now();
    // A clock that was set back tells nothing of how long it was.
    const elapsedMs = Math.max(0, now - this.#asOf);
    this.#tokens = Math.min(burst, this.#tokens + (elapsedMs * perSecond) / 1000);
    this.#asOf = now;
  }
}
