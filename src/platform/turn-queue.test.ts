import { setImmediate as turn } from "node:timers/promises";
import { expect, test } from "vitest";
import { TurnQueue } from "./turn-queue.ts";

function* steps(name: string, count: number, done: string[]): Generator<void, void> {
  for (let step = 1; step <= count; step += 1) {
    done.push(`${name}${step}`);
    if (step < count) yield;
  }
}

const noError = (error: unknown): void => {
  throw error;
};

test("work of one part is done at once, more takes a turn of the event loop for each, in the order of coming", async () => {
  using queue = new TurnQueue(noError);
  const done: string[] = [];
  queue.add(steps("a", 1, done));
  expect(done).toEqual(["a1"]);
  queue.add(steps("b", 3, done));
  queue.add(steps("c", 2, done));
  expect(done).toEqual(["a1", "b1"]);
  await turn();
  expect(done).toEqual(["a1", "b1", "b2"]);
  for (let turns = 0; turns < 3; turns += 1) await turn();
  expect(done).toEqual(["a1", "b1", "b2", "b3", "c1", "c2"]);
  queue.add(steps("d", 1, done));
  expect(done.at(-1)).toBe("d1");
});

test("what fails is told, and what comes after it is done", async () => {
  const errors: unknown[] = [];
  using queue = new TurnQueue((error) => errors.push(error));
  const done: string[] = [];
  queue.add(
    (function* () {
      done.push("a1");
      yield;
      throw new Error("bad");
    })(),
  );
  queue.add(steps("b", 2, done));
  for (let turns = 0; turns < 4; turns += 1) await turn();
  expect(done).toEqual(["a1", "b1", "b2"]);
  expect(errors).toEqual([new Error("bad")]);
});

test("work that comes of work is done after it", async () => {
  using queue = new TurnQueue(noError);
  const done: string[] = [];
  queue.add(
    (function* () {
      queue.add(steps("b", 1, done));
      done.push("a1");
      yield;
      done.push("a2");
    })(),
  );
  for (let turns = 0; turns < 3; turns += 1) await turn();
  expect(done).toEqual(["a1", "a2", "b1"]);
});

test("nothing more is done once it is disposed of", async () => {
  const queue = new TurnQueue(noError);
  const done: string[] = [];
  queue.add(steps("a", 3, done));
  queue[Symbol.dispose]();
  for (let turns = 0; turns < 3; turns += 1) await turn();
  expect(done).toEqual(["a1"]);
});
