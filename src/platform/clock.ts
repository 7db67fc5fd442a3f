/** Time and delay, injected so that tests own them. */
export interface Clock {
  /** Epoch ms. */
  now(): number;
  /** Calls once after `delayMs`; disposing before that cancels it. Does not keep the process alive. */
  after(delayMs: number, call: () => void): Disposable;
}

/** The machine's own time, which may be set back and forth. */
export const systemClock: Clock = {
  now: () => Date.now(),
  after(delayMs, call) {
    const timer = setTimeout(call, delayMs);
    timer.unref();
    return {
      [Symbol.dispose]() {
        clearTimeout(timer);
      },
    };
  },
};
