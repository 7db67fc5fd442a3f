import { GatewayError, isCode } from "../../model/index.ts";
import type { Clock } from "../../platform/clock.ts";

/** Whether a store's entries were listed once. Disposing ends the wait. */
export interface FirstList extends Disposable {
  /** Rejects with `unavailable`. */
  readonly listed: Promise<void>;
  done(): void;
  /** One try failed. */
  failed(error: Error): void;
}

/** An API server may start together with the gate. */
const START_MS = 30_000;

export function waitForList(clock: Clock): FirstList {
  const { promise, resolve, reject } = Promise.withResolvers<undefined>();
  let last: Error | null = null;
  const fail = (): void => {
    const why = last === null ? "no answer" : last.message;
    reject(
      new GatewayError("unavailable", `the gate's state cannot be read from its cluster: ${why}`, { cause: last }),
    );
  };
  const timer = clock.after(START_MS, fail);
  // Whoever disposes the store before has stopped waiting.
  promise.catch(() => undefined);
  return {
    listed: promise,
    done() {
      timer[Symbol.dispose]();
      resolve(undefined);
    },
    failed(error) {
      last = error;
      // Rights do not come by waiting.
      if (isCode(error, "denied")) fail();
    },
    [Symbol.dispose]() {
      timer[Symbol.dispose]();
      fail();
    },
  };
}
