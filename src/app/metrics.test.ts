import { expect, test } from "vitest";
import type { Built } from "../core/table-state.ts";
import { createMetrics } from "./metrics.ts";

test("counts what a plane opens, answers and closes, apart by kind, status and whose answer it was", async () => {
  const { plane, text } = createMetrics();
  plane.opened("websocket");
  plane.opened("http");
  plane.answered("http", 200, "app");
  plane.answered("http", 401, "gate");
  plane.closed("http", 0.02, 10, 2000);
  const said = await text();
  expect(said).toContain('taskgate_open_connections{kind="http"} 0');
  expect(said).toContain('taskgate_open_connections{kind="websocket"} 1');
  expect(said).toContain('taskgate_requests_total{kind="http",status="401",source="gate"} 1');
  expect(said).toContain('taskgate_bytes_total{kind="http",direction="out"} 2000');
  expect(said).toContain('taskgate_request_duration_seconds_count{kind="http"} 1');
});

test("takes revision and time of builds that gave a table, and nothing of those that did not", async () => {
  const metrics = createMetrics();
  expect(metrics.timed(() => null)).toBeNull();
  const built = { diff: { to: { epoch: "e", seq: 7 } } } as Built;
  expect(metrics.timed(() => built)).toBe(built);
  const said = await metrics.text();
  expect(said).toContain("taskgate_table_revision 7");
  expect(said).toContain("taskgate_table_build_seconds_count 1");
});

test("reads how much there is when it is asked, and two gates in one process do not meet", async () => {
  const one = createMetrics();
  const other = createMetrics();
  let tasks = 1;
  one.observe(() => ({ routes: 5, tasks, problems: 0 }));
  tasks = 2;
  expect(await one.text()).toContain('taskgate_table_entries{entry="tasks"} 2');
  expect(await other.text()).not.toContain("taskgate_table_entries{");
});
