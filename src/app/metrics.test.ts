import { expect, test } from "vitest";
import { MetricsConfig } from "../config/schema.ts";
import type { Built } from "../core/table-state.ts";
import { NO_FIGURES } from "../dataplanes/figures.ts";
import { createMetrics } from "./metrics.ts";

test("tells what a plane counted, when it is asked", async () => {
  const metrics = createMetrics(MetricsConfig.parse({}));
  let count = 1;
  metrics.observePlane({ figures: () => Promise.resolve({ ...NO_FIGURES, answers: [["http 200 app", count]] }) });
  count = 2;
  expect(await metrics.text()).toContain('taskgate_requests_total{kind="http",status="200",source="app"} 2');
});

test("tells how many logins were in vain, by the way of logging in", async () => {
  const metrics = createMetrics(MetricsConfig.parse({}));
  const logins = { failures: () => new Map([["basic", { failed: 7, limited: 2 }]]) };
  metrics.observeAccess({ audit: { figures: { written: 0, lost: 0, failing: false } }, logins });
  const said = await metrics.text();
  expect(said).toContain('taskgate_login_failures_total{method="basic"} 7');
  expect(said).toContain('taskgate_login_limited_total{method="basic"} 2');
});

test("takes revision and time of builds that gave a table, and nothing of those that did not", async () => {
  const metrics = createMetrics(MetricsConfig.parse({}));
  expect(metrics.timed(() => null)).toBeNull();
  const built = { diff: { to: { epoch: "e", seq: 7 } } } as Built;
  expect(metrics.timed(() => built)).toBe(built);
  const said = await metrics.text();
  expect(said).toContain("taskgate_table_revision 7");
  expect(said).toContain("taskgate_table_build_seconds_count 1");
});

test("reads how much there is when it is asked, and two gates in one process do not meet", async () => {
  const one = createMetrics(MetricsConfig.parse({}));
  const other = createMetrics(MetricsConfig.parse({}));
  let tasks = 1;
  one.observe(() => ({ routes: 5, tasks, problems: 0 }));
  tasks = 2;
  expect(await one.text()).toContain('taskgate_table_entries{entry="tasks"} 2');
  expect(await other.text()).not.toContain("taskgate_table_entries{");
});
