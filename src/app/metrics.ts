import { Gauge, Histogram, Registry } from "prom-client";
import type { MetricsConfig } from "../config/schema.ts";
import type { AuditFigures } from "../audit/audit-writer.ts";
import type { LoginLimit } from "../auth/login-limit.ts";
import type { Built } from "../core/table-state.ts";
import type { DataPlane } from "../dataplanes/dataplane.ts";
import { Exposition } from "./exposition.ts";
import { type GateFigures, gateText, ProcessMetrics } from "./gate-metrics.ts";
import { METRICS } from "./metric-table.ts";
import { PlaneMetrics } from "./plane-metrics.ts";

/** Prometheus metrics of one gate. Disposing ends what they measure by themselves. */
export interface Metrics extends Disposable {
  /** Does a build; where it gives a table, takes its revision and the time that it took. */
  timed(build: () => Built | null): Built | null;
  /** How much there is. Read when scraped. */
  observe(counts: () => TableCounts): void;
  /** Whose figures are told, and how the gate itself is. Read when scraped. */
  observeRunning(plane: Pick<DataPlane, "figures">, gate: () => GateFigures): void;
  /** Whose figures are told. Read when scraped. */
  observeAccess(access: AccessFigures): void;
  /** Text exposition format 0.0.4. */
  text(): Promise<string>;
  readonly contentType: string;
}

/** What is told of who came in, and who tried. */
export interface AccessFigures {
  readonly audit: { readonly figures: AuditFigures };
  readonly logins: Pick<LoginLimit, "failures">;
}

export interface TableCounts {
  readonly routes: number;
  readonly tasks: number;
  readonly problems: number;
}

const BUILD_SECONDS = [0.0001, 0.0002, 0.0005, 0.001, 0.005, 0.02, 0.1, 0.5, 2];

/** A registry of its own: several gates in one process do not meet. */
export function createMetrics(config: MetricsConfig): Metrics {
  const registry = new Registry();
  const planeMetrics = new PlaneMetrics(config);
  let running: { readonly plane: Pick<DataPlane, "figures">; readonly gate: () => GateFigures } | null = null;
  let access: AccessFigures | null = null;
  const ownProcess = new ProcessMetrics();
  return {
    ...tableMetrics(registry),
    observeRunning: (plane, gate) => void (running = { plane, gate }),
    observeAccess: (observed) => void (access = observed),
    async text() {
      return [
        ...[await registry.metrics(), ownProcess.text()],
        access === null ? "" : accessText(access),
        running === null ? "" : gateText(running.gate(), Date.now()),
        running === null ? "" : planeMetrics.text(await running.plane.figures()),
      ].join("");
    },
    contentType: registry.contentType,
    [Symbol.dispose]: () => ownProcess[Symbol.dispose](),
  };
}

function accessText({ audit, logins }: AccessFigures): string {
  const out = new Exposition();
  const { written, lost, failing } = audit.figures;
  out.add("taskgate_audit_entries_total", {}, written);
  out.add("taskgate_audit_lost_total", {}, lost);
  out.add("taskgate_audit_failing", {}, failing ? 1 : 0);
  const failures = [...logins.failures()];
  for (const [method, { failed }] of failures) out.add("taskgate_login_failures_total", { method }, failed);
  for (const [method, { limited }] of failures) out.add("taskgate_login_limited_total", { method }, limited);
  return out.text;
}

function tableMetrics(registry: Registry): Pick<Metrics, "timed" | "observe"> {
  const registers = [registry];
  const revision = new Gauge({
    name: "taskgate_table_revision",
    help: METRICS.taskgate_table_revision.help,
    registers,
  });
  const times = new Histogram({
    name: "taskgate_table_build_seconds",
    help: METRICS.taskgate_table_build_seconds.help,
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
        help: METRICS.taskgate_table_entries.help,
        labelNames: ["entry"],
        registers,
        collect() {
          for (const [entry, count] of Object.entries(counts())) size.set({ entry }, count as number);
        },
      });
    },
  };
}
