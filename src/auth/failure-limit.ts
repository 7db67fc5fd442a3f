import { GatewayError } from "../model/index.ts";
import type { Clock } from "../platform/clock.ts";

const WINDOW_MS = 60_000;
const PER_PEER = 10;
const IN_ALL = 300;

/** Bounds how often somebody may try in vain: 10 times a minute each, 300 times a minute all together. */
export interface FailureLimit {
  /** Runs `attempt` and counts it unless it succeeds. Throws `rate_limited` without running it where there were too many. */
  run<T>(peer: string, attempt: () => Promise<T>): Promise<T>;
}

/** Keeps at most 300 peers, for a minute: there is nothing to close. */
export function createFailureLimit(clock: Clock): FailureLimit {
  let endsAt = 0;
  let all = 0;
  let byPeer = new Map<string, number>();

  function count(peer: string, by: 1 | -1): void {
    all += by;
    byPeer.set(peer, (byPeer.get(peer) ?? 0) + by);
  }

  return {
    async run(peer, attempt) {
      if (clock.now() >= endsAt || clock.now() < endsAt - WINDOW_MS) {
        endsAt = clock.now() + WINDOW_MS;
        all = 0;
        byPeer = new Map();
      }
      if (all >= IN_ALL || (byPeer.get(peer) ?? 0) >= PER_PEER) {
        const seconds = String(Math.ceil((endsAt - clock.now()) / 1000));
        throw new GatewayError("rate_limited", `too many failed logins; try again in ${seconds} s`);
      }
      // Counted before its outcome is known: a thousand tries at once are a thousand tries.
      const window = byPeer;
      count(peer, 1);
      const result = await attempt();
      if (window === byPeer) count(peer, -1);
      return result;
    },
  };
}
