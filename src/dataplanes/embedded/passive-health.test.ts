import { expect, test } from "vitest";
import { afterFailure, afterSuccess, UNTRIED } from "./passive-health.ts";

test("passes an endpoint over from the third failure in a row on, for 1 s doubling to 30 s, with jitter", () => {
  let health = UNTRIED;
  const lengths: number[] = [];
  for (let failure = 0; failure < 10; failure += 1) {
    health = afterFailure(health, 1000, 0);
    lengths.push(Math.max(0, health.until - 1000));
  }
  expect(lengths).toEqual([0, 0, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
  expect(health.verdict).toBe("unhealthy");
  expect(afterFailure({ ...UNTRIED, failures: 2 }, 0, 1).until).toBe(800);
});

test("forgets all failures at the first success", () => {
  const failed = [1, 2, 3, 4].reduce((health) => afterFailure(health, 0, 0), UNTRIED);
  const well = afterSuccess(failed);
  expect(well).toEqual({ failures: 0, ejections: 0, until: 0, verdict: "healthy" });
  expect(afterSuccess(well)).toBe(well);
  expect(afterFailure(well, 0, 0).verdict).toBe("healthy");
});
