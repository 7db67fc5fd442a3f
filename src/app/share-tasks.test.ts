import { afterEach, beforeEach, expect, test } from "vitest";
import { startGrants, type Grants } from "../auth/grants.ts";
import type { GrantedTask } from "../auth/granted.ts";
import { OWNER_ONLY, type SourceUpdate, type Task } from "../model/index.ts";
import { createTableState } from "../core/create-table-state.ts";
import type { TableState } from "../core/table-state.ts";
import { silentLogger as logger } from "../platform/logger.ts";
import { startTestStore } from "../auth/testing/auth-kit.ts";
import { createManualClock, type ManualClock } from "../store/testing/manual-clock.ts";
import type { Store } from "../store/store.ts";
import { type SharedTasks, shareTasks } from "./share-tasks.ts";

const OLGA = { realm: "local", name: "olga" };
const ALICE = { realm: "corp", name: "alice" };
const NB: GrantedTask = { key: "local/nb", instance: "1", owner: OLGA };

let clock: ManualClock;
let store: Store;
let grants: Grants;

beforeEach(async () => {
  clock = createManualClock(1_000_000);
  store = await startTestStore(clock, logger);
  grants = await startGrants({ store, clock, logger, revocations: { revoke: () => Promise.resolve() } });
});
afterEach(async () => {
  grants[Symbol.dispose]();
  await store[Symbol.asyncDispose]();
});

interface Life extends Disposable {
  readonly state: TableState;
  readonly shared: SharedTasks;
  update(source: string, update: SourceUpdate): void;
  build(): void;
  allowed(key?: string): unknown[];
}

/** One life of a gate, whose table knows `local` and `file`. */
function live(sources = ["local", "file"]): Life {
  const tcp = { ports: { from: 20_000, to: 20_009 }, services: {} };
  const hosts = { domain: "localhost", gateHost: "taskgate.localhost", pathHost: "paths.localhost" };
  const state = createTableState({ ...hosts, listener: "main", tcp, ceiling: "public", epoch: "e" }, []);
  for (const source of sources) state.addSource(source);
  const shared = shareTasks({ grants, state });
  const build = (): void => {
    const built = state.build(clock.now());
    if (built !== null) shared.published(built);
  };
  shared.follow({ touch: build });
  return {
    ...{ state, shared, build },
    update(source, update) {
      state.update(source, update);
      build();
    },
    allowed: (key = "local/nb/web") => (state.routesOf(key)[0]?.access.grants ?? []).map((grant) => grant.to),
    [Symbol.dispose]: () => shared[Symbol.dispose](),
  };
}

function task(id: string, instance = "1", more: Partial<Task> = {}): Task {
  return {
    ...{ id, instance, name: id, kind: "job", owner: OLGA, namespace: "", labels: {}, state: "running" },
    services: [{ name: "web", protocol: "http", guard: "gate", exposures: [], policy: {} }],
    endpoints: {},
    access: OWNER_ONLY,
    ...more,
  };
}

const whole = (...tasks: Task[]): SourceUpdate => ({ kind: "whole", tasks, problems: [] });
const change = (set: Task[], removed: string[] = []): SourceUpdate => ({ kind: "change", set, removed, problems: [] });
const give = (to = ALICE, task = NB) => grants.give(task, { to, service: null, until: null }, OLGA);
const kept = async () => (await store.list("grants")).size;

test("what is given and taken is in the table at once, and again in the gate's next life", async () => {
  using first = live();
  first.update("local", whole(task("nb")));
  const { grant } = await give();
  expect(first.allowed()).toEqual([ALICE]);
  using next = live();
  next.update("local", whole(task("nb")));
  expect(next.allowed()).toEqual([ALICE]);
  await grants.take(NB, [grant.id], OLGA);
  expect(next.allowed()).toEqual([]);
});

test("a task that is removed takes what it was given along; a later one of its name has none of it", async () => {
  using gate = live();
  gate.update("local", whole(task("nb"), task("tb")));
  await give();
  await give(ALICE, { ...NB, key: "local/tb" });
  gate.update("local", change([], ["nb"]));
  await expect.poll(kept).toBe(1);
  gate.update("local", change([task("nb", "2")]));
  expect(gate.allowed()).toEqual([]);
  expect(gate.allowed("local/tb/web")).toEqual([ALICE]);
});

test("a task that is replaced within one update inherits nothing, not even for a moment", async () => {
  using gate = live();
  gate.update("local", whole(task("nb")));
  await give();
  gate.update("local", change([task("nb", "2")]));
  expect(gate.allowed()).toEqual([]);
  await expect.poll(kept).toBe(0);
});

test("what was given to tasks that went while no gate ran is removed once their source tells what there is", async () => {
  await give();
  await give(ALICE, { ...NB, key: "file/gone" });
  await give(ALICE, { ...NB, key: "unknown/x" });
  using gate = live();
  gate.build();
  expect(await kept()).toBe(3); // nobody said anything yet
  gate.update("local", whole(task("nb")));
  await expect.poll(kept).toBe(2); // no provider has the third
  gate.update("file", whole());
  await expect.poll(kept).toBe(1);
  expect(gate.allowed()).toEqual([ALICE]);
});

test("a task that cannot be used for a while keeps what it was given", async () => {
  using gate = live();
  gate.update("local", whole(task("nb")));
  await give();
  gate.update("local", change([task("nb", "1", { kind: "" })]));
  expect(gate.state.tasks.has("local/nb")).toBe(false);
  gate.update("local", { kind: "stale", since: 1, error: new Error("away") });
  gate.update("local", change([task("nb")]));
  expect(gate.allowed()).toEqual([ALICE]);
});
