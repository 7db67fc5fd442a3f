import { Counter, Gauge, Histogram, Registry } from "prom-client";
import type { Built } from "../core/table-state.ts";
import type { PlaneMetrics, TrafficKind } from "../dataplanes/dataplane.ts";

/** Prometheus metrics of one gate. */
export interface Metrics {
  readonly plane: PlaneMetrics;
  /** Does a build; where it gives a table, takes its revision and the time that it took. */
  timed(build: () => Built | null): Built | null;
  /** How much there is. Read when scraped. */
  observe(counts: () => TableCounts): void;
  /** Text exposition format 0.0.4. */
  text(): Promise<string>;
  readonly contentType: string;
}

export interface TableCounts {
  readonly routes: number;
  readonly tasks: number;
  readonly problems: number;
}

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60];
const BUILD_SECONDS = [0.0001, 0.0002, 0.0005, 0.001, 0.005, 0.02, 0.1, 0.5, 2];

/** A registry of its own: several gates in one process do not meet. */
export function createMetrics(): Metrics {
  const registry = new Registry();
  return {
    plane: planeMetrics(registry),
    ...tableMetrics(registry),
    text: () => registry.metrics(),
    contentType: registry.contentType,
  };
}

function planeMetrics(registry: Registry): PlaneMetrics {
  const registers = [registry];
  const open = new Gauge({
    name: "taskgate_open_connections",
    help: "Requests, streams and connections open now.",
    labelNames: ["kind"],
    registers,
  });
  const answers = new Counter({
    name: "taskgate_requests_total",
    help: "Answers, by status, and by whose they were: the job's (app) or the gate's own (gate).",
    labelNames: ["kind", "status", "source"],
    registers,
  });
  const durations = new Histogram({
    name: "taskgate_request_duration_seconds",
    help: "From the head of a request to the end of its answer; of a connection, its life.",
    labelNames: ["kind"],
    buckets: SECONDS,
    registers,
  });
  const bytes = new Counter({
    name: "taskgate_bytes_total",
    help: "Bytes of bodies and connections: in from visitors, out to them.",
    labelNames: ["kind", "direction"],
    registers,
  });
  return {
    opened: (kind: TrafficKind) => open.inc({ kind }),
    closed(kind, seconds, bytesIn, bytesOut) {
      open.dec({ kind });
      durations.observe({ kind }, seconds);
      bytes.inc({ kind, direction: "in" }, bytesIn);
      bytes.inc({ kind, direction: "out" }, bytesOut);
    },
    answered: (kind, status, source) => answers.inc({ kind, status, source }),
  };
}

function tableMetrics(registry: Registry): Pick<Metrics, "timed" | "observe"> {
  const registers = [registry];
  const revision = new Gauge({ name: "taskgate_table_revision", help: "Revision of the route table.", registers });
  const times = new Histogram({
    name: "taskgate_table_build_seconds",
    help: "Time of one build of the route table.",
    buckets: BUILD_SECONDS,
    registers,
  });
  return {
    timed(build) {
      const from = performance.now();
      const built = build();
      if (built === null) return null;
      times.observe((performance.now() - from) / 1000);
      revision.set(built.diff.to.seq);
      return built;
    },
    observe(counts) {
      const size = new Gauge({
        name: "taskgate_table_entries",
        help: "Entries of the route table by what they are.",
        labelNames: ["entry"],
        registers,
        collect() {
          for (const [entry, count] of Object.entries(counts())) size.set({ entry }, count as number);
        },
      });
    },
  };
}
