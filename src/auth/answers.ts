import { GatewayError } from "../model/index.ts";
import type { Clock } from "../platform/clock.ts";
import { Lru } from "./lru.ts";

/** Waits for `promise` no longer than until `signal` aborts; throws the signal's reason then. */
export async function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const abort = (): void => aborted.reject(signal.reason);
  if (signal.aborted) abort();
  else signal.addEventListener("abort", abort, { once: true });
  try {
    return await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

export interface AnswersOptions<T> {
  readonly clock: Clock;
  /** Who is asked, for messages: `authority ytsaurus`. */
  readonly of: string;
  /** How long an answer is kept. 0: each is for who asked alone, and not for who asks the same meanwhile. */
  readonly keepMs: number;
  /** Longest time to wait for one. */
  readonly timeMs: number;
  /** Answers kept at once. */
  readonly max: number;
  /** Epoch ms from which on an answer is not good any more, where it says so itself. */
  readonly goodUntil?: (answer: T) => number;
}

/** Answers of somebody slow, kept for a short time. Failures are never kept, and never turned into an answer. */
export interface Answers<T> {
  /** undefined: not known just now. */
  peek(key: string): T | undefined;
  /** Asks once for all who want it at the same time, where answers are kept. Throws what `fetch` throws, `unavailable` after `timeMs`, and the signal's reason. */
  ask(key: string, fetch: (signal: AbortSignal) => Promise<T>, signal: AbortSignal): Promise<T>;
  /** Makes all answers void, those under way included: they still reach who waits for them, but are not kept. */
  forget(): void;
}

/** Keeps nothing but memory: there is nothing to close. */
export function createAnswers<T>(options: AnswersOptions<T>): Answers<T> {
  const { clock } = options;
  const known = new Lru<{ readonly answer: T; readonly until: number }>(options.max);
  const underWay = new Map<string, Promise<T>>();
  let era = 0;

  async function bounded(fetch: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const limit = new AbortController();
    const timer = clock.after(options.timeMs, () =>
      limit.abort(new GatewayError("unavailable", `${options.of} does not answer`)),
    );
    try {
      return await abortable(fetch(limit.signal), limit.signal);
    } finally {
      timer[Symbol.dispose]();
    }
  }

  function start(key: string, fetch: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const born = era;
    const asked = bounded(fetch).then((answer) => {
      const until = Math.min(clock.now() + options.keepMs, options.goodUntil?.(answer) ?? Infinity);
      if (born === era) known.set(key, { answer, until });
      return answer;
    });
    underWay.set(key, asked);
    const done = (): void => {
      if (underWay.get(key) === asked) underWay.delete(key);
    };
    asked.then(done, done);
    return asked;
  }

  const answers: Answers<T> = {
    peek(key) {
      const found = known.get(key);
      if (found === undefined) return undefined;
      if (clock.now() < found.until) return found.answer;
      known.delete(key);
      return undefined;
    },
    async ask(key, fetch, signal) {
      signal.throwIfAborted();
      if (options.keepMs === 0) return abortable(bounded(fetch), signal);
      const found = answers.peek(key);
      if (found !== undefined) return found;
      return abortable(underWay.get(key) ?? start(key, fetch), signal);
    },
    forget() {
      era += 1;
      known.clear();
      underWay.clear();
    },
  };
  return answers;
}
