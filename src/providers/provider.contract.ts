import { describe, expect, onTestFinished, test, vi } from "vitest";
import { readTask } from "../core/read-task.ts";
import type { Problem, SourceUpdate, Task } from "../model/index.ts";
import type { Provider } from "./provider.ts";

/** A provider and the world that it watches. Task names are DNS labels that the suite makes up. */
export interface ProviderStand extends AsyncDisposable {
  readonly provider: Provider;
  /** Brings a task of this name into the world. */
  add(name: string): Promise<void>;
  /** Makes the task differ from what it was, under the same id. */
  change(name: string): Promise<void>;
  remove(name: string): Promise<void>;
  /** Adds something that is not usable as a task, beside the others; null: this provider's world cannot hold such a thing. */
  readonly addBad: (() => Promise<void>) | null;
  /** Makes the world unreadable until `mend`; null: what this provider watches cannot fail. */
  readonly fail: (() => Promise<void>) | null;
  readonly mend: (() => Promise<void>) | null;
}

/** What a provider's updates come to, kept as the core keeps it. */
export interface SourceRecord {
  readonly updates: readonly SourceUpdate[];
  /** By id. */
  readonly tasks: ReadonlyMap<string, Task>;
  readonly problems: readonly Problem[];
  readonly stale: boolean;
  /** Names of the tasks, sorted. */
  names(): readonly string[];
  readonly publish: (update: SourceUpdate) => void;
}

/** Long enough for a slow, busy machine; a condition is met long before. */
const WAIT = { timeout: 15_000, interval: 20 };

/** Applies updates as SourceUpdate describes them. */
export function recordSource(): SourceRecord {
  const updates: SourceUpdate[] = [];
  const tasks = new Map<string, Task>();
  const record = {
    updates,
    tasks,
    problems: [] as readonly Problem[],
    stale: false,
    names: () => [...tasks.values()].map((task) => task.name).sort(),
    publish(update: SourceUpdate) {
      updates.push(update);
      record.stale = update.kind === "stale";
      if (update.kind === "stale") return;
      if (update.kind === "whole") tasks.clear();
      else for (const id of update.removed) tasks.delete(id);
      for (const task of update.kind === "whole" ? update.tasks : update.set) tasks.set(task.id, task);
      record.problems = update.problems;
    },
  };
  return record;
}

