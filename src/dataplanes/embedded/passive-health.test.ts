import { expect, test } from "vitest";
import { afterFailure, afterSuccess, UNTRIED, type PassiveHealth } from "./passive-health.ts";

const RULES = { after: 3, firstMs: 1000, longestMs: 30_000 };

const fail = (health: PassiveHealth, now: number, random = 0, mayEject = true) =>
  afterFailure(health, { now, rules: RULES, mayEject: () => mayEject, random });

test("passes an endpoint over from the third failure in a row on, for 1 s doubling to 30 s each time that it fails again", () => {
  let health = UNTRIED;
  let now = 1000;
  const lengths: number[] = [];
  for (let failure = 0; failure < 10; failure += 1) {
    health = fail(health, now);
    lengths.push(Math.max(0, health.until - now));
    now = Math.max(now, health.until);
  }
  expect(lengths).toEqual([0, 0, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
  expect(health.verdict).toBe("unhealthy");
  expect(fail({ ...UNTRIED, failures: 2 }, 0, 1).until).toBe(800);
});

test("is no longer passed over for failures of what was sent before", () => {
  let health = UNTRIED;
  for (let failure = 0; failure < 50; failure += 1) health = fail(health, 1000);
  expect([health.until, health.ejections]).toEqual([2000, 1]);
});

test("forgets failures at the first success, and ejections as time goes well", () => {
  const ejected = [1, 2, 3].reduce((health) => fail(health, 0), UNTRIED);
  const well = afterSuccess(ejected, 500);
  expect(well).toEqual({ failures: 0, ejections: 1, until: 500, verdict: "healthy" });
  expect(afterSuccess(well, 600)).toBe(well);
  expect(fail(well, 600).verdict).toBe("healthy");
  const again = (now: number) => [1, 2, 3].reduce((health) => fail(health, now), well).until - now;
  expect(again(600)).toBe(2000);
  expect(again(30_499)).toBe(2000);
  expect(again(30_500)).toBe(1000);
  expect(again(10_000_000)).toBe(1000);
});

test("is unhealthy but not passed over where too many others are", () => {
  const health = [1, 2, 3, 4].reduce((health) => fail(health, 1000, 0, false), UNTRIED);
  expect([health.verdict, health.until, health.ejections]).toEqual(["unhealthy", 0, 0]);
  expect(fail(health, 1000).until).toBe(2000);
});
