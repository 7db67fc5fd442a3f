import { expect, test } from "vitest";
import { covers } from "./covers.ts";

test.each([
  [{ a: 1, more: 2 }, { a: 1 }, true],
  [{ a: [{ b: 1, c: 2 }] }, { a: [{ b: 1 }] }, true],
  [{ a: [{ b: 1 }, { b: 2 }] }, { a: [{ b: 1 }] }, false],
  [{ a: [1] }, { a: [] }, false],
  [{ a: 1 }, { a: 2 }, false],
  [{}, { a: {} }, false],
  [null, {}, false],
  [{ a: null }, { a: null }, true],
])("%j covers %j: %s", (there, wanted, is) => {
  expect(covers(there, wanted)).toBe(is);
});
