import { expect, test } from "vitest";
import { Lru } from "./lru.ts";

const keys = (lru: Lru<number>): string[] => Array.from(lru.entries(), ([key]) => key).sort();

test("keeps what was used, and puts out what was not", () => {
  const lru = new Lru<number>(3);
  for (const key of ["a", "b", "c"]) lru.set(key, 1);
  expect(lru.get("a")).toBe(1);
  lru.set("d", 1);
  expect(keys(lru)).toEqual(["a", "c", "d"]);
});

test("never holds more than its bound, and always what came last, though all others are in use", () => {
  const lru = new Lru<number>(10);
  for (let at = 0; at < 1000; at += 1) {
    lru.set(String(at), at);
    for (const key of keys(lru)) lru.get(key);
    expect(lru.get(String(at))).toBe(at);
    expect(keys(lru).length).toBeLessThanOrEqual(10);
  }
});

test("replaces, forgets one, and forgets all", () => {
  const lru = new Lru<number>(2);
  lru.set("a", 1);
  lru.set("a", 2);
  lru.set("b", 3);
  expect([lru.get("a"), lru.get("b")]).toEqual([2, 3]);
  lru.delete("a");
  expect(keys(lru)).toEqual(["b"]);
  lru.clear();
  expect(lru.get("b")).toBeUndefined();
});
