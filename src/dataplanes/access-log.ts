import type { AccessLogConfig } from "../config/schema.ts";
import type { Logger } from "../platform/logger.ts";
import type { LoggedFlow } from "./describe-flow.ts";
import { openLineWriter, type LineWriter } from "./line-writer.ts";
import { logLine } from "./log-line.ts";

/** One line of JSON for each flow, when it is over. Disposing writes what waits. */
export interface AccessLog extends AsyncDisposable {
  /** Whether this one is among those that are logged. Asked once for each. */
  wants(flow: LoggedFlow): boolean;
  write(flow: LoggedFlow, traceId: string | null): void;
  /** Lines that were given up, so that nobody waited for the disk. */
  readonly dropped: number;
}

export interface AccessLogDeps {
  readonly logger: Logger;
  /** Moves the file away when it is full; exactly one of the processes that write to it does. */
  readonly rotates: boolean;
}

/** Throws GatewayError `denied` or `bad_request` if the file cannot be opened. */
export async function openAccessLog(config: AccessLogConfig, deps: AccessLogDeps): Promise<AccessLog> {
  const { file, bufferBytes, maxBytes, files } = config;
  const rotation = deps.rotates ? { maxBytes, files } : null;
  const writer = await openLineWriter({ file: file ?? null, bufferBytes, rotation, logger: deps.logger });
  return accessLog(config, writer);
}

function accessLog(config: AccessLogConfig, writer: LineWriter): AccessLog {
  const { mode, sample } = config;
  return {
    wants: ({ status }) => mode === "full" || status >= 500 || Math.random() < sample,
    write: (flow, traceId) => writer.write(logLine(flow, traceId, config)),
    get dropped() {
      return writer.dropped;
    },
    [Symbol.asyncDispose]: () => writer[Symbol.asyncDispose](),
  };
}
