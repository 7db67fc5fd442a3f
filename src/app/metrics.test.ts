import { expect, test } from "vitest";
import { MetricsConfig } from "../config/schema.ts";
import type { Built } from "../core/table-state.ts";
import type { Instance } from "../dataplanes/dataplane.ts";
import { NO_FIGURES, type PlaneFigures } from "../dataplanes/figures.ts";
import type { GateFigures } from "./gate-metrics.ts";
import type { ReachReport } from "../model/index.ts";
import { createMetrics } from "./metrics.ts";

const NOTHING: GateFigures = {
  sources: new Map(),
  fleets: [],
  instances: new Map(),
  revision: 0,
  leading: new Map(),
  reaches: [],
};

const REACH: ReachReport = {
  ...{ provider: "far", reach: "gateway-api", wanted: 63, ready: 60, advice: [] },
  gateways: [
    {
      ...{
        gateway: "gw/edge",
        address: "192.0.2.7",
        state: "ready",
        controller: "example.com/c",
        whyNoListenerSets: null,
      },
      listeners: { own: 62, others: 2, most: 64 },
      listenerSets: { sets: 1, own: 1, others: 1 },
      ports: { from: 32_768, to: 65_535, own: 63, others: 2 },
      ...{ room: 57, bound: "listenerSets" },
    },
  ],
};

test("tells what a plane counted, when it is asked", async () => {
  const metrics = createMetrics(MetricsConfig.parse({}));
  let count = 1;
  const figures = (): Promise<PlaneFigures> => Promise.resolve({ ...NO_FIGURES, answers: [["http 200 app", count]] });
  metrics.observeRunning({ figures }, () => NOTHING);
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

test("tells how sources, Envoys and the process are, and what this gate leads in", async () => {
  using metrics = createMetrics(MetricsConfig.parse({}));
  const proxy = { fleet: "edge", version: "", address: null, since: 0, heardAt: 0, streams: 1, refused: 2 };
  const well = { applied: 7, connected: true, proxy: { ...proxy, stuckSince: null } };
  metrics.observeRunning({ figures: () => Promise.resolve(NO_FIGURES) }, () => ({
    sources: new Map([
      ["local", { state: "ready" } as const],
      ["team", { state: "stale", since: Date.now() - 60_000, message: "away" } as const],
      ["late", { state: "pending" } as const],
    ]),
    instances: new Map<string, Instance>([
      ["process", { applied: 9, connected: true }],
      ["one", well],
      ["two", { ...well, applied: 4, proxy: { ...proxy, stuckSince: 5 } }],
      ["three", { ...well, connected: false, applied: 1 }],
    ]),
    fleets: ["edge", "none"],
    revision: 9,
    leading: new Map([["tell", true]]),
    reaches: [REACH],
  }));
  const said = await metrics.text();
  for (const line of [
    'taskgate_source_ready{source="local"} 1',
    'taskgate_source_ready{source="team"} 0',
    'taskgate_source_stale_seconds{source="local"} 0',
    'taskgate_source_stale_seconds{source="late"} 0',
    'taskgate_leading{name="tell"} 1',
    'taskgate_envoys_connected{fleet="edge"} 2',
    'taskgate_envoys_connected{fleet="none"} 0',
    'taskgate_envoys_behind{fleet="none"} 0',
    'taskgate_envoys_away{fleet="edge"} 1',
    'taskgate_envoys_stuck{fleet="edge"} 1',
    'taskgate_envoys_behind{fleet="edge"} 5',
    'taskgate_envoys_refused{fleet="edge"} 4',
    'taskgate_reach_units{provider="far",state="ready"} 60',
    'taskgate_reach_units{provider="far",state="waiting"} 3',
    'taskgate_reach_gateway_ready{provider="far",gateway="gw/edge"} 1',
    'taskgate_reach_room{provider="far",gateway="gw/edge"} 57',
    'taskgate_reach_listeners{provider="far",gateway="gw/edge",holder="own"} 63',
    'taskgate_reach_listeners{provider="far",gateway="gw/edge",holder="others"} 3',
    'taskgate_reach_listeners_most{provider="far",gateway="gw/edge"} 64',
    'taskgate_reach_ports{provider="far",gateway="gw/edge",holder="others"} 2',
  ])
    expect(said.split("\n")).toContain(line);
  expect(said).toMatch(/taskgate_source_stale_seconds\{source="team"\} 6\d/);
  expect(said).toMatch(/^process_resident_memory_bytes \d{7,}$/m);
  expect(said).toMatch(/^nodejs_eventloop_lag_p99_seconds 0(\.\d+)?$/m);
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
