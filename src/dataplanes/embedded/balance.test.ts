import { expect, test, vi } from "vitest";
import type { Health } from "../../model/index.ts";
import type { Clock } from "../../platform/clock.ts";
import { pickTarget } from "./balance.ts";
import { Target, type TargetDeps } from "./target.ts";

let now = 0;
const clock: Clock = { now: () => now, after: () => ({ [Symbol.dispose]: () => undefined }) };

function target(port: number, weight = 1, health: Health = "healthy", more: Partial<TargetDeps> = {}): Target {
  const endpoint = { address: { ip: "127.0.0.1", port }, replica: String(port), weight, health };
  return new Target({
    bounds: { headBytes: 1000, trailerBytes: 1000, fields: 10, lineBytes: 1000 },
    ...{
      endpoint,
      protocol: "http",
      policy: {},
      forbidden: null,
      connectMs: 1000,
      upstreamIdle: 1,
      upstreamSessions: 1,
      clock,
    },
    ...{ ejection: { after: 3, firstMs: 1000, longestMs: 30_000 }, mayEject: () => true, slowStartMs: 0, joins: false },
    ...{ stickyId: (replica) => `id of ${replica}`, changed: () => undefined },
    ...more,
  });
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
  const targets = [
    target(1, 1, "draining"),
    target(2, 1, "unhealthy"),
    target(3, 1, "healthy", { forbidden: "no" }),
    tried,
  ];
  expect(pickTarget(targets, new Set([tried]), 0)).toBeNull();
  expect(pickTarget(targets, NONE, 0)).toBe(tried);
  expect(pickTarget([], NONE, 0)).toBeNull();
});

test("passes over what fails, and where all fail takes the one whose time comes first", () => {
  now = 1000;
  const [first, second, well] = [target(1), target(2), target(3, 1, "unknown")];
  fail(first, 3);
  fail(second, 3);
  now += 2000;
  fail(second, 1);
  fail(first, 1);
  now += 500;
  first.succeeded();
  fail(first, 3);
  well.active = 100;
  expect(pickTarget([first, second, well], NONE, now)).toBe(well);
  expect(pickTarget([first, second], NONE, now)).toBe(second);
  expect(pickTarget([first, second], NONE, now + 60_000)).not.toBeNull();
  first.checked("healthy");
  expect(pickTarget([first, second], NONE, now)).toBe(first);
});

test("starts an endpoint that is declared healthy anew with a clean sheet", () => {
  const one = target(1);
  fail(one, 3);
  const declare = (health: Health) => one.update({ address: one.address, replica: "1", weight: 1, health });
  declare("healthy");
  expect(one.verdict).toBe("unhealthy");
  declare("unhealthy");
  declare("healthy");
  expect([one.verdict, one.isWell(now)]).toEqual(["unknown", true]);
});

test("shares what comes one by one by weight too", () => {
  const [light, heavy] = [target(1), target(2, 9)];
  const picks = Array.from({ length: 2000 }, () => pickTarget([light, heavy], NONE, now));
  const share = picks.filter((picked) => picked === light).length / picks.length;
  expect(share).toBeGreaterThan(0.06);
  expect(share).toBeLessThan(0.15);
});

test("spreads over many endpoints by looking at two, and finds the few that are well", () => {
  const targets = Array.from({ length: 200 }, (_, index) => target(index + 1));
  const counts = fill(targets, 20_000);
  expect(Math.min(...counts)).toBeGreaterThan(90);
  expect(Math.max(...counts)).toBeLessThan(110);
  const looks = vi.spyOn(targets[0]!, "isWell");
  for (let pick = 0; pick < 200; pick += 1) pickTarget(targets, NONE, now);
  expect(looks.mock.calls.length).toBeLessThan(40);
  const [well, ...bad] = targets;
  for (const one of bad) fail(one, 3);
  for (let pick = 0; pick < 50; pick += 1) expect(pickTarget(targets, null, now)).toBe(well);
});

test("gives an endpoint that joins others, or is well again, a share that rises from a tenth", () => {
  now = 10_000;
  const slow = { slowStartMs: 10_000 };
  const [old, joining] = [target(1, 1, "healthy", slow), target(2, 1, "healthy", { ...slow, joins: true })];
  expect([old.weightAt(now), joining.weightAt(now)]).toEqual([1, 0.1]);
  expect(fill([old, joining], 110)).toEqual([100, 10]);
  now += 5000;
  expect(joining.weightAt(now)).toBe(0.5);
  now += 5000;
  expect(joining.weightAt(now)).toBe(1);
  fail(old, 3);
  expect(old.weightAt(now)).toBe(1);
  now += 1000;
  old.succeeded();
  expect(old.weightAt(now)).toBe(0.1);
  const declare = (health: Health) => joining.update({ address: joining.address, replica: "2", weight: 3, health });
  declare("draining");
  declare("healthy");
  expect(joining.weightAt(now)).toBeCloseTo(0.3);
});

function fail(one: Target, times: number): void {
  for (let failure = 0; failure < times; failure += 1) one.failed();
}
