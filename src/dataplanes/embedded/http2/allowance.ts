export interface AllowanceRules {
  /** So many may come at once. */
  readonly most: number;
  /** In which time as many are earned again, ms. */
  readonly earnedInMs: number;
  /** Other traffic that earns one; Infinity: none does. */
  readonly earnedByBytes: number;
}

/** How many frames a connection may still send that cost the peer little and make work here. */
export class Allowance {
  readonly #rules: AllowanceRules;
  #left: number;
  #at: number;
  #bytes = 0;

  constructor(rules: AllowanceRules, now: number) {
    this.#rules = rules;
    this.#left = rules.most;
    this.#at = now;
  }

  /** One came; false: it was one too many. `bytes`: all that the connection moved so far, both ways. */
  spend(now: number, bytes: number): boolean {
    const { most, earnedInMs, earnedByBytes } = this.#rules;
    const earned = ((now - this.#at) / earnedInMs) * most + (bytes - this.#bytes) / earnedByBytes;
    this.#at = now;
    this.#bytes = bytes;
    this.#left = Math.min(most, this.#left + Math.max(0, earned)) - 1;
    return this.#left >= 0;
  }
}
