import { expect, test } from "vitest";
import type { Health } from "../../model/index.ts";
import { systemClock } from "../../platform/clock.ts";
import { pickTarget } from "./balance.ts";
import { Target } from "./target.ts";

function target(port: number, weight = 1, health: Health = "healthy", forbidden: string | null = null): Target {
  const endpoint = { address: { ip: "127.0.0.1", port }, replica: String(port), weight, health };
  const bounds = { connectMs: 1000, upstreamIdle: 1, headerBytes: 1000 };
  return new Target({ endpoint, forbidden, ...bounds, clock: systemClock, changed: () => undefined });
}

const NONE = new Set<Target>();

/** How often each is picked when every pick stays open. */
function fill(targets: readonly Target[], picks: number): number[] {
  for (let pick = 0; pick < picks; pick += 1) {
    const picked = pickTarget(targets, NONE, 0);
    if (picked !== null) picked.active += 1;
  }
  return targets.map(({ active }) => active);
}

test("fills endpoints by their weight", () => {
  expect(fill([target(1), target(2, 3)], 400)).toEqual([100, 300]);
  expect(fill([target(1), target(2), target(3)], 300)).toEqual([100, 100, 100]);
});

test("takes idle equals by lot", () => {
  const targets = [target(1), target(2), target(3)];
  const picked = new Set(Array.from({ length: 200 }, () => pickTarget(targets, NONE, 0)));
  expect(picked).toEqual(new Set(targets));
});

test("never takes what drains, is declared unhealthy, is forbidden or was tried", () => {
  const tried = target(4);
  const targets = [target(1, 1, "draining"), target(2, 1, "unhealthy"), target(3, 1, "healthy", "no"), tried];
  expect(pickTarget(targets, new Set([tried]), 0)).toBeNull();
  expect(pickTarget(targets, NONE, 0)).toBe(tried);
  expect(pickTarget([], NONE, 0)).toBeNull();
});

test("passes over what fails, and where all fail takes the one whose time comes first", () => {
  const [first, second, well] = [target(1), target(2), target(3, 1, "unknown")];
  for (let failure = 0; failure < 3; failure += 1) first.failed();
  for (let failure = 0; failure < 6; failure += 1) second.failed();
  well.active = 100;
  const now = Date.now();
  expect(pickTarget([first, second, well], NONE, now)).toBe(well);
  expect(pickTarget([second, first], NONE, now)).toBe(first);
  expect(pickTarget([first, second], NONE, now + 60_000)).not.toBeNull();
  second.checked("healthy");
  expect(pickTarget([first, second], NONE, now)).toBe(second);
});

test("starts an endpoint that is declared healthy anew with a clean sheet", () => {
  const one = target(1);
  for (let failure = 0; failure < 3; failure += 1) one.failed();
  const declare = (health: Health) => one.update({ address: one.address, replica: "1", weight: 1, health });
  declare("healthy");
  expect(one.verdict).toBe("unhealthy");
  declare("unhealthy");
  declare("healthy");
  expect([one.verdict, one.isWell(Date.now())]).toEqual(["unknown", true]);
});
