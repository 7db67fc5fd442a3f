import type { AccessLogConfig, RequestIdConfig, TracingConfig } from "../../../config/schema.ts";
import type { Logger } from "../../../platform/logger.ts";
import type { PlaneFigures } from "../../figures.ts";
import { isTracestate, parseTraceparent } from "../../trace-context.ts";
import { type FlowSpan, startTracer, type Tracer } from "../../tracer.ts";
import type { Flow, Observer } from "../traffic.ts";
import { openAccessLog, type AccessLog } from "../../access-log.ts";
import { createRequestIds, parseRequestId } from "./request-id.ts";

/** Plain values: a worker gets them by message. */
export interface ObserveConfig {
  readonly accessLog: AccessLogConfig;
  readonly tracing: TracingConfig;
  readonly requestId: RequestIdConfig;
}

export interface ObservationDeps {
  readonly config: ObserveConfig;
  readonly logger: Logger;
  /** One of the processes that share a log file moves it away when it is full; the others notice. */
  readonly rotatesLog: boolean;
}

/** What tells of each flow: access log, traces, request ids. Disposing writes what is kept back, for as long as that takes no longer than a few seconds. */
export type Observation = Observer & AsyncDisposable;

/** Throws GatewayError `conflict` or `denied` where the log's file cannot be opened. */
export async function startObservation({ config, logger, rotatesLog }: ObservationDeps): Promise<Observation> {
  await using scope = new AsyncDisposableStack();
  const { accessLog, tracing } = config;
  const log =
    accessLog.mode === "off" ? null : scope.use(await openAccessLog(accessLog, { logger, rotates: rotatesLog }));
  const tracer =
    tracing.otlp === undefined ? null : scope.use(await startTracer({ ...tracing, otlp: tracing.otlp }, logger));
  const parts = { log, tracer, keepsIds: config.requestId === "keep", scope: scope.move() };
  return new FlowObservation(parts);
}

interface Parts {
  readonly log: AccessLog | null;
  readonly tracer: Tracer | null;
  /** A visitor's own request id stays. */
  readonly keepsIds: boolean;
  readonly scope: AsyncDisposableStack;
}

class FlowObservation implements Observation {
  readonly #parts: Parts;
  readonly #nextId = createRequestIds();

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  get dropped(): PlaneFigures["dropped"] {
    const { log, tracer } = this.#parts;
    return { logLines: log?.dropped ?? 0, spans: tracer?.dropped ?? 0 };
  }

  requestId({ asked }: Flow): string {
    const own = this.#parts.keepsIds ? parseRequestId(asked?.head.header("x-request-id")) : null;
    return own ?? this.#nextId();
  }

  upstreamFields(flow: Flow): readonly string[] {
    const fields = ["X-Request-Id", flow.requestId];
    const span = this.#spanOf(flow);
    const given = flow.asked?.head.header("traceparent");
    const passed = parseTraceparent(given) === null ? undefined : given;
    const traceparent = span?.traceparent ?? passed;
    if (traceparent !== undefined) fields.push("traceparent", traceparent);
    const state = passed === undefined ? undefined : flow.asked?.head.header("tracestate");
    if (state !== undefined && isTracestate(state)) fields.push("tracestate", state);
    return fields;
  }

  closed(flow: Flow): void {
    const { log, tracer } = this.#parts;
    if (log === null && tracer === null) return;
    const span = this.#spanOf(flow);
    span?.end(flow);
    if (log?.wants(flow) !== true) return;
    log.write(flow, span?.traceId ?? parseTraceparent(flow.asked?.head.header("traceparent"))?.traceId ?? null);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#parts.scope.disposeAsync();
  }

  #spanOf(flow: Flow): FlowSpan | null {
    const { tracer } = this.#parts;
    if (tracer === null || flow.asked === null) return null;
    return (flow.span ??= tracer.start(flow, {
      parent: parseTraceparent(flow.asked.head.header("traceparent")),
      startedAt: Date.now() - (performance.now() - flow.startedAt),
    }));
  }
}
