import type { AccessLogConfig, TracingConfig } from "../../../config/schema.ts";
import type { Logger } from "../../../platform/logger.ts";
import { openAccessLog } from "../../access-log.ts";
import type { PlaneFigures } from "../../figures.ts";
import { parseTraceparent } from "../../trace-context.ts";
import { startTracer } from "../../tracer.ts";
import type { EnvoyFlow } from "./envoy-flow.ts";

export interface TellerDeps {
  readonly accessLog: AccessLogConfig;
  readonly tracing: TracingConfig;
  readonly logger: Logger;
}

/** Tells of each flow when it is over: a line of the access log, a span. Disposing writes what waits. */
export interface Teller extends AsyncDisposable {
  over(flow: EnvoyFlow): void;
  readonly dropped: PlaneFigures["dropped"];
}

/**
 * Spans follow the visitor's trace; the job was sent that, too, so that its spans stand beside these. Throws GatewayError `bad_request` where
 * the log's file cannot be opened, `unsupported` where OpenTelemetry is not installed.
 */
export async function startTeller({ accessLog, tracing, logger }: TellerDeps): Promise<Teller> {
  await using scope = new AsyncDisposableStack();
  const log = accessLog.mode === "off" ? null : scope.use(await openAccessLog(accessLog, { logger, rotates: true }));
  const { otlp } = tracing;
  const tracer = otlp === undefined ? null : scope.use(await startTracer({ ...tracing, otlp }, logger));
  const end = scope.move();
  /** Id of the trace that it is part of; null: of none. */
  const trace = (flow: EnvoyFlow): string | null => {
    if (flow.head === null) return null;
    const parent = parseTraceparent(flow.head.header("traceparent"));
    if (tracer === null) return parent?.traceId ?? null;
    const span = tracer.start(flow, { parent, startedAt: flow.startedAt });
    span.end(flow);
    return span.traceId;
  };
  return {
    over(flow) {
      if (log === null && tracer === null) return;
      const traceId = trace(flow);
      if (log?.wants(flow) === true) log.write(flow, traceId);
    },
    get dropped() {
      return { logLines: log?.dropped ?? 0, spans: tracer?.dropped ?? 0 };
    },
    [Symbol.asyncDispose]: () => end.disposeAsync(),
  };
}
