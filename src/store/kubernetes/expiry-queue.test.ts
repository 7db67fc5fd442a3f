import { expect, test } from "vitest";
import type { KeptEntry } from "./entry-secret.ts";
import { ExpiryQueue } from "./expiry-queue.ts";

function entry(expiresAt: number): KeptEntry {
  const name = String(expiresAt);
  return { name, kind: "code", key: name, value: "1", version: 1, expiresAt, isRemoved: false, write: "" };
}

test("gives entries in the order of their ends, each once it is due", () => {
  const queue = new ExpiryQueue();
  const ends = Array.from({ length: 500 }, () => Math.floor(Math.random() * 1000));
  for (const end of ends) queue.add(entry(end));
  const sorted = ends.toSorted((a, b) => a - b);
  const due = (now: number) => [...queue.due(now)].map(({ expiresAt }) => expiresAt);
  expect(queue.next).toBe(sorted[0]);
  expect(due(400)).toEqual(sorted.filter((end) => end <= 400));
  expect(due(1000)).toEqual(sorted.filter((end) => end > 400));
  expect(queue.next).toBeNull();
});

test("leaves out what is no longer wanted, and keeps the order of the rest", () => {
  const queue = new ExpiryQueue();
  for (let end = 50; end > 0; end -= 1) queue.add(entry(end));
  queue.compact(({ expiresAt }) => Number(expiresAt) % 10 === 0);
  queue.add(entry(15));
  expect(queue.size).toBe(6);
  expect([...queue.due(100)].map(({ expiresAt }) => expiresAt)).toEqual([10, 15, 20, 30, 40, 50]);
});
