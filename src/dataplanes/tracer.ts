import { setTimeout as sleep } from "node:timers/promises";
import type * as Api from "@opentelemetry/api";
import type { ReadableSpan, SpanExporter, SpanProcessor } from "@opentelemetry/sdk-trace-base";
import type { TracingConfig } from "../config/schema.ts";
import { GatewayError } from "../model/index.ts";
import { ownVersion } from "../platform/package-info.ts";
import type { Logger } from "../platform/logger.ts";
import type { LoggedFlow } from "./describe-flow.ts";
import { spanAttributes, spanName } from "./span-attributes.ts";
import { formatTraceparent, type TraceParent } from "./trace-context.ts";

/** A flow's part of a trace. */
export interface FlowSpan {
  readonly traceId: string;
  /** What the job is told: it continues the trace from here. */
  readonly traceparent: string;
  end(flow: LoggedFlow): void;
}

export interface SpanStart {
  readonly parent: TraceParent | null;
  /** Epoch ms. */
  readonly startedAt: number;
}

/** Makes one server span of each request and sends them off. Disposing sends what waits, for as long as `LAST_MS`. */
export interface Tracer extends AsyncDisposable {
  /** Its part of the trace that `parent` is of, or of a new one. Whether it is kept is decided now; an id it has in any case. */
  start(flow: Pick<LoggedFlow, "kind">, from: SpanStart): FlowSpan;
  /** Spans that could not be sent, or came faster than they were. */
  readonly dropped: number;
}

export type TracerConfig = TracingConfig & { readonly otlp: string };

const MOST_WAITING = 4096;
const EXPORT_MS = 5000;
/** How long the gate's end waits for the last spans. */
const LAST_MS = 2000;

/** Loads OpenTelemetry, which nothing else does: about 16 MB. Throws GatewayError `unsupported` where it is not installed. */
export async function startTracer(config: TracerConfig, logger: Logger): Promise<Tracer> {
  const { api, sdk, otlp, resources } = await load();
  const exporter = new CountingExporter(
    new otlp.OTLPTraceExporter({ url: config.otlp, timeoutMillis: EXPORT_MS }),
    logger,
  );
  const batches = new sdk.BatchSpanProcessor(exporter, { maxQueueSize: MOST_WAITING, exportTimeoutMillis: EXPORT_MS });
  const root = new sdk.TraceIdRatioBasedSampler(config.sample);
  const provider = new sdk.BasicTracerProvider({
    resource: resources.resourceFromAttributes({
      "service.name": config.serviceName,
      "service.version": ownVersion(),
      "process.pid": process.pid,
    }),
    sampler: config.followParent ? new sdk.ParentBasedSampler({ root }) : root,
    spanProcessors: [boundedProcessor(batches, exporter)],
  });
  const tracer = provider.getTracer("taskgate", ownVersion());
  return {
    start: ({ kind }, from) => startSpan(api, tracer, { kind, ...from }),
    get dropped() {
      return exporter.dropped;
    },
    async [Symbol.asyncDispose]() {
      await Promise.race([provider.shutdown().catch(() => undefined), sleep(LAST_MS, undefined, { ref: false })]);
      exporter.giveUp();
    },
  };
}

async function load() {
  try {
    const [api, sdk, otlp, resources] = await Promise.all([
      import("@opentelemetry/api"),
      import("@opentelemetry/sdk-trace-base"),
      import("@opentelemetry/exporter-trace-otlp-http"),
      import("@opentelemetry/resources"),
    ]);
    return { api, sdk, otlp, resources };
  } catch (cause) {
    const message =
      "tracing.otlp needs the packages @opentelemetry/*, which are not installed: npm install --include=optional.";
    throw new GatewayError("unsupported", message, { cause });
  }
}

interface Started extends SpanStart {
  readonly kind: LoggedFlow["kind"];
}

function startSpan(api: typeof Api, tracer: Api.Tracer, { kind, parent, startedAt: startTime }: Started): FlowSpan {
  const context =
    parent === null
      ? api.ROOT_CONTEXT
      : api.trace.setSpanContext(api.ROOT_CONTEXT, {
          traceId: parent.traceId,
          spanId: parent.spanId,
          traceFlags: parent.flags & 1,
          isRemote: true,
        });
  const span = tracer.startSpan(kind, { kind: api.SpanKind.SERVER, startTime }, context);
  const { traceId, spanId, traceFlags } = span.spanContext();
  return {
    traceId,
    traceparent: formatTraceparent({ traceId, spanId, flags: traceFlags }),
    end(ended) {
      if (!span.isRecording()) return;
      span.updateName(spanName(ended));
      span.setAttributes(spanAttributes(ended));
      if (ended.status >= 500 || (ended.aborted && ended.status === 0))
        span.setStatus({ code: api.SpanStatusCode.ERROR });
      span.end(startTime + ended.closedAt - ended.startedAt);
    },
  };
}

/** Sends, and counts what could not be: the SDK itself says so to nobody. A collector that is away is news once, not with each batch. */
class CountingExporter implements SpanExporter {
  /** Given up. */
  dropped = 0;
  /** Handed over, and neither sent nor given up yet. */
  waiting = 0;
  readonly #exporter: SpanExporter;
  readonly #logger: Logger;
  #failing = false;
  #over = false;

  constructor(exporter: SpanExporter, logger: Logger) {
    this.#exporter = exporter;
    this.#logger = logger;
  }

  export(spans: ReadableSpan[], done: Parameters<SpanExporter["export"]>[1]): void {
    this.#exporter.export(spans, (result) => {
      if (!this.#over) this.#settle(spans.length, result.error ?? null);
      done(result);
    });
  }

  /** Nothing is sent any more. */
  giveUp(): void {
    this.#over = true;
    this.dropped += this.waiting;
    this.waiting = 0;
  }

  #settle(count: number, err: Error | null): void {
    this.waiting -= count;
    if (err !== null) this.dropped += count;
    if (err !== null && !this.#failing) this.#logger.warn({ err }, "spans cannot be sent and are dropped");
    if (err === null && this.#failing) this.#logger.info({}, "spans are sent again");
    this.#failing = err !== null;
  }

  shutdown(): Promise<void> {
    return this.#exporter.shutdown();
  }

  forceFlush(): Promise<void> {
    return this.#exporter.forceFlush?.() ?? Promise.resolve();
  }
}

/** The SDK bounds what waits and forgets the rest without a count. */
function boundedProcessor(inner: SpanProcessor, exporter: CountingExporter): SpanProcessor {
  return {
    onStart: () => undefined,
    onEnd(span) {
      if ((span.spanContext().traceFlags & 1) === 0) return;
      if (exporter.waiting >= MOST_WAITING) {
        exporter.dropped += 1;
        return;
      }
      exporter.waiting += 1;
      inner.onEnd(span);
    },
    forceFlush: () => inner.forceFlush(),
    shutdown: () => inner.shutdown(),
  };
}
