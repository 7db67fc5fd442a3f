import { GatewayError, isCode } from "../model/index.ts";
import { clientKey } from "../platform/client-key.ts";
import type { Clock } from "../platform/clock.ts";
import { Lru } from "./lru.ts";

/** Failures at once, and how long it takes to be forgiven one: of an address for all accounts together, and for one account. */
interface Bounds {
  readonly peer: { readonly burst: number; readonly everyMs: number };
  readonly pair: { readonly burst: number; readonly everyMs: number };
}

/** Of what can be guessed. */
const GUESSABLE: Bounds = { peer: { burst: 20, everyMs: 6_000 }, pair: { burst: 5, everyMs: 12_000 } };
/** Of what cannot: it is only that somebody stops asking. Programs go on with a token that has ended. */
const UNGUESSABLE: Bounds = { peer: { burst: 200, everyMs: 300 }, pair: { burst: 100, everyMs: 600 } };
const MAX_KEPT = 20_000;

/** One who tries to log in. */
export interface Attempt {
  /** Name of the way of logging in, for figures: `basic`, `link`, `tokens`. */
  readonly method: string;
  /** Address of who connected; never what X-Forwarded-For says. */
  readonly peer: string;
  /** What is tried: a user's name, a token's id. Absent: the secret alone says whose it is. */
  readonly account?: string;
}

export interface LoginFailures {
  readonly failed: number;
  /** Answered `rate_limited`, without a look at what was shown or after it. */
  readonly limited: number;
}

/**
 * Bounds how often somebody may try in vain what can be guessed: an address (of IPv6: a /64) 20 times at once and ten times a minute from
 * then on, for one account five times and five times a minute. What cannot be guessed is counted apart, 200 and 100 times. An address from
 * which an account was logged in to is bound by its own failures at that account alone, so that nobody is locked out by what strangers try,
 * neither from elsewhere nor from behind the same address.
 */
export interface LoginLimit {
  /**
   * For what can be guessed. Runs `attempt` unless there were too many failures, which throws `rate_limited`. Counts what it throws as a
   * failure, but for `unavailable`.
   */
  run<T>(by: Attempt, attempt: () => Promise<T>): Promise<T>;
  /**
   * For secrets of 128 bits and more, which nobody guesses: always runs `attempt`, so that who shows the right one comes in whatever
   * others tried. A failure becomes `rate_limited` where there were too many.
   */
  count<T>(by: Attempt, attempt: () => Promise<T>): Promise<T>;
  /** Since the start, by method. */
  failures(): ReadonlyMap<string, LoginFailures>;
}

/** Keeps at most 20,000 addresses and as many pairs of account and address. There is nothing to close. */
export function createLoginLimit(clock: Clock): LoginLimit {
  return new Limit(clock);
}

class Limit implements LoginLimit {
  readonly #guessable: Tally;
  readonly #unguessable: Tally;
  readonly #failures = new Map<string, { failed: number; limited: number }>();

  constructor(clock: Clock) {
    this.#guessable = new Tally(clock, GUESSABLE);
    this.#unguessable = new Tally(clock, UNGUESSABLE);
  }

  async run<T>(by: Attempt, attempt: () => Promise<T>): Promise<T> {
    const waitMs = this.#guessable.waitMs(by);
    if (waitMs > 0) throw this.#tooMany(by, waitMs);
    return this.#judge(by, this.#guessable, attempt);
  }

  async count<T>(by: Attempt, attempt: () => Promise<T>): Promise<T> {
    const waitMs = this.#unguessable.waitMs(by);
    try {
      return await this.#judge(by, this.#unguessable, attempt);
    } catch (error) {
      throw waitMs > 0 && isCode(error, "unauthenticated") ? this.#tooMany(by, waitMs) : error;
    }
  }

  failures(): ReadonlyMap<string, LoginFailures> {
    return this.#failures;
  }

