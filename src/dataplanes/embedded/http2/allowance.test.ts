import { expect, test } from "vitest";
import { Allowance } from "./allowance.ts";

const RULES = { most: 10, earnedInMs: 10_000, earnedByBytes: 200 };

test("takes so many at once, and a tenth as many each second", () => {
  const frames = new Allowance(RULES, 0);
  for (let count = 0; count < 10; count += 1) expect(frames.spend(0, 0)).toBe(true);
  expect(frames.spend(0, 0)).toBe(false);
  const patient = new Allowance(RULES, 0);
  for (let second = 1; second < 100; second += 1) expect(patient.spend(second * 1000, 0)).toBe(true);
});

test("takes those that go with other traffic, and hoards none", () => {
  const frames = new Allowance(RULES, 0);
  for (let count = 1; count < 1000; count += 1) expect(frames.spend(0, count * 300)).toBe(true);
  for (let count = 0; count < 10; count += 1) frames.spend(0, 300_000);
  expect(frames.spend(0, 300_000)).toBe(false);
});

test("stands a clock that is set back", () => {
  const frames = new Allowance(RULES, 1_000_000);
  for (let count = 0; count < 10; count += 1) expect(frames.spend(0, 0)).toBe(true);
});
