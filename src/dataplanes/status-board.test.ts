import { expect, test } from "vitest";
import type { Clock } from "../platform/clock.ts";
import type { PlaneStatus } from "./dataplane.ts";
import { StatusBoard } from "./status-board.ts";

/** A clock that goes when it is told to. */
class HandClock implements Clock {
  #now = 0;
  readonly #due = new Set<{ at: number; call: () => void }>();

  now(): number {
    return this.#now;
  }

  after(delayMs: number, call: () => void): Disposable {
    const entry = { at: this.#now + delayMs, call };
    this.#due.add(entry);
    return { [Symbol.dispose]: () => void this.#due.delete(entry) };
  }

  go(ms: number): void {
    const end = this.#now + ms;
    for (;;) {
      const [next] = [...this.#due].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at);
      if (next === undefined) break;
      this.#due.delete(next);
      this.#now = next.at;
      next.call();
    }
    this.#now = end;
  }
}

function board() {
  const clock = new HandClock();
  const status: PlaneStatus = { instances: new Map(), endpoints: new Map(), lastUsed: new Map(), problems: [] };
  const told: number[] = [];
  const board = new StatusBoard(clock, () => status);
  const observing = board.observe(() => told.push(clock.now()));
  return { clock, board, told, observing };
}

test("tells at once, then soon after news, then not more often than every 100 ms", () => {
  const { clock, board: status, told } = board();
  for (let at = 0; at < 50; at += 1) {
    status.changed();
    clock.go(10);
  }
  expect(told[0]).toBe(0);
  expect(told.length).toBeGreaterThan(4);
  for (let at = 2; at < told.length; at += 1) expect((told[at] ?? 0) - (told[at - 1] ?? 0)).toBeGreaterThanOrEqual(100);
});

test("tells of use alone much later, but with other news at once", () => {
  const { clock, board: status, told } = board();
  status.used();
  clock.go(900);
  expect(told).toEqual([0]);
  status.changed();
  clock.go(50);
  expect(told).toHaveLength(2);
  clock.go(5000);
  expect(told).toHaveLength(2);
});

test("tells nobody who stopped listening", () => {
  const { clock, board: status, told, observing } = board();
  status.changed();
  observing[Symbol.dispose]();
  status.changed();
  clock.go(1000);
  expect(told).toEqual([0]);
});