  async #judge<T>(by: Attempt, tally: Tally, attempt: () => Promise<T>): Promise<T> {
    // Taken before the outcome is known: a thousand tries at once are a thousand tries.
    tally.take(by);
    try {
      const result = await attempt();
      tally.giveBack(by);
      tally.wasRight(by);
      return result;
    } catch (error) {
      if (isCode(error, "unavailable")) tally.giveBack(by);
      else this.#figures(by).failed += 1;
      throw error;
    }
  }

  #tooMany(by: Attempt, waitMs: number): GatewayError {
    this.#figures(by).limited += 1;
    const retryAfterS = Math.max(1, Math.ceil(waitMs / 1000));
    return new GatewayError("rate_limited", `too many failed logins; try again in ${String(retryAfterS)} s`, {
      retryAfterS,
    });
  }

  #figures({ method }: Attempt): { failed: number; limited: number } {
    const figures = this.#failures.get(method) ?? { failed: 0, limited: 0 };
    this.#failures.set(method, figures);
    return figures;
  }
}

/** Failures of one kind. */
class Tally {
  readonly #peers: Buckets;
  readonly #pairs: Buckets;
  /** Pairs of account and address that were right once. */
  readonly #known = new Lru<true>(MAX_KEPT);

  constructor(clock: Clock, { peer, pair }: Bounds) {
    this.#peers = new Buckets(clock, peer);
    this.#pairs = new Buckets(clock, pair);
  }

  waitMs(by: Attempt): number {
    const pair = pairOf(by);
    const ofPair = pair === null ? 0 : this.#pairs.waitMs(pair);
    if (pair !== null && this.#known.get(pair) === true) return ofPair;
    return Math.max(ofPair, this.#peers.waitMs(clientKey(by.peer)));
  }

  take(by: Attempt): void {
    const pair = pairOf(by);
    this.#peers.take(clientKey(by.peer));
    if (pair !== null) this.#pairs.take(pair);
  }

  giveBack(by: Attempt): void {
    const pair = pairOf(by);
    this.#peers.giveBack(clientKey(by.peer));
    if (pair !== null) this.#pairs.giveBack(pair);
  }

  wasRight(by: Attempt): void {
    const pair = pairOf(by);
    if (pair !== null) this.#known.set(pair, true);
  }
}

/** Longest part of an account's name that is told apart: strangers make them up. */
const ACCOUNT_LENGTH = 256;

/** null: no account was named. */
function pairOf({ method, account, peer }: Attempt): string | null {
  return account === undefined ? null : JSON.stringify([method, account.slice(0, ACCOUNT_LENGTH), clientKey(peer)]);
}

/** Token buckets by key, each kept as the time at which it will be full again (the generic cell rate algorithm). */
class Buckets {
  readonly #clock: Clock;
  readonly #burst: number;
  readonly #everyMs: number;
  readonly #fullAt = new Lru<number>(MAX_KEPT);

  constructor(clock: Clock, { burst, everyMs }: { readonly burst: number; readonly everyMs: number }) {
    this.#clock = clock;
    this.#burst = burst;
    this.#everyMs = everyMs;
  }

  /** Ms until there is one to take; 0: there is. */
  waitMs(key: string): number {
    return Math.max(0, this.#fullIn(key) - (this.#burst - 1) * this.#everyMs);
  }

  /** What is taken beyond the burst is not held against anybody: nobody waits for more than one to come back. */
  take(key: string): void {
    const fullIn = Math.min(this.#fullIn(key) + this.#everyMs, this.#burst * this.#everyMs);
    this.#fullAt.set(key, this.#clock.now() + fullIn);
  }

  giveBack(key: string): void {
    this.#fullAt.set(key, this.#clock.now() + Math.max(0, this.#fullIn(key) - this.#everyMs));
  }

  /** A clock that was set back makes nobody wait for longer than a whole burst takes. */
  #fullIn(key: string): number {
    const left = (this.#fullAt.get(key) ?? 0) - this.#clock.now();
    return Math.min(Math.max(0, left), this.#burst * this.#everyMs);
  }
}
