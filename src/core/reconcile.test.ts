import { expect, test } from "vitest";
import { startReconcile } from "./reconcile.ts";
import type { Built } from "./table-state.ts";
import { makeState, makeTask, whole } from "./testing/make.ts";

/** Time that stands still until it is moved. */
class ManualClock {
  time = 1_000;
  #timers: { readonly at: number; readonly call: () => void }[] = [];

  now = () => this.time;

  after = (delayMs: number, call: () => void): Disposable => {
    const timer = { at: this.time + delayMs, call };
    this.#timers.push(timer);
    return { [Symbol.dispose]: () => (this.#timers = this.#timers.filter((other) => other !== timer)) };
  };

  get waiting(): number {
    return this.#timers.length;
  }

  async pass(ms: number): Promise<void> {
    const until = this.time + ms;
    for (;;) {
      await Promise.resolve();
      const next = this.#timers.toSorted((a, b) => a.at - b.at)[0];
      if (next === undefined || next.at > until) break;
      this.#timers = this.#timers.filter((timer) => timer !== next);
      this.time = Math.max(this.time, next.at);
      next.call();
    }
    this.time = until;
    await Promise.resolve();
  }
}

function start(options: { readonly published?: (built: Built) => void } = {}) {
  const clock = new ManualClock();
  const state = makeState();
  const builds: { readonly at: number; readonly tasks: readonly string[] }[] = [];
  const errors: unknown[] = [];
  const loop = startReconcile({
    state,
    clock,
    settleMs: 10,
    maxWaitMs: 100,
    published: (built) => {
      builds.push({ at: clock.time - 1_000, tasks: built.tasks.set });
      options.published?.(built);
    },
    onError: (error) => errors.push(error),
  });
  const told: string[] = [];
  const tell = (id: string) => {
    told.push(id);
    state.update("local", whole(...told.map((one) => makeTask(one))));
    loop.touch();
  };
  return { clock, loop, builds, errors, tell };
}

test("the first change after quiet is built at once", async () => {
  const { clock, builds, tell } = start();
  tell("a");
  await clock.pass(0);
  expect(builds).toEqual([{ at: 0, tasks: ["local/a"] }]);
  await clock.pass(50);
  tell("b");
  await clock.pass(0);
  expect(builds.at(-1)).toEqual({ at: 50, tasks: ["local/b"] });
});

test("what is told in one go is built in one go", async () => {
  const { clock, builds, tell } = start();
  tell("a");
  tell("b");
  await clock.pass(200);
  expect(builds).toEqual([{ at: 0, tasks: ["local/a", "local/b"] }]);
});

test("what follows a build waits until it is quiet", async () => {
  const { clock, builds, tell } = start();
  tell("a");
  await clock.pass(4);
  tell("b");
  await clock.pass(8);
  tell("c");
  await clock.pass(9);
  expect(builds).toHaveLength(1);
  await clock.pass(1);
  expect(builds.at(-1)).toEqual({ at: 22, tasks: ["local/b", "local/c"] });
});

test("while changes keep arriving a build comes no later than the bound after the first of them", async () => {
  const { clock, builds, tell } = start();
  tell("first");
  await clock.pass(1);
  for (let index = 0; index < 80; index++) {
    tell(`t${index}`);
    await clock.pass(5);
  }
  await clock.pass(100);
  const times = builds.map((build) => build.at);
  expect(times[1]).toBeLessThanOrEqual(1 + 100);
  for (const [index, at] of times.entries()) expect(at - (times[index - 1] ?? 0)).toBeLessThanOrEqual(110);
  expect(builds.flatMap((build) => build.tasks)).toHaveLength(81);
});

test("a subscriber that throws does not stop the loop", async () => {
  const { clock, builds, errors, tell } = start({
    published: () => {
      throw new Error("subscriber");
    },
  });
  tell("a");
  await clock.pass(20);
  tell("b");
  await clock.pass(20);
  expect(builds).toHaveLength(2);
  expect(errors).toEqual([new Error("subscriber"), new Error("subscriber")]);
});

test("a touch without a change publishes nothing", async () => {
  const { clock, builds, loop, tell } = start();
  tell("a");
  await clock.pass(20);
  loop.touch();
  await clock.pass(200);
  expect(builds).toHaveLength(1);
});

test("nothing is built after disposal, and no timer is left", async () => {
  const { clock, builds, loop, tell } = start();
  tell("a");
  await clock.pass(1);
  tell("b");
  loop[Symbol.dispose]();
  tell("c");
  await clock.pass(500);
  expect(builds).toHaveLength(1);
  expect(clock.waiting).toBe(0);
});

test("the loop may be disposed of by a subscriber", async () => {
  const started = start({ published: () => started.loop[Symbol.dispose]() });
  started.tell("a");
  await started.clock.pass(500);
  started.tell("b");
  await started.clock.pass(500);
  expect(started.builds).toHaveLength(1);
  expect(started.clock.waiting).toBe(0);
});

test("a clock that is set back does not hold a build up beyond the bound", async () => {
  const { clock, builds, tell } = start();
  tell("a");
  await clock.pass(1);
  tell("b");
  clock.time -= 3_600_000;
  await clock.pass(3_600_000 + 200);
  expect(builds).toHaveLength(2);
});
