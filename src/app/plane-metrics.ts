import type { MetricsConfig } from "../config/schema.ts";
import { CLASSES, histogramOf, KINDS, SLOT, SOURCES, sumBlocks, type PlaneFigures } from "../dataplanes/figures.ts";
import { Exposition } from "./exposition.ts";
import type { MetricName } from "./metric-table.ts";

const OTHER = "other";

type Block = readonly number[];

/** A plane's figures as metrics. What there is of services is bounded: it remembers which have series of their own. */
export class PlaneMetrics {
  readonly #config: MetricsConfig;
  /** Those that have their own stay among them for as long as they are there: no series changes what it counts. */
  #named = new Set<string>();

  constructor(config: MetricsConfig) {
    this.#config = config;
  }

  text(figures: PlaneFigures): string {
    const out = new Exposition();
    for (const [answer, count] of figures.answers) {
      const [kind = "", status = "", source = ""] = answer.split(" ");
      out.add("taskgate_requests_total", { kind, status, source }, count);
    }
    for (const [code, count] of figures.refusals) out.add("taskgate_refusals_total", { code }, count);
    for (const [bound, count] of figures.limited) out.add("taskgate_limited_total", { bound }, count);
    for (const [at, kind] of KINDS.entries()) addKind(out, kind, figures.kinds[at] ?? []);
    addUpstreams(out, figures.upstreams);
    if (this.#config.perService)
      for (const [service, block] of this.#services(figures)) addService(out, service, block);
    out.add("taskgate_access_log_dropped_total", {}, figures.dropped.logLines);
    out.add("taskgate_spans_dropped_total", {}, figures.dropped.spans);
    return out.text;
  }

  #services({ services }: PlaneFigures): (readonly [string, Block])[] {
    const there = new Set(services.map(([service]) => service));
    this.#named = this.#named.intersection(there);
    for (const service of there) {
      if (this.#named.size >= this.#config.services) break;
      this.#named.add(service);
    }
    const [own, others] = [
      services.filter(([key]) => this.#named.has(key)),
      services.filter(([key]) => !this.#named.has(key)),
    ];
    return others.length === 0 ? own : [...own, [OTHER, sumBlocks(others.map(([, block]) => block))]];
  }
}

function addKind(out: Exposition, kind: string, block: Block): void {
  const at = (slot: number) => block[slot] ?? 0;
  out.add("taskgate_open_connections", { kind }, at(SLOT.open));
  out.add("taskgate_bytes_total", { kind, direction: "in" }, at(SLOT.bytesIn));
  out.add("taskgate_bytes_total", { kind, direction: "out" }, at(SLOT.bytesOut));
  out.add("taskgate_aborted_total", { kind }, at(SLOT.aborted));
  out.add("taskgate_retries_total", { kind }, at(SLOT.retries));
  out.histogram("taskgate_request_duration_seconds", { kind }, histogramOf(block, SLOT.duration));
  out.histogram("taskgate_first_byte_seconds", { kind }, histogramOf(block, SLOT.firstByte));
}

function addUpstreams(out: Exposition, block: Block): void {
  out.histogram("taskgate_connect_seconds", {}, histogramOf(block, SLOT.connect));
  addFailures(out, "taskgate_connect_failures_total", { labels: {}, block });
}

function addService(out: Exposition, service: string, block: Block): void {
  const at = (slot: number) => block[slot] ?? 0;
  for (const source of SOURCES) {
    for (let index = 0; index < CLASSES; index += 1) {
      const count = at(SLOT[source] + index);
      const labels = { service, class: `${String(index + 1)}xx`, source };
      if (count > 0) out.add("taskgate_service_requests_total", labels, count);
    }
  }
  out.add("taskgate_service_open_connections", { service }, at(SLOT.open));
  out.add("taskgate_service_bytes_total", { service, direction: "in" }, at(SLOT.bytesIn));
  out.add("taskgate_service_bytes_total", { service, direction: "out" }, at(SLOT.bytesOut));
  out.add("taskgate_service_aborted_total", { service }, at(SLOT.aborted));
  out.add("taskgate_service_retries_total", { service }, at(SLOT.retries));
  addFailures(out, "taskgate_service_connect_failures_total", { labels: { service }, block });
  out.histogram("taskgate_service_request_duration_seconds", { service }, histogramOf(block, SLOT.duration));
}

interface Labelled {
  readonly labels: Readonly<Record<string, string>>;
  readonly block: Block;
}

function addFailures(out: Exposition, name: MetricName, { labels, block }: Labelled): void {
  out.add(name, { ...labels, reason: "failed" }, block[SLOT.connectFailed] ?? 0);
  out.add(name, { ...labels, reason: "timeout" }, block[SLOT.connectTimeout] ?? 0);
  out.add(name, { ...labels, reason: "tls" }, block[SLOT.tlsFailed] ?? 0);
}
