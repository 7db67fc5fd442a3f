import { expect, test } from "vitest";
import { FairQueue } from "./fair-queue.ts";

function takeAll(queue: FairQueue<string>): string {
  let all = "";
  for (let item = queue.take(); item !== undefined; item = queue.take()) all += item;
  return all;
}

test("groups take turns, each in its own order, and nothing comes twice", () => {
  const queue = new FairQueue<string>();
  for (const item of "abcdeab") queue.add("many", item);
  queue.add("few", "x");
  expect(queue.take()).toBe("a");
  queue.add("few", "y");
  queue.add("many", "a");
  expect(takeAll(queue)).toBe("xbycdea");
  queue.add("many", "a");
  expect(takeAll(queue)).toBe("a");
});

test("takes as long for each of many as for each of few", () => {
  const queue = new FairQueue<number>();
  for (let at = 0; at < 100_000; at += 1) queue.add("all", at);
  const since = performance.now();
  for (let at = 0; at < 100_000; at += 1) expect(queue.take() === at).toBe(true);
  expect(performance.now() - since).toBeLessThan(5000);
});
