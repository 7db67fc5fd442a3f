import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { METRICS, type MetricName } from "../src/app/metric-table.ts";
import { ROOT } from "./support/gate.ts";
import { parsePromql } from "./support/promql.ts";

interface Panel {
  readonly type: string;
  readonly title: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[];
}

interface Alert {
  readonly alert: string;
  readonly expr: string;
  readonly summary: string;
  readonly description: string;
}

const read = (file: string): string => readFileSync(join(ROOT, "charts/taskgate", file), "utf8");
const { panels } = JSON.parse(read("dashboards/taskgate.json")) as { readonly panels: readonly Panel[] };
const { alerts } = parse(read("files/alerts.yaml")) as { readonly alerts: readonly Alert[] };

/** What Prometheus puts to all that it scrapes in a cluster. */
const SCRAPED = ["job", "instance", "namespace", "pod"];

const shown = panels.flatMap(({ title, targets = [] }) =>
  targets.map(({ expr, legendFormat }) => ({ title, expr, legendFormat })),
);
/** Without what Grafana and the chart put in. */
const bare = (expr: string): string => expr.replaceAll("$__rate_interval", "5m").replaceAll("JOB", 'job="x"');

/** Every name in it is one of the reference's, and each label is of that metric. Gives the labels that its metrics have. */
function check(expr: string): ReadonlySet<string> {
  const { metrics, grouped } = parsePromql(bare(expr));
  expect(metrics.length, expr).toBeGreaterThan(0);
  const known = new Set(SCRAPED);
  for (const { name, labels } of metrics.filter((metric) => metric.name !== "up")) {
    const family = name.replace(/_(bucket|sum|count)$/, "");
    const isPart = family in METRICS && METRICS[family as MetricName].type === "histogram";
    const row = METRICS[(isPart ? family : name) as MetricName] as (typeof METRICS)[MetricName] | undefined;
    expect(row, `${name} in ${expr}`).toBeDefined();
    if (row?.type === "histogram") expect(isPart && name !== family, `${name} is a histogram`).toBe(true);
    const own = [...(row?.labels ?? []), ...(name.endsWith("_bucket") ? ["le"] : [])];
    for (const label of own) known.add(label);
    expect([...own, ...SCRAPED], expr).toEqual(expect.arrayContaining([...labels]));
    // Only what counts upwards has a rate.
    if (row?.type === "gauge") expect(expr).not.toMatch(new RegExp(`rate\\(${name}\\b`));
  }
  expect([...known], expr).toEqual(expect.arrayContaining([...grouped]));
  return known;
}

test.each(shown)("dashboard: $title: $expr", ({ expr, legendFormat }) => {
  const known = check(expr);
  const named = [...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map(([, label = ""]) => label);
  expect([...known]).toEqual(expect.arrayContaining(named));
});

test("panels of the dashboard stand beside each other", () => {
  const cells = new Set<string>();
  for (const { title, gridPos } of panels) {
    for (let x = gridPos.x; x < gridPos.x + gridPos.w; x += 1)
      for (let y = gridPos.y; y < gridPos.y + gridPos.h; y += 1) {
        expect(cells.has(`${String(x)} ${String(y)}`), title).toBe(false);
        cells.add(`${String(x)} ${String(y)}`);
      }
  }
});

describe("alerts", () => {
  test.each(alerts)("$alert", ({ expr, summary, description }) => {
    const known = check(expr);
    expect(expr, "of one release alone").not.toMatch(/\b(taskgate|nodejs|process)_\w+(?!\w|\{JOB)/);
    for (const [, label = ""] of `${summary} ${description}`.matchAll(/\$labels\.(\w+)/g))
      expect(known).toContain(label);
  });

  test("what they tell to look at is there", () => {
    const named = alerts.flatMap(({ description }) => description.match(/taskgate_\w+/g) ?? []);
    expect(named.filter((name) => !(name in METRICS))).toEqual([]);
  });
});

test("what is no PromQL is found out", () => {
  expect(() => parsePromql("sum by (source (up)")).toThrow("no PromQL");
});
