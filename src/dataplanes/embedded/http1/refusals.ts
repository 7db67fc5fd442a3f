import type { Clock } from "../../../platform/clock.ts";
import type { Logger } from "../../../platform/logger.ts";

/** Lines at most in each span of time: who sends rubbish must not fill a disk. */
const LINES_MAX = 20;
const SPAN_MS = 10_000;

/** Says in the log what was refused as no valid HTTP/1.1, at a bounded rate. There is nothing to close. */
export class Refusals {
  readonly #logger: Logger;
  readonly #clock: Clock;
  #since = 0;
  #lines = 0;
  #unsaid = 0;

  constructor(logger: Logger, clock: Clock) {
    this.#logger = logger;
    this.#clock = clock;
  }

  request(peer: string, { status, message }: { readonly status: number; readonly message: string }): void {
    if (this.#mayLog()) this.#logger.info({ peer, status, reason: message }, "request refused");
  }

  answer(service: string, reason: string): void {
    if (this.#mayLog()) this.#logger.warn({ service, reason }, "answer of a job refused");
  }

  #mayLog(): boolean {
    const now = this.#clock.now();
    if (now - this.#since >= SPAN_MS) {
      if (this.#unsaid > 0) this.#logger.info({ count: this.#unsaid }, "more was refused than was logged");
      this.#since = now;
      this.#lines = 0;
      this.#unsaid = 0;
    }
    this.#lines += 1;
    if (this.#lines > LINES_MAX) this.#unsaid += 1;
    return this.#lines <= LINES_MAX;
  }
}
