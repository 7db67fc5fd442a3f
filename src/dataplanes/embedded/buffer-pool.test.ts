import { expect, test } from "vitest";
import { BufferPool } from "./buffer-pool.ts";

test("lends each buffer to one at a time, and lends again what came back", () => {
  const pool = new BufferPool({ bytes: 8, most: 3, kept: 3 });
  const [a, b] = [pool.take(), pool.take()];
  if (a === null || b === null) throw new Error("there were buffers");
  expect(a.length).toBe(8);
  expect(a.buffer).not.toBe(b.buffer);
  pool.give(a);
  expect([pool.lent, pool.free]).toEqual([1, 1]);
  expect(pool.take()).toBe(a);
  expect([pool.lent, pool.free]).toEqual([2, 0]);
});

test("takes nothing back twice, nor what is not its own", () => {
  const pool = new BufferPool({ bytes: 8, most: 2, kept: 2 });
  const buffer = pool.take() ?? Buffer.alloc(0);
  pool.give(buffer);
  expect(() => pool.give(buffer)).toThrow("not lent");
  expect(() => pool.give(Buffer.alloc(8))).toThrow("not lent");
  const lent = [pool.take(), pool.take()];
  expect(new Set(lent).size).toBe(2);
});

test("lends no more than its bound, keeps no more than its bound, and says when they become scarce", () => {
  const pool = new BufferPool({ bytes: 8, most: 4, kept: 1 });
  const lent = [pool.take(), pool.take()];
  expect(pool.scarce).toBe(false);
  lent.push(pool.take());
  expect(pool.scarce).toBe(true);
  lent.push(pool.take());
  expect(pool.take()).toBeNull();
  for (const buffer of lent) if (buffer !== null) pool.give(buffer);
  expect([pool.lent, pool.free, pool.scarce]).toEqual([0, 1, false]);
  expect(pool.take()).not.toBeNull();
});
