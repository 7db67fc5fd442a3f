import pc from "picocolors";
import { expect, test } from "vitest";
import { formatAge, formatTasks } from "./task-table.ts";
import { serviceView, taskView } from "./testing/fake-gate.ts";

const plain = pc.createColors(false);
const NOW = 1_000_000_000;

test("shows a row per service, what lets everybody in, what is stale, and what is wrong below", () => {
  const text = formatTasks(
    {
      now: NOW,
      tasks: [
        taskView("nb", {
          kind: "notebook",
          startedAt: NOW - 7_200_000,
          services: [
            serviceView("web", { url: "http://nb.localhost:7080/lab", host: "nb.localhost" }),
            serviceView("db", { protocol: "tcp", health: "unknown" }),
            serviceView("echo", { protocol: "tcp", url: "tcp://127.0.0.1:20000", login: false, health: "unhealthy" }),
          ],
        }),
        taskView("数据", { kind: "spark", staleSince: NOW - 240_000, startedAt: NOW - 59_000 }),
        taskView("broken", { state: "failed", reason: "exit code 3", services: [] }),
      ],
      problems: [{ subject: "file", code: "source_stale", message: "tasks.yaml: line 3", since: NOW - 240_000 }],
    },
    plain,
  );
  expect(`\n${text}\n`).toMatchInlineSnapshot(`
    "
    NAME    KIND      STATE               AGE  SERVICE   HEALTH     URL
    nb      notebook  running             2h   web http  healthy    http://nb.localhost:7080/lab
                                               db tcp    -          taskgate forward nb/db
                                               echo tcp  unhealthy  tcp://127.0.0.1:20000 (no login)
    数据    spark     running (stale 4m)  59s  web http  healthy    http://数据.localhost:7080/
    broken  process   failed

    broken has failed: exit code 3
    problem file (for 4m): tasks.yaml: line 3
    "
  `);
});

test("shows nothing that could steer a terminal", () => {
  const text = formatTasks(
    { now: NOW, tasks: [taskView("x", { state: "failed", reason: "\x1b[2Jgone\r\x07\u202e" })], problems: [] },
    plain,
  );
  expect(text).toContain("x has failed: gone");
  expect(text.replaceAll("\n", "")).not.toMatch(/[\p{Cc}\p{Bidi_Control}]/u);
});

test("a task without services is one row as well", () => {
  const tasks = ["a", "b"].map((name) => taskView(name, { services: [] }));
  expect(formatTasks({ now: NOW, tasks, problems: [] }, plain).split("\n")).toHaveLength(3);
});

test("says what to do where there are no tasks", () => {
  expect(formatTasks({ now: NOW, tasks: [], problems: [] }, plain)).toBe(
    "No tasks. Start one: taskgate run -- COMMAND",
  );
});

test("an age is told in its largest unit", () => {
  expect([-5, 0, 59_999, 60_000, 7_199_999, 86_400_000 * 3].map(formatAge)).toEqual([
    "0s",
    "0s",
    "59s",
    "1m",
    "1h",
    "3d",
  ]);
});
