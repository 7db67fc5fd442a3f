import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Policy } from "../../../model/index.ts";
import { systemClock } from "../../../platform/clock.ts";
import { silentLogger } from "../../../platform/logger.ts";
import { byHost, TableBuilder } from "../../testing/table-builder.ts";
import { ClusterPoll } from "./cluster-poll.ts";
import { EndpointHealth } from "./endpoint-health.ts";

let health: EndpointHealth;
let poll: ClusterPoll;
let asked: string[];
/** `health_status` of the one endpoint that each cluster has. */
let said: object;

function hostStatus(cluster: string) {
  const gate = { address: { envoy_internal_address: { server_listener_name: "taskgate-gate" } } };
  const own = { address: { socket_address: { address: "127.0.0.1", port_value: 7001 } }, health_status: said };
  return { name: cluster, host_statuses: [own, gate] };
}

beforeEach(() => {
  vi.useFakeTimers();
  asked = [];
  said = {};
  health = new EndpointHealth({ failures: 3, changed: () => undefined, trouble: () => poll.look() });
  poll = new ClusterPoll({
    clusterOf: ({ match }) => (match.by === "host" ? `tg/${match.host}` : ""),
    ...{ health, clock: systemClock, logger: silentLogger },
  });
  poll.follow("one", (path) => {
    const pattern = new URL(path, "http://envoy").searchParams.get("filter") ?? "";
    asked.push(pattern);
    const found = ["tg/a.localhost", "tg/b.localhost"].filter((name) => new RegExp(pattern).test(name));
    return Promise.resolve({ status: 200, body: JSON.stringify({ cluster_statuses: found.map(hostStatus) }) });
  });
});
afterEach(async () => {
  await poll[Symbol.asyncDispose]();
  vi.useRealTimers();
});

function routes(policies: Readonly<Record<string, Policy>>) {
  const table = new TableBuilder();
  for (const [name, policy] of Object.entries(policies))
    table.service({ key: `local/${name}/web`, policy, matches: [byHost(`${name}.localhost`)], endpoints: [] });
  return table.commit().diff.routes;
}

test("asks for nothing while nothing is checked and nothing failed", async () => {
  poll.apply(routes({ a: {}, b: {} }));
  await vi.advanceTimersByTimeAsync(5000);
  expect(asked).toEqual([]);
});

test("asks of what is checked, and tells what its endpoints answered", async () => {
  said = { failed_active_health_check: true, pending_active_hc: true };
  poll.apply(routes({ a: { activeHealth: { everyMs: 1000 } }, b: {} }));
  await vi.advanceTimersByTimeAsync(600);
  expect(new Set(asked)).toEqual(new Set(["^(tg/a\\.localhost)$"]));
  expect(health.verdicts.size).toBe(0);
  said = { failed_active_health_check: true };
  await vi.advanceTimersByTimeAsync(600);
  expect([...health.verdicts]).toEqual([["local/a/web 127.0.0.1:7001", "unhealthy"]]);
  said = {};
  await vi.advanceTimersByTimeAsync(600);
  expect([...health.verdicts.values()]).toEqual(["healthy"]);
});

test("asks of what failed, for as long as Envoy passes it over", async () => {
  poll.apply(routes({ a: {}, b: {} }));
  said = { failed_outlier_check: true };
  health.failed({ envoy: "one", upstream: "local/b/web", address: "127.0.0.1:7001" }, 1);
  await vi.advanceTimersByTimeAsync(1200);
  expect(new Set(asked)).toEqual(new Set(["^(tg/b\\.localhost)$"]));
  expect([...health.verdicts.values()]).toEqual(["unhealthy"]);
  said = {};
  await vi.advanceTimersByTimeAsync(1200);
  expect([...health.verdicts.values()]).toEqual(["healthy"]);
  const before = asked.length;
  await vi.advanceTimersByTimeAsync(5000);
  expect(asked).toHaveLength(before);
});

test("asks no more of what is gone", async () => {
  const there = routes({ a: { activeHealth: { everyMs: 1000 } } });
  poll.apply(there);
  await vi.advanceTimersByTimeAsync(600);
  poll.apply({ set: [], removed: there.set.map(({ id }) => id) });
  await vi.advanceTimersByTimeAsync(600);
  const before = asked.length;
  await vi.advanceTimersByTimeAsync(5000);
  expect(asked).toHaveLength(before);
});
