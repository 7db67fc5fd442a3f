import { expect, test } from "vitest";
import { nextAttempt, restartDelay, wantsRestart } from "./restart-delay.ts";

test("waits twice as long each time, thirty seconds at most", () => {
  expect([1, 2, 3, 7, 8, 1000].map((attempt) => restartDelay(attempt, 0))).toEqual([
    250, 500, 1000, 16_000, 30_000, 30_000,
  ]);
});

test("spreads restarts over the last quarter of the wait", () => {
  expect(restartDelay(3, 0.999)).toBe(750);
});

test("counts from the start again after a process that ran for a minute", () => {
  expect(nextAttempt(9, 59_999)).toBe(10);
  expect(nextAttempt(9, 60_000)).toBe(1);
});

test.each([
  ["no", [false, false, false]],
  ["on-failure", [false, true, true]],
  ["always", [true, true, true]],
] as const)("with the policy %s starts again after success, failure, a signal: %j", (policy, wanted) => {
  expect([0, 1, null].map((exitCode) => wantsRestart(policy, exitCode))).toEqual(wanted);
});
