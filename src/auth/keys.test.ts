import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Store } from "../store/store.ts";
import { createManualClock, type ManualClock } from "../store/testing/manual-clock.ts";
import { createVerifier, signToken } from "./jws.ts";
import { type KeyRing, type KeyRingDeps, type KeyState, startKeyRing } from "./keys.ts";
import { createLogCapture, START, startTestStore } from "./testing/auth-kit.ts";

const DAY = 86_400_000;
const KEEP = 12 * 3_600_000 + 60_000;
const PUBLISH = 5_000;
const TYP = "t";

let clock: ManualClock;
let store: Store;
let rings: KeyRing[];
beforeEach(async () => {
  clock = createManualClock(START);
  rings = [];
  store = await startTestStore(clock, createLogCapture().logger);
});
afterEach(async () => {
  for (const ring of rings) ring[Symbol.dispose]();
  await store[Symbol.asyncDispose]();
});

async function start(more: Partial<KeyRingDeps> = {}): Promise<KeyRing> {
  const ring = await startKeyRing({
    ...{ store, clock, logger: createLogCapture().logger, use: "session" },
    ...{ rotateMs: 0, publishMs: PUBLISH, keepMs: KEEP, acknowledged: true },
    ...more,
  });
  rings.push(ring);
  return ring;
}

const states = (ring: KeyRing): KeyState[] => ring.list().map(({ state }) => state);
const verifies = (ring: KeyRing, token: string): boolean => createVerifier(ring.verifiers, TYP).open(token) !== null;

/** Lets time pass in small steps until the ring's keys are in those states. */
async function until(ring: KeyRing, expected: readonly KeyState[], stepMs = 500): Promise<void> {
  const look = (): KeyState[] => {
    clock.advance(stepMs);
    return states(ring);
  };
  await expect.poll(look, { timeout: 10_000, interval: 2 }).toEqual(expected);
}

const settled = async (): Promise<void> => {
  for (let turns = 0; turns < 20; turns += 1) await new Promise(setImmediate);
};

describe("a rotation", () => {
  test("publishes, waits until all planes have acknowledged and others could hear, and only then signs", async () => {
    const ring = await start();
    const first = ring.signer.kid;
    const before = signToken(ring.signer, TYP, "{}");
    await ring.rotate();
    await until(ring, ["published", "used"]);
    expect(ring.signer.kid).toBe(first);
    expect(ring.published.size).toBe(2);

    for (let minutes = 0; minutes < 60; minutes += 1) clock.advance(60_000); // nobody acknowledges: it waits
    await settled();
    expect(ring.signer.kid).toBe(first);

    ring.acknowledge(ring.published.keys());
    await until(ring, ["used", "retired"]);
    expect(ring.signer.kid).not.toBe(first);
    expect(verifies(ring, before)).toBe(true);
    expect(verifies(ring, signToken(ring.signer, TYP, "{}"))).toBe(true);
  });

  test("does not sign before it was published for a while, whoever has acknowledged it", async () => {
    const ring = await start();
    const first = ring.signer.kid;
    await ring.rotate();
    await expect.poll(() => states(ring)).toEqual(["published", "used"]);
    ring.acknowledge(ring.published.keys());
    clock.advance(PUBLISH - 1);
    await settled();
    expect(ring.signer.kid).toBe(first);
    await until(ring, ["used", "retired"]);
  });

  test("removes the old key, from the store too, once what it signed has ended, and not before", async () => {
    const ring = await start();
    const before = signToken(ring.signer, TYP, "{}");
    await ring.rotate();
    await expect.poll(() => states(ring)).toEqual(["published", "used"]);
    ring.acknowledge(ring.published.keys());
    await until(ring, ["used", "retired"]);
    clock.advance(KEEP - 60_000);
    await settled();
    expect(verifies(ring, before)).toBe(true);
    await until(ring, ["used"], 10_000);
    expect(verifies(ring, before)).toBe(false);
    expect((await store.get<{ keys: unknown[] }>("keys", "session"))?.value.keys).toHaveLength(1);
  });

  test("is begun once, however often it is asked for, and by whichever gate", async () => {
    const [ring, other] = [await start(), await start()];
    expect(other.signer.kid).toBe(ring.signer.kid);
    await Promise.all([ring.rotate(), other.rotate(), ring.rotate()]);
    await expect.poll(() => [states(ring), states(other)]).toEqual([["published", "used"], ["published", "used"]]); // prettier-ignore
    expect(other.list()).toEqual(ring.list());
  });

  test("ends with one order where two gates do it on one store", async () => {
    const [ring, other] = [await start(), await start()];
    await ring.rotate();
    await expect.poll(() => states(other)).toEqual(["published", "used"]);
    for (const each of [ring, other]) each.acknowledge(each.published.keys());
    await until(ring, ["used", "retired"]);
    await until(other, ["used", "retired"]);
    expect(other.list()).toEqual(ring.list());
    expect(other.signer.kid).toBe(ring.signer.kid);
  });

  test.each(["published", "used"] as const)("goes on after a crash with the next key %s", async (reached) => {
    const ring = await start();
    const before = signToken(ring.signer, TYP, "{}");
    await ring.rotate();
    await expect.poll(() => states(ring)).toEqual(["published", "used"]);
    if (reached === "used") {
      ring.acknowledge(ring.published.keys());
      await until(ring, ["used", "retired"]);
    }
    const after = signToken(ring.signer, TYP, "{}");
    ring[Symbol.dispose]();
    const again = await start();
    expect([verifies(again, before), verifies(again, after)]).toEqual([true, true]);
    again.acknowledge(again.published.keys());
    await until(again, ["used", "retired"]);
    expect([verifies(again, before), verifies(again, after)]).toEqual([true, true]);
  });

  test("comes by itself when the key that signs is old enough", async () => {
    const ring = await start({ rotateMs: 30 * DAY, acknowledged: false });
    const first = ring.signer.kid;
    clock.advance(29 * DAY);
    await settled();
    expect(states(ring)).toEqual(["used"]);
    await until(ring, ["used", "retired"], 3_600_000);
    expect(ring.signer.kid).not.toBe(first);
  });
});

test("the first key is made once, and known by its own hash", async () => {
  const [one, other] = await Promise.all([start(), start()]);
  expect(one.list()).toEqual(other.list());
  expect(one.list()).toEqual([
    { id: expect.stringMatching(/^[\w-]{16}$/) as string, use: "session", state: "used", since: START, until: null },
  ]);
});

test("a listener hears of every change, until it is disposed", async () => {
  const ring = await start();
  let heard = 0;
  using listening = ring.observe(() => (heard += 1));
  await ring.rotate();
  await expect.poll(() => heard).toBe(1);
  listening[Symbol.dispose]();
  ring.acknowledge(ring.published.keys());
  await until(ring, ["used", "retired"]);
  expect(heard).toBe(1);
});
