import type { AuditConfig } from "../config/audit-config.ts";
import { type AuditDetail, type AuditSink, GatewayError } from "../model/index.ts";
import type { Clock } from "../platform/clock.ts";
import type { Logger } from "../platform/logger.ts";
import { ownVersion } from "../platform/package-info.ts";
import { prune } from "./audit-files.ts";
import { type AuditFigures, openAuditWriter } from "./audit-writer.ts";
import { type AuditCheck, type AuditFilter, readAudit, verifyAudit } from "./read-audit.ts";

/** The gate's audit log. Disposing says that the gate ends, and writes what waits. */
export interface Audit extends AsyncDisposable {
  readonly sink: AuditSink;
  readonly detail: AuditDetail;
  readonly figures: AuditFigures;
  /** Lines as they are kept, oldest first. Ends by the signal. */
  read(filter: AuditFilter, options: { readonly follow: boolean }, signal: AbortSignal): AsyncGenerator<string>;
  /** Looks at every line that is kept. */
  verify(signal: AbortSignal): Promise<AuditCheck>;
}

export interface AuditDeps {
  readonly config: AuditConfig;
  /** Made where it is not there, for its owner alone. */
  readonly folder: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Throws `unavailable` if the log cannot be opened. */
export async function startAudit(deps: AuditDeps): Promise<Audit> {
  const { config, folder, clock } = deps;
  const logger = deps.logger.child({ component: "audit" });
  const writer = await openAuditWriter({ config, folder, clock, logger }).catch((cause: unknown) => {
    const why = (cause as NodeJS.ErrnoException).code ?? String(cause);
    throw new GatewayError("unavailable", `the audit log in ${folder} cannot be opened (${why})`, { cause });
  });
  await prune(folder, { files: config.files, since: clock.now() - config.keep });
  const own = { kind: "gate", event: "once", outcome: "allowed" } as const;
  writer.record({ ...own, operation: "start", object: ownVersion() });
  return {
    sink: writer,
    detail: { detail: config.detail, visitIdleMs: config.visitIdle, streamMs: config.streamAfter },
    get figures() {
      return writer.figures;
    },
    read: (filter, { follow }, signal) => readAudit({ folder, filter, follow, clock }, signal),
    verify: (signal) => verifyAudit(folder, signal),
    async [Symbol.asyncDispose]() {
      writer.record({ ...own, operation: "stop" });
      await writer[Symbol.asyncDispose]();
    },
  };
}
