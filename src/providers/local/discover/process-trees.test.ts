import { describe, expect, test } from "vitest";
import type { ProcessEntry } from "./process-table.ts";
import { groupByRoot } from "./process-trees.ts";

/** pid, parent, session. */
function group(table: readonly (readonly [number, number, number])[], roots: readonly number[]) {
  const entries = table.map(([pid, parent, session]): [number, ProcessEntry] => [
    pid,
    { pid, parent, session, start: pid },
  ]);
  const grouped = groupByRoot(new Map(entries), roots);
  return Object.fromEntries([...grouped].map(([root, tree]) => [root, tree.map((entry) => entry.pid)]));
}

describe("groupByRoot", () => {
  test("takes descendants, whatever their session, and leaves strangers out", () => {
    expect(group([[1, 0, 1], [10, 1, 10], [11, 10, 10], [12, 11, 12], [20, 1, 20]], [10])).toEqual({ 10: [10, 11, 12] }); // prettier-ignore
  });

  test("takes what was reparented to init but kept the root's session, also once the root is gone", () => {
    expect(
      group(
        [
          [1, 0, 1],
          [10, 1, 10],
          [11, 1, 10],
        ],
        [10],
      ),
    ).toEqual({ 10: [10, 11] });
    expect(
      group(
        [
          [1, 0, 1],
          [11, 1, 10],
        ],
        [10],
      ),
    ).toEqual({ 10: [11] });
  });

  test("takes what kept the session of a descendant", () => {
    expect(group([[1, 0, 1], [10, 1, 10], [12, 10, 12], [13, 1, 12]], [10])).toEqual({ 10: [10, 12, 13] }); // prettier-ignore
  });

  test("does not take the neighbours of a root that leads no session", () => {
    expect(group([[1, 0, 1], [5, 1, 5], [10, 5, 5], [11, 5, 5]], [10])).toEqual({ 10: [10] }); // prettier-ignore
  });

  test("gives a process to the nearest root, and every root a list", () => {
    expect(group([[1, 0, 1], [10, 1, 10], [11, 10, 11], [12, 11, 11]], [10, 11, 99])).toEqual({ 10: [10], 11: [11, 12], 99: [] }); // prettier-ignore
  });

  test("ends on a table that loops", () => {
    expect(
      group(
        [
          [10, 11, 11],
          [11, 10, 10],
          [12, 12, 12],
        ],
        [99],
      ),
    ).toEqual({ 99: [] });
  });
});
