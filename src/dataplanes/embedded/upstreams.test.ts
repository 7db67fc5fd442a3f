import { expect, test } from "vitest";
import { LimitsConfig } from "../../config/schema.ts";
import type { Endpoint, Health, Policy } from "../../model/index.ts";
import type { Clock } from "../../platform/clock.ts";
import type { Target } from "./target.ts";
import { Upstreams } from "./upstreams.ts";

const KEY = "local/nb/web";
const clock: Clock = { now: () => 1000, after: () => ({ [Symbol.dispose]: () => undefined }) };
const NO_CHANGE = { set: [], removed: [] };

function endpoint(port: number, health: Health = "healthy"): Endpoint {
  return { address: { ip: "127.0.0.1", port }, replica: String(port), weight: 1, health };
}

/** The upstream of one service with these endpoints; `set` replaces them. */
function upstream(list: readonly Endpoint[], limits: Partial<LimitsConfig> = {}, policy: Policy = {}) {
  const upstreams = new Upstreams({
    ...{ clock, changed: () => undefined, stickyId: (_upstream, replica) => `id of ${replica}` },
    limits: { ...LimitsConfig.parse({}), ...limits },
    dialRules: { loopback: ["local"], sockets: [], ownPorts: new Set() },
  });
  const set = (list: readonly Endpoint[]) =>
    upstreams.apply({ upstreams: NO_CHANGE, endpoints: { set: [{ upstream: KEY, list }], removed: [] } });
  upstreams.apply({ upstreams: { set: [{ id: KEY, protocol: "http", policy }], removed: [] }, endpoints: NO_CHANGE });
  set(list);
  return { state: upstreams.get(KEY)!, upstreams, set };
}

function ejected(targets: readonly Target[]): number {
  for (const target of targets) for (let failure = 0; failure < 3; failure += 1) target.failed();
  return targets.filter((target) => target.ejectedUntil > clock.now()).length;
}

const many = (count: number) => Array.from({ length: count }, (_, index) => endpoint(1000 + index));

test.each([
  [1, 80, 0],
  [2, 80, 1],
  [2, 10, 1],
  [3, 80, 2],
  [10, 80, 8],
  [10, 100, 9],
  [10, 0, 0],
  [100, 25, 25],
])("of %i endpoints that fail at most %i percent are passed over, which is %i", (count, ejectShare, most) => {
  const { state } = upstream(many(count), { ejectShare });
  expect(ejected(state.targets)).toBe(most);
  expect(state.pick({}, { tried: null, now: clock.now() })).not.toBeNull();
});

test("counts only endpoints that may be used among those that could be passed over", () => {
  const { state } = upstream([endpoint(1), endpoint(2, "draining"), endpoint(3, "unhealthy")]);
  expect(ejected(state.targets)).toBe(0);
});

test("says of every endpoint that fails that it does, passed over or not", () => {
  const { state, upstreams } = upstream(many(3));
  ejected(state.targets);
  expect([...upstreams.verdicts.values()]).toEqual(["unhealthy", "unhealthy", "unhealthy"]);
});

test("keeps a visitor with its replica while that is well, whatever it is doing, then gives another", () => {
  const { state, set } = upstream([endpoint(1), endpoint(2), endpoint(3)]);
  const pick = (stickyIds: readonly string[]) => state.pick({}, { tried: null, now: clock.now(), stickyIds });
  const kept = pick(["id of 2"]);
  expect(kept?.endpoint.replica).toBe("2");
  kept!.active = 50;
  for (let count = 0; count < 20; count += 1) expect(pick(["id of nobody", "id of 2"])).toBe(kept);
  expect(state.pick({}, { tried: new Set([kept!]), now: clock.now(), stickyIds: ["id of 2"] })).not.toBe(kept);
  set([endpoint(1), endpoint(2, "draining"), endpoint(3)]);
  for (let count = 0; count < 20; count += 1) expect(pick(["id of 2"])?.endpoint.replica).not.toBe("2");
  set([endpoint(1), endpoint(2), endpoint(3)]);
  expect(pick(["id of 2"])).toBe(kept);
  for (let failure = 0; failure < 3; failure += 1) kept!.failed();
  for (let count = 0; count < 20; count += 1) expect(pick(["id of 2"])?.endpoint.replica).not.toBe("2");
  set([endpoint(1), endpoint(3)]);
  for (let count = 0; count < 20; count += 1) expect(pick(["id of 2"])).not.toBeNull();
});

test("starts slowly what joins others, not what is there from the first, by the service's own time where it has one", () => {
  const { state, set } = upstream([endpoint(1)], { slowStart: 1000 });
  set([endpoint(1), endpoint(2)]);
  expect(state.targets.map((target) => target.weightAt(1500))).toEqual([1, 0.5]);
  const own = upstream([endpoint(1)], { slowStart: 1000 }, { slowStartMs: 0 });
  own.set([endpoint(1), endpoint(2)]);
  expect(own.state.targets.map((target) => target.weightAt(1000))).toEqual([1, 1]);
});
