import { expect, test } from "vitest";
import { GatewayError } from "../model/index.ts";
import { createManualClock } from "../store/testing/manual-clock.ts";
import { type Attempt, createLoginLimit } from "./login-limit.ts";

const wrong = (): Promise<never> => Promise.reject(new GatewayError("unauthenticated", "wrong"));
const right = (): Promise<string> => Promise.resolve("in");
const ALICE: Attempt = { method: "basic", peer: "10.0.0.1", account: "alice" };

function setUp() {
  const clock = createManualClock(1_000_000);
  const limit = createLoginLimit(clock);
  const codeOf = (attempt: Promise<unknown>) =>
    attempt.then(
      () => "in",
      (error: unknown) => (error as GatewayError).code,
    );
  const fail = (by: Attempt, times: number) =>
    Promise.all(Array.from({ length: times }, () => codeOf(limit.run(by, wrong))));
  return { clock, limit, fail, codeOf };
}

test("lets an address fail five times at one account, and says when to come back", async () => {
  const { clock, limit, fail } = setUp();
  expect(await fail(ALICE, 6)).toEqual([...Array<string>(5).fill("unauthenticated"), "rate_limited"]);
  await expect(limit.run(ALICE, right)).rejects.toMatchObject({
    ...{ code: "rate_limited", httpStatus: 429, retryAfterS: 12, message: /try again in 12 s/ },
  });
  clock.advance(12_000);
  expect(await limit.run(ALICE, right)).toBe("in");
});

test("lets an address fail twenty times at whatever accounts", async () => {
  const { clock, limit, fail } = setUp();
  for (let user = 0; user < 20; user += 1) await fail({ ...ALICE, account: `user-${String(user)}` }, 1);
  await expect(limit.run({ ...ALICE, account: "bob" }, right)).rejects.toMatchObject({ retryAfterS: 6 });
  clock.advance(6_000);
  expect(await limit.run({ ...ALICE, account: "bob" }, right)).toBe("in");
});

test("takes a /64 of IPv6 for one address", async () => {
  const { codeOf, limit, fail } = setUp();
  await fail({ ...ALICE, peer: "2001:db8:0:7::1" }, 5);
  expect(await codeOf(limit.run({ ...ALICE, peer: "2001:db8:0:7:ffff::2" }, right))).toBe("rate_limited");
  expect(await codeOf(limit.run({ ...ALICE, peer: "2001:db8:0:8::1" }, right))).toBe("in");
});

test("locks nobody out by what strangers try: not from elsewhere, not from behind the same address", async () => {
  const { codeOf, limit, fail } = setUp();
  for (let host = 1; host < 200; host += 1) await fail({ ...ALICE, peer: `192.0.2.${String(host)}` }, 10);
  expect(await codeOf(limit.run(ALICE, right))).toBe("in");
  for (let user = 0; user < 50; user += 1) await fail({ ...ALICE, account: `user-${String(user)}` }, 2);
  expect(await codeOf(limit.run({ ...ALICE, account: "bob" }, right))).toBe("rate_limited");
  expect(await codeOf(limit.run(ALICE, right))).toBe("in");
});

test("counts neither what succeeds nor what could not be found out", async () => {
  const { codeOf, limit } = setUp();
  const down = (): Promise<never> => Promise.reject(new GatewayError("unavailable", "down"));
  for (let times = 0; times < 50; times += 1) {
    expect(await codeOf(limit.run(ALICE, right))).toBe("in");
    expect(await codeOf(limit.run(ALICE, down))).toBe("unavailable");
  }
  expect(limit.failures().get("basic")).toBeUndefined();
});

test("counts tries that are under way", async () => {
  const { codeOf, limit } = setUp();
  const waiting = Array.from({ length: 5 }, () => limit.run(ALICE, () => new Promise<never>(() => undefined)));
  expect(await codeOf(limit.run(ALICE, right))).toBe("rate_limited");
  expect(waiting).toHaveLength(5);
});

test("lets the right secret in whatever was tried, where nobody can guess it", async () => {
  const { codeOf, limit } = setUp();
  const codes = [];
  for (let times = 0; times < 102; times += 1) codes.push(await codeOf(limit.count(ALICE, wrong)));
  expect(codes).toEqual([...Array<string>(100).fill("unauthenticated"), "rate_limited", "rate_limited"]);
  expect(await codeOf(limit.count(ALICE, right))).toBe("in");
  expect(limit.failures().get("basic")).toEqual({ failed: 102, limited: 2 });
  expect(await codeOf(limit.run(ALICE, right))).toBe("in");
});

test("is not stopped for good by a clock that was set back", async () => {
  const clock = createManualClock(10_000_000);
  let offset = 0;
  const limit = createLoginLimit({ now: () => clock.now() - offset, after: clock.after });
  await Promise.allSettled(Array.from({ length: 5 }, () => limit.run(ALICE, wrong)));
  offset = 5_000_000;
  await expect(limit.run(ALICE, right)).rejects.toMatchObject({ retryAfterS: 12 });
});