/** Tests that every provider passes. `start` makes a world without tasks; `loopback`: its tasks are on this machine. */
export function describeProvider(
  name: string,
  start: () => Promise<ProviderStand>,
  options: { readonly loopback: boolean } = { loopback: false },
): void {
  /** A stand with these tasks, watched; all of it ends with the test. */
  async function watching(...tasks: readonly string[]) {
    const stand = await start();
    const stop = new AbortController();
    const scope = new AsyncDisposableStack();
    scope.use(stand);
    onTestFinished(() => scope.disposeAsync());
    for (const task of tasks) await stand.add(task);
    const record = recordSource();
    const watch = await stand.provider.start(record.publish, stop.signal);
    scope.use(watch);
    await vi.waitFor(() => expect(record.names()).toEqual([...tasks].sort()), WAIT);
    return { stand, stop, record, watch };
  }

  describe(`${name} provider`, () => {
    test("publishes whole first, and changes after that", async () => {
      const { stand, record } = await watching("one", "two");
      await stand.add("three");
      await vi.waitFor(() => expect(record.names()).toEqual(["one", "three", "two"]), WAIT);
      expect(record.updates.map((update) => update.kind)).toEqual([
        "whole",
        ...record.updates.slice(1).map(() => "change"),
      ]);
    });

    test("publishes an empty world as whole and empty", async () => {
      const { record } = await watching();
      await vi.waitFor(() => expect(record.updates).not.toEqual([]), WAIT);
      expect(record.updates[0]).toMatchObject({ kind: "whole", tasks: [] });
    });

    test("says which task changed under the id that it had, and not those that did not", async () => {
      const { stand, record } = await watching("one", "two");
      const before = new Map(record.tasks);
      const heard = record.updates.length;
      const idOf = (task: string) => [...before.values()].find((known) => known.name === task)!.id;
      await stand.change("one");
      await vi.waitFor(() => expect(record.tasks.get(idOf("one"))).not.toEqual(before.get(idOf("one"))), WAIT);
      expect([...record.tasks.keys()].sort()).toEqual([...before.keys()].sort());
      const set = record.updates.slice(heard).flatMap((update) => (update.kind === "change" ? update.set : []));
      expect(new Set(set.map((task) => task.name))).toEqual(new Set(["one"]));
    });

    test("says by id which task is gone", async () => {
      const { stand, record } = await watching("one", "two");
      const gone = [...record.tasks.values()].find((task) => task.name === "one")!.id;
      await stand.remove("one");
      await vi.waitFor(() => expect(record.names()).toEqual(["two"]), WAIT);
      const removed = record.updates.flatMap((update) => (update.kind === "change" ? update.removed : []));
      expect(removed).toEqual([gone]);
    });

    test("gives tasks that are plain data, valid to the last field, each under an id of its own", async () => {
      const { stand, record } = await watching("one", "two");
      await stand.change("two");
      await vi.waitFor(() => expect(record.updates.length).toBeGreaterThan(1), WAIT);
      for (const task of record.tasks.values()) {
        expect(JSON.parse(JSON.stringify(task))).toEqual(task);
        const key = `${stand.provider.name}/${task.id}`;
        const read = readTask(task, { provider: stand.provider.name, id: task.id, key, ...options, previous: null });
        expect(read.problems).toEqual([]);
        expect(read.task).toEqual({ ...task, endpoints: withoutPods(task.endpoints) });
      }
      for (const update of record.updates) {
        const ids = (update.kind === "whole" ? update.tasks : update.kind === "change" ? update.set : []).map(
          (task) => task.id,
        );
        expect(new Set(ids).size).toBe(ids.length);
      }
    });

    test("keeps good tasks beside a bad one, which becomes a problem", async () => {
      const { stand, record } = await watching("one");
      if (stand.addBad === null) {
        expect(record.problems).toEqual([]);
        return;
      }
      await stand.addBad();
      await stand.add("two");
      await vi.waitFor(() => expect(record.names()).toEqual(["one", "two"]), WAIT);
      await vi.waitFor(() => expect(record.problems).not.toEqual([]), WAIT);
      for (const problem of record.problems) expect(problem.message).not.toBe("");
    });

    test("goes stale with the time and the reason, and comes back with what changed meanwhile", async () => {
      const { stand, record } = await watching("one", "two");
      if (stand.fail === null || stand.mend === null) {
        expect(record.updates.filter((update) => update.kind === "stale")).toEqual([]);
        return;
      }
      const asked = Date.now();
      await stand.fail();
      await vi.waitFor(() => expect(record.stale).toBe(true), WAIT);
      const stale = record.updates.at(-1)!;
      expect(stale.kind === "stale" && stale.since >= asked && stale.error.message !== "").toBe(true);
      expect(record.names()).toEqual(["one", "two"]);
      await stand.mend();
      await vi.waitFor(() => expect(record.stale).toBe(false), WAIT);
      await stand.remove("two");
      await vi.waitFor(() => expect(record.names()).toEqual(["one"]), WAIT);
    });

    test("publishes nothing once it is disposed, and can be disposed twice", async () => {
      const { stand, record, watch } = await watching("one");
      await watch[Symbol.asyncDispose]();
      const heard = record.updates.length;
      await stand.add("two");
      // A second watcher hears of the task; by then the first one, were it awake, would have.
      const other = recordSource();
      const second = await stand.provider.start(other.publish, new AbortController().signal);
      onTestFinished(() => second[Symbol.asyncDispose]());
      await vi.waitFor(() => expect(other.names()).toEqual(["one", "two"]), WAIT);
      await watch[Symbol.asyncDispose]();
      expect(record.updates.length).toBe(heard);
    });

    test("publishes nothing once its signal aborts", async () => {
      const { stand, record, stop } = await watching("one");
      stop.abort();
      const heard = record.updates.length;
      await stand.add("two");
      const other = recordSource();
      const second = await stand.provider.start(other.publish, new AbortController().signal);
      onTestFinished(() => second[Symbol.asyncDispose]());
      await vi.waitFor(() => expect(other.names()).toEqual(["one", "two"]), WAIT);
      expect(record.updates.length).toBe(heard);
    });

    test("does not start once its signal is aborted", async () => {
      await using stand = await start();
      const record = recordSource();
      await expect(stand.provider.start(record.publish, AbortSignal.abort())).rejects.toThrow();
      expect(record.updates).toEqual([]);
    });
  });
}

/** As the core has them: where a reach goes by pods' names, it is before the core. */
function withoutPods(endpoints: Task["endpoints"]): Task["endpoints"] {
  const dropPod = (key: string, value: unknown): unknown =>
    key === "pod" && typeof value === "string" ? undefined : value;
  return JSON.parse(JSON.stringify(endpoints, dropPod)) as Task["endpoints"];
}
