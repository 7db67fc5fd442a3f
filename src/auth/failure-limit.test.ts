import { expect, test } from "vitest";
import { GatewayError } from "../model/index.ts";
import { createManualClock } from "../store/testing/manual-clock.ts";
import { createFailureLimit } from "./failure-limit.ts";

const wrong = (): Promise<never> => Promise.reject(new GatewayError("unauthenticated", "wrong"));
const right = (): Promise<string> => Promise.resolve("in");

function setUp() {
  const clock = createManualClock(1_000_000);
  const limit = createFailureLimit(clock);
  const fail = async (peer: string, times: number): Promise<string[]> => {
    const results = await Promise.allSettled(Array.from({ length: times }, () => limit.run(peer, wrong)));
    return results.map((result) => (result.status === "rejected" ? (result.reason as GatewayError).code : "in"));
  };
  return { clock, limit, fail };
}

test("lets one peer fail ten times a minute, and says when to come back", async () => {
  const { clock, limit, fail } = setUp();
  expect(await fail("10.0.0.1", 11)).toEqual([...Array<string>(10).fill("unauthenticated"), "rate_limited"]);
  await expect(limit.run("10.0.0.1", right)).rejects.toMatchObject({
    code: "rate_limited",
    message: /try again in 60 s/,
  });
  expect(await limit.run("10.0.0.2", right)).toBe("in");
  clock.advance(60_000);
  expect(await limit.run("10.0.0.1", right)).toBe("in");
});

test("does not count what succeeds", async () => {
  const { limit } = setUp();
  for (let times = 0; times < 50; times += 1) expect(await limit.run("10.0.0.1", right)).toBe("in");
});

test("counts tries that are under way", async () => {
  const { limit } = setUp();
  const waiting = Array.from({ length: 10 }, () => limit.run("10.0.0.1", () => new Promise<never>(() => undefined)));
  await expect(limit.run("10.0.0.1", right)).rejects.toMatchObject({ code: "rate_limited" });
  expect(waiting).toHaveLength(10);
});

test("bounds all peers together", async () => {
  const { limit, fail } = setUp();
  for (let peer = 0; peer < 30; peer += 1) await fail(`10.0.1.${peer}`, 10);
  await expect(limit.run("10.0.2.1", right)).rejects.toMatchObject({ code: "rate_limited" });
});

test("is not stopped for good by a clock that was set back", async () => {
  const clock = createManualClock(10_000_000);
  let offset = 0;
  const limit = createFailureLimit({ now: () => clock.now() - offset, after: clock.after });
  await Promise.allSettled(Array.from({ length: 10 }, () => limit.run("p", wrong)));
  offset = 5_000_000;
  expect(await limit.run("p", right)).toBe("in");
});
