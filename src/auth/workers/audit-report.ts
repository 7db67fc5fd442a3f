import type { AuditEntry, AuditSink } from "../../model/index.ts";
import type { Clock } from "../../platform/clock.ts";
import type { ProcessLink } from "../../platform/process-link.ts";
import { AUDITED } from "./messages.ts";

/** Longest that an entry waits in a worker: what its crash can take. */
const GATHER_MS = 200;
/** That may wait; what comes beyond is lost, and counted. */
const MOST_WAITING = 20_000;

/** What a worker records goes to the gate, which keeps the log. Disposing sends what waits. */
export function startAuditReport(link: ProcessLink, clock: Clock): Pick<AuditSink, "record"> & Disposable {
  let entries: AuditEntry[] = [];
  let lost = 0;
  let timer: Disposable | null = null;
  const send = (): void => {
    timer?.[Symbol.dispose]();
    timer = null;
    if (entries.length > 0 || lost > 0) link.tell(AUDITED, { entries, lost });
    entries = [];
    lost = 0;
  };
  return {
    record(entry) {
      if (entries.length < MOST_WAITING) entries.push(entry);
      else lost += 1;
      timer ??= clock.after(GATHER_MS, send);
    },
    [Symbol.dispose]: send,
  };
}
