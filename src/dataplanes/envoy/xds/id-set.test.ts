import fc from "fast-check";
import { expect, test } from "vitest";
import { IdSet } from "./id-set.ts";

test("is a set of numbers, in rising order, whatever is done to it", () => {
  const step = fc.record({ add: fc.boolean(), id: fc.nat({ max: 200 }) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const ids = new IdSet();
      const model = new Set<number>();
      for (const { add, id } of steps) {
        expect(add ? ids.add(id) : ids.delete(id)).toBe(add ? !model.has(id) : model.has(id));
        if (add) model.add(id);
        else model.delete(id);
        expect([...ids]).toEqual([...model].sort((a, b) => a - b));
        expect(ids.size).toBe(model.size);
      }
    }),
  );
});

test("what is met may be deleted meanwhile", () => {
  const ids = new IdSet();
  for (const id of [0, 31, 32, 63, 1000]) ids.add(id);
  for (const id of ids) ids.delete(id);
  expect(ids.size).toBe(0);
  expect([...ids]).toEqual([]);
});

test("the highest bit of a word is one as the others are", () => {
  const ids = new IdSet();
  ids.add(31);
  expect([...ids]).toEqual([31]);
  expect(ids.delete(31)).toBe(true);
  expect(ids.has(31)).toBe(false);
});
