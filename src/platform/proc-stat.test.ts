import { expect, test } from "vitest";
import { parseProcStat } from "./proc-stat.ts";

/** As Linux writes it; `state` and `threads` are fields 3 and 20. */
function stat(state: string, threads: number): string {
  const after = `22410 22410 1503 0 -1 4227084 2959 6535 2 0 3 2 3 3 20 0 ${String(threads)} 0 796499 0 0 18446744073709551615`;
  return `22463 (a) b (c)) ${state} ${after} 0 0 0 0 0 0 0 16781318 0 0 0 0 17 0 0 0\n`;
}

const FOUND = { parent: 22410, group: 22410, session: 1503, start: "796499" };

test.each([
  ["runs", "S", 1, FOUND],
  ["runs with threads", "R", 9, FOUND],
  ["is a zombie", "Z", 1, null],
  ["is dead", "X", 1, null],
  // Killed: the last of them closes its files, and so its ports.
  ["has ended but for some of its threads", "Z", 2, FOUND],
])("a process that %s", (_what, state, threads, expected) => {
  expect(parseProcStat(stat(state, threads))).toEqual(expected);
});

test("what is cut short is none", () => {
  expect(parseProcStat("22463 (a) S 22410")).toBeNull();
});
