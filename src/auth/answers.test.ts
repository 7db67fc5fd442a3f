import { expect, test } from "vitest";
import { GatewayError } from "../model/index.ts";
import { createManualClock } from "../store/testing/manual-clock.ts";
import { createAnswers } from "./answers.ts";

const forever = (): AbortSignal => new AbortController().signal;

function setUp(more: { goodUntil?: (answer: number) => number } = {}) {
  const clock = createManualClock(1000);
  const answers = createAnswers<number>({ clock, of: "the oracle", keepMs: 100, timeMs: 50, max: 3, ...more });
  let asked = 0;
  const ask = (key = "k", signal = forever()): Promise<number> =>
    answers.ask(key, () => Promise.resolve((asked += 1)), signal);
  return { clock, answers, ask, asked: () => asked };
}

test("keeps an answer for its time, and asks again after it", async () => {
  const { clock, answers, ask } = setUp();
  expect(answers.peek("k")).toBeUndefined();
  expect([await ask(), await ask(), answers.peek("k")]).toEqual([1, 1, 1]);
  clock.advance(100);
  expect(answers.peek("k")).toBeUndefined();
  expect(await ask()).toBe(2);
});

test("keeps an answer no longer than the answer itself is good", async () => {
  const { clock, answers, ask } = setUp({ goodUntil: () => 1010 });
  await ask();
  clock.advance(9);
  expect(answers.peek("k")).toBe(1);
  clock.advance(1);
  expect(answers.peek("k")).toBeUndefined();
});

test("asks once for all who want the same at the same time", async () => {
  const { ask, asked } = setUp();
  expect(await Promise.all([ask(), ask(), ask("other")])).toEqual([1, 1, 2]);
  expect(asked()).toBe(2);
});

test("says unavailable when no answer comes in time, and keeps nothing of it", async () => {
  const { clock, answers, ask } = setUp();
  const waiting = answers.ask("k", () => new Promise<number>(() => undefined), forever());
  clock.advance(50);
  await expect(waiting).rejects.toMatchObject({ code: "unavailable" });
  expect(await ask()).toBe(1);
});

test("gives each who asks an answer of their own where nothing may be kept, also at the same time", async () => {
  const answers = createAnswers<number>({
    clock: createManualClock(0),
    of: "the test",
    keepMs: 0,
    timeMs: 100,
    max: 3,
  });
  let asked = 0;
  const ask = () => answers.ask("k", () => Promise.resolve((asked += 1)), forever());
  expect(await Promise.all([ask(), ask()])).toEqual([1, 2]);
  expect(answers.peek("k")).toBeUndefined();
  expect(await ask()).toBe(3);
});

test("never keeps a failure", async () => {
  const { answers, ask } = setUp();
  const failing = answers.ask("k", () => Promise.reject(new GatewayError("unavailable", "down")), forever());
  await expect(failing).rejects.toMatchObject({ code: "unavailable" });
  expect(await ask()).toBe(1);
});

test("lets one who leaves go, and answers the others", async () => {
  const { answers } = setUp();
  const { promise, resolve } = Promise.withResolvers<number>();
  const leaving = new AbortController();
  const first = answers.ask("k", () => promise, leaving.signal);
  const second = answers.ask("k", () => promise, forever());
  leaving.abort(new Error("gone"));
  await expect(first).rejects.toThrow("gone");
  resolve(7);
  expect(await second).toBe(7);
});

test("does not ask for somebody who has left already", async () => {
  const { ask, asked } = setUp();
  await expect(ask("k", AbortSignal.abort(new Error("gone")))).rejects.toThrow("gone");
  expect(asked()).toBe(0);
});

test("does not keep an answer that was under way when all became void", async () => {
  const { answers, ask } = setUp();
  const { promise, resolve } = Promise.withResolvers<number>();
  const old = answers.ask("k", () => promise, forever());
  answers.forget();
  resolve(99);
  expect(await old).toBe(99);
  expect(answers.peek("k")).toBeUndefined();
  expect(await ask()).toBe(1);
});

test("keeps a bounded number of answers, those used last", async () => {
  const { answers, ask } = setUp();
  for (const key of ["a", "b", "c"]) await ask(key);
  answers.peek("a");
  await ask("d");
  expect(["a", "b", "c", "d"].map((key) => answers.peek(key) !== undefined)).toEqual([true, false, true, true]);
});
