import { expect, test } from "vitest";
import type { Clock } from "./clock.ts";
import { createManualClock } from "../store/testing/manual-clock.ts";
import { TokenBucket } from "./token-bucket.ts";

const { signal } = new AbortController();

test("lets a burst through at once, and then so many a second", async () => {
  const clock = createManualClock(1000);
  const bucket = new TokenBucket(clock, { perSecond: 10, burst: 3 });
  let spent = 0;
  const spending = (async () => {
    for (; spent < 8; spent += 1) {
      await bucket.ready(signal);
      bucket.spend();
    }
  })();
  const after = async (ms: number) => {
    for (let step = 0; step < ms; step += 10) {
      clock.advance(10);
      await new Promise(setImmediate);
    }
    return spent;
  };
  expect(await after(50)).toBe(3);
  expect(await after(60)).toBe(4);
  expect(await after(200)).toBe(6);
  expect(await after(200)).toBe(8);
  await spending;
});

test("makes up for what is spent beyond what is there", async () => {
  const clock = createManualClock(1000);
  const bucket = new TokenBucket(clock, { perSecond: 1000, burst: 2 });
  bucket.spend(3);
  let isReady = false;
  const ready = bucket.ready(signal).then(() => (isReady = true));
  clock.advance(1);
  await new Promise(setImmediate);
  expect(isReady).toBe(false);
  clock.advance(1);
  await ready;
});

test("waits no longer than its rate says though the clock is set back, and not at all for who gave up", async () => {
  let now = 1_000_000;
  const waits: number[] = [];
  const clock: Clock = { now: () => now, after: (ms) => (waits.push(ms), { [Symbol.dispose]: () => undefined }) };
  const bucket = new TokenBucket(clock, { perSecond: 1, burst: 1 });
  bucket.spend();
  now = 1000;
  await bucket.ready(AbortSignal.abort());
  expect(waits).toEqual([]);
  const stop = new AbortController();
  const ready = bucket.ready(stop.signal);
  expect(waits).toEqual([1000]);
  stop.abort();
  await ready;
});
