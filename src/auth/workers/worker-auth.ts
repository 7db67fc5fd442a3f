import {
  type AuditDetail,
  type AuditEntry,
  type AuditSink,
  type Gatekeeper,
  type Principal,
  readHead,
  type Site,
} from "../../model/index.ts";
import type { Notice, ProcessLink } from "../../platform/process-link.ts";
import type { Credentials } from "../credentials.ts";
import type { KeyRing } from "../keys.ts";
import type { LiveDeps } from "../live.ts";
import type { Revocations } from "../revocations.ts";
import type { Usage } from "../usage.ts";
import type { WatchedUse } from "./watched-use.ts";
import { ADMIT, AUDITED, type Grounding, HEARD, KEYS, PROLONG, REVOKED, REVOKED_USER, USED } from "./messages.ts";

/** The gate's half of what decides in worker processes. */
export interface WorkerAuth {
  /**
   * From now on answers this worker's questions and tells it what is revoked. Send the grounding over the same link within this turn of
   * the event loop, so that no revocation comes between. Dispose it when the worker is gone.
   */
  serve(link: ProcessLink): Disposable & { readonly grounding: Grounding };
  /** What all workers were used for, those that are gone included, added to `own`. */
  usage(own: ReadonlyMap<string, Usage>): ReadonlyMap<string, Usage>;
}

/** Longest that a revocation waits for a worker. */
const HEARD_MS = 1000;

export interface WorkerAuthDeps {
  readonly gatekeeper: Gatekeeper;
  readonly credentials: Pick<Credentials, "challenges" | "forms">;
  readonly revocations: Pick<Revocations, "ids" | "observe" | "observeUsers" | "users">;
  readonly keys: Pick<KeyRing, "published" | "observe">;
  readonly owner: Principal;
  readonly site: Site;
  readonly sessionMs: number;
  readonly renewMs: ReadonlyMap<string, number>;
  readonly prolong: LiveDeps["prolong"];
  readonly audit: AuditSink;
  readonly auditDetail: AuditDetail;
  readonly watched: Pick<WatchedUse, "serve">;
}

/** Keeps nothing but memory: there is nothing to close. */
export function createWorkerAuth(deps: WorkerAuthDeps): WorkerAuth {
  const { gatekeeper, prolong, revocations } = deps;
  const gone = new Map<string, Usage>();
  const present = new Set<Map<string, Usage>>();
  return {
    serve(link) {
      const used = new Map<string, Usage>();
      present.add(used);
      link.answer(ADMIT, ({ route, head }, signal) => gatekeeper.admit(route, readHead(head), signal));
      link.answer(PROLONG, ({ session, route }) => prolong(session, route));
      link.hear(AUDITED, ({ entries, lost }) => hearAudit(deps.audit, entries, lost));
      link.hear(USED, (news) => {
        for (const [service, usage] of news) used.set(service, usage);
      });
      const observing = new DisposableStack();
      observing.use(deps.watched.serve(link));
      observing.use(revocations.observe((id) => tellHeard(link, REVOKED, id)));
      observing.use(revocations.observeUsers((user) => tellHeard(link, REVOKED_USER, user)));
      observing.use(deps.keys.observe(() => link.tell(KEYS, [...deps.keys.published])));
      return {
        grounding: groundingOf(deps),
        [Symbol.dispose]() {
          observing[Symbol.dispose]();
          if (!present.delete(used)) return;
          for (const [service, usage] of used) add(gone, service, { ...usage, open: 0 });
        },
      };
    },
    usage(own) {
      const sum = new Map<string, Usage>();
      for (const part of [own, gone, ...present]) for (const [service, usage] of part) add(sum, service, usage);
      return sum;
    },
  };
}

/** Resolves when the worker has heard it, when it is gone, or after a second. */
async function tellHeard<Said>(link: ProcessLink, notice: Notice<Said>, said: Said): Promise<void> {
  link.tell(notice, said);
  try {
    await link.ask(HEARD, null, AbortSignal.timeout(HEARD_MS));
  } catch {
    // It hears it as soon as it listens again, before anything else.
  }
}

function groundingOf({
  auditDetail,
  site,
  owner,
  keys,
  sessionMs,
  renewMs,
  credentials,
  revocations,
}: WorkerAuthDeps): Grounding {
  return {
    ...{ site, owner, sessionMs, renewMs: [...renewMs] },
    keys: [...keys.published],
    challenges: credentials.challenges,
    audit: auditDetail,
    forms: credentials.forms,
    revoked: [...revocations.ids()],
    revokedUsers: [...revocations.users()],
  };
}

function hearAudit(audit: AuditSink, entries: readonly AuditEntry[], lost: number): void {
  for (const entry of entries) audit.record(entry);
  if (lost === 0) return;
  const reason = `${String(lost)} entries of a worker process were lost: too many came at once`;
  audit.record({ kind: "gate", event: "once", outcome: "failed", operation: "lose-entries", reason });
}

function add(sum: Map<string, Usage>, service: string, usage: Usage): void {
  const before = sum.get(service);
  if (before === undefined) sum.set(service, usage);
  else {
    sum.set(service, {
      open: before.open + usage.open,
      bytesIn: before.bytesIn + usage.bytesIn,
      bytesOut: before.bytesOut + usage.bytesOut,
      lastUsed: Math.max(before.lastUsed, usage.lastUsed),
    });
  }
}
