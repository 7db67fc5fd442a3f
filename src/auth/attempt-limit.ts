import { GatewayError } from "../model/index.ts";
import { clientKey } from "../platform/client-key.ts";
import type { Clock } from "../platform/clock.ts";
import { Lru } from "./lru.ts";

const WINDOW_MS = 60_000;
const MAX_KEPT = 20_000;

/** Bounds how often anybody may begin something that the gate then keeps for a while. */
export interface AttemptLimit {
  /** Counts one. Throws `rate_limited` where there were too many within a minute, from this address (of IPv6: its /64) or in all. */
  take(peer: string): void;
}

/** Keeps at most 20,000 addresses. There is nothing to close. */
export function createAttemptLimit(
  clock: Clock,
  most: { readonly perPeer: number; readonly inAll: number },
): AttemptLimit {
  let endsAt = 0;
  let all = 0;
  const byPeer = new Lru<number>(MAX_KEPT);
  return {
    take(peer) {
      const now = clock.now();
      if (now >= endsAt || now < endsAt - WINDOW_MS) {
        endsAt = now + WINDOW_MS;
        all = 0;
        byPeer.clear();
      }
      const key = clientKey(peer);
      const mine = byPeer.get(key) ?? 0;
      if (all >= most.inAll || mine >= most.perPeer) {
        const retryAfterS = Math.max(1, Math.ceil((endsAt - now) / 1000));
        const message = `too many logins were begun; try again in ${String(retryAfterS)} s`;
        throw new GatewayError("rate_limited", message, { retryAfterS });
      }
      all += 1;
      byPeer.set(key, mine + 1);
    },
  };
}
