import { expect, test, vi } from "vitest";
import { systemClock } from "../../platform/clock.ts";
import { Addresses, type Resolved } from "./resolve.ts";

/** Time goes by in steps of the test. */
function steppedClock() {
  const waiting = new Set<() => void>();
  const after = (_delayMs: number, call: () => void): Disposable => {
    waiting.add(call);
    return { [Symbol.dispose]: () => waiting.delete(call) };
  };
  const step = (): void => {
    for (const call of [...waiting]) call();
  };
  return { clock: { now: () => 0, after }, step };
}

test("IP addresses are what they are, in one spelling", async () => {
  await using addresses = new Addresses({
    names: ["10.0.0.1", "2001:DB8::0:1"],
    changed: () => undefined,
    clock: systemClock,
  });
  expect(addresses.of("10.0.0.1")).toEqual({ ip: "10.0.0.1" });
  expect(addresses.of("2001:DB8::0:1")).toEqual({ ip: "2001:db8::1" });
});

test("a name keeps its address while that is one of its own, and while it cannot be looked up", async () => {
  const { clock, step } = steppedClock();
  let found: readonly string[] | Error = new Error("no such host");
  let changes = 0;
  await using addresses = new Addresses({
    ...{ names: ["gw.test"], changed: () => (changes += 1), clock },
    lookup: () => (found instanceof Error ? Promise.reject(found) : Promise.resolve(found)),
  });
  const becomes = (expected: Resolved) => vi.waitFor(() => expect(addresses.of("gw.test")).toEqual(expected));
  const next = async (list: readonly string[] | Error) => {
    found = list;
    await new Promise(setImmediate);
    step();
    await new Promise(setImmediate);
  };
  await becomes({ failure: "no such host" });
  await next(["10.0.0.2", "10.0.0.3"]);
  await becomes({ ip: "10.0.0.2" });
  await next(["10.0.0.3", "10.0.0.2"]);
  expect(addresses.of("gw.test")).toEqual({ ip: "10.0.0.2" });
  await next(new Error("timeout"));
  expect(addresses.of("gw.test")).toEqual({ ip: "10.0.0.2" });
  await next(["10.0.0.3"]);
  await becomes({ ip: "10.0.0.3" });
  expect(changes).toBe(3);
});
