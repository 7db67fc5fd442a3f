/** As many frames as may come at once are earned again in this time. */
const EARNED_IN_MS = 10_000;
/** Other traffic that earns one: gRPC's clients send a PING with every piece of data to measure the line. */
const EARNED_BY_BYTES = 200;

/**
 * How many PING and SETTINGS frames a connection may still send. Each costs an answer, and nothing else bounds them where the peer reads
 * those (CVE-2019-9512, CVE-2019-9515; nghttp2 bounds only answers that nobody reads).
 */
export class ControlFrames {
  readonly #most: number;
  #left: number;
  #at: number;
  #bytes = 0;

  constructor(most: number, now: number) {
    this.#most = most;
    this.#left = most;
    this.#at = now;
  }

  /** One came; false: it was one too many. `bytes`: all that the connection moved so far, both ways. */
  spend(now: number, bytes: number): boolean {
    const earned = ((now - this.#at) / EARNED_IN_MS) * this.#most + (bytes - this.#bytes) / EARNED_BY_BYTES;
    this.#at = now;
    this.#bytes = bytes;
    this.#left = Math.min(this.#most, this.#left + Math.max(0, earned)) - 1;
    return this.#left >= 0;
  }
}
