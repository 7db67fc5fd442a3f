import type { ClusterPollDeps } from "./cluster-poll.ts";

const COUNTER = "access_logs.grpc_access_log.logs_dropped";

/** Entries of its access log that an Envoy gave up since it started, as the gate took none; 0 where it does not answer. */
export async function untoldEntries(ask: ClusterPollDeps["ask"]): Promise<number> {
  try {
    const { body } = await ask(`/stats?filter=${encodeURIComponent(`^${COUNTER}$`)}`);
    return Number(/: (\d+)/.exec(body)?.[1] ?? 0);
  } catch {
    return 0; // it is being started again: its counters begin anew
  }
}
