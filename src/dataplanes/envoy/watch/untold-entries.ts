import { type AskAdmin, readStats } from "../local/ask-admin.ts";

const COUNTER = "access_logs.grpc_access_log.logs_dropped";

/** Entries of its access log that an Envoy gave up since it started, as the gate took none; 0 where it does not answer. */
export async function untoldEntries(ask: AskAdmin): Promise<number> {
  try {
    return (await readStats(ask, `^${COUNTER}$`)).get(COUNTER) ?? 0;
  } catch {
    return 0; // it is being started again: its counters begin anew
  }
}
