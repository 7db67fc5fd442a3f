import type { Clock } from "../../platform/clock.ts";
import type { KubernetesClient } from "../../platform/kubernetes/client.ts";
import { LeaseCandidate } from "../../platform/kubernetes/lease.ts";
import type { OwnerReference } from "../../platform/kubernetes/objects.ts";
import type { Logger } from "../../platform/logger.ts";
import { pause } from "../../platform/pause.ts";
import { createLeadership, type Term } from "../lead-loop.ts";
import type { Leadership } from "../leadership.ts";
import { leaseName } from "./lease-name.ts";

export interface LeaseLeadershipDeps {
  readonly client: KubernetesClient;
  readonly namespace: string;
  /** The store's: fences hold for its writes. */
  readonly name: string;
  /** Unique among all gates, and never used again by a later process. */
  readonly holder: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** How long a leader that says nothing stays in place; whole seconds. */
  readonly durationS: number;
  /** What Leases belong to from when they are made. */
  readonly owner?: OwnerReference | undefined;
  /** Ms on a clock that nobody sets. Default: this process's. */
  readonly elapsed?: () => number;
}

/** Longest time for giving a Lease up; then it ends by itself. */
const RELEASE_MS = 3000;

/**
 * Leadership by a Lease for each name, `NAME-LEAD`. A leader that cannot renew it stops before anybody else may lead, as long as it gets to
 * run: what a paused one writes afterwards is refused by its fence.
 */
export function startLeaseLeadership(deps: LeaseLeadershipDeps): Leadership {
  const { client, namespace, name, holder, clock, logger, durationS, owner } = deps;
  const elapsed = deps.elapsed ?? (() => performance.now());
  let terms = 0;
  return createLeadership({
    clock,
    logger,
    elect(lead, signal) {
      terms += 1;
      // A holder for each term: who took back what it lost by its own clock would go on with the same fence.
      const lease = { client, namespace, name: leaseName(name, lead), holder: `${holder}-${String(terms)}`, durationS };
      const candidate = new LeaseCandidate({ ...lease, owner, now: () => clock.now(), elapsed });
      return elect({ candidate, clock, elapsed, durationMs: durationS * 1000, logger }, signal);
    },
  });
}

interface Election {
  readonly candidate: LeaseCandidate;
  readonly clock: Clock;
  readonly elapsed: () => number;
  readonly durationMs: number;
  readonly logger: Logger;
}

/** How often a Lease is asked for or renewed: each is late in its own way. */
function everyMs({ durationMs }: Election): number {
  return Math.min(2000, durationMs / 6) * (0.8 + Math.random() * 0.4);
}

async function elect(election: Election, signal: AbortSignal): Promise<Term> {
  const { candidate, clock, durationMs, logger } = election;
  let isFailing = false;
  for (;;) {
    signal.throwIfAborted();
    try {
      const attempt = await candidate.attempt(within(durationMs / 2, signal));
      isFailing = false;
      if (attempt.isHeld) return new LeaseTerm(election, attempt);
    } catch (err) {
      signal.throwIfAborted();
      if (!isFailing) logger.warn({ err }, "a lease cannot be asked for; it is tried again");
      isFailing = true;
    }
    await pause(clock, everyMs(election), signal);
  }
}

/** Renews the Lease until disposed. */
class LeaseTerm implements Term {
  readonly fence: number;
  readonly #election: Election;
  readonly #lost = new AbortController();
  readonly #stop = new AbortController();
  readonly #renewing: Promise<void>;
  #end: Disposable;

  constructor(election: Election, { fence, until }: { readonly fence: number; readonly until: number }) {
    this.#election = election;
    this.fence = fence;
    this.#end = this.#endAt(until);
    this.#renewing = this.#renew();
  }

  get signal(): AbortSignal {
    return this.#lost.signal;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#renewing;
    this.#end[Symbol.dispose]();
    try {
      await this.#election.candidate.release(AbortSignal.timeout(RELEASE_MS));
    } catch (err) {
      this.#election.logger.warn({ err }, "a lease could not be given up; it ends by itself");
    }
  }

  async #renew(): Promise<void> {
    const { candidate, clock, durationMs } = this.#election;
    const stopped = AbortSignal.any([this.#stop.signal, this.#lost.signal]);
    while (!stopped.aborted) {
      await pause(clock, everyMs(this.#election), stopped);
      try {
        const attempt = await candidate.attempt(within(durationMs / 2, stopped));
        if (attempt.isHeld && attempt.fence === this.fence) {
          this.#end[Symbol.dispose]();
          this.#end = this.#endAt(attempt.until);
        } else if (attempt.isHeld || attempt.holder !== null) {
          // Without a holder another write of it was faster, such as a try of our own whose answer was lost.
          this.#lost.abort();
        }
      } catch {
        // Its end comes by itself, unless the next try renews it.
      }
    }
  }

  /** Some while before others may take it: timers are late, and work takes time to stop. */
  #endAt(until: number): Disposable {
    const { clock, elapsed, durationMs } = this.#election;
    return clock.after(Math.max(0, until - durationMs / 4 - elapsed()), () => this.#lost.abort());
  }
}

function within(ms: number, signal: AbortSignal): AbortSignal {
  return AbortSignal.any([signal, AbortSignal.timeout(Math.round(ms))]);
}
