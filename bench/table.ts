import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { createTableState } from "../src/core/create-table-state.ts";
import type { TableState } from "../src/core/table-state.ts";
import type { Endpoint, Exposure, Service, Task } from "../src/model/index.ts";
import { median, quantile, type Row, type Suite } from "./suite.ts";

const SIZES = [10_000, 100_000];
const FULL_BUILD_TARGET_US = 10;
const ONE_CHANGE_TARGET_MS = 0.2;
const CHANGES = 400;

/** Full build of the route table, and one changed service in it, at two sizes. */
export const benchTable: Suite = (say) =>
  SIZES.flatMap((services) => {
    const tasks = makeTasks(services);
    say(`${services} services: full builds`);
    const full = measureFull(tasks, services);
    say(`${services} services: single changes`);
    return [...full, ...measureChanges(tasks, services)];
  });

function measureFull(tasks: readonly Task[], services: number): readonly Row[] {
  const rounds = services > 50_000 ? 7 : 15;
  const times: number[] = [];
  for (let round = 0; round < rounds + 2; round++) {
    collectGarbage();
    const state = emptyState();
    const started = performance.now();
    state.update("bench", { kind: "whole", tasks, problems: [] });
    state.build(1);
    // The first two rounds are for the compiler.
    if (round >= 2) times.push(performance.now() - started);
  }
  const perService = (median(times) * 1000) / services;
  const text = JSON.stringify(tasks);
  const parsing = medianOf(rounds, () => JSON.parse(text) as unknown);
  const storing = medianOf(rounds, storeOf(fullState(tasks)));
  return [
    {
      name: `full build, ${services}`,
      value: perService,
      unit: "µs/service",
      ratio: perService / FULL_BUILD_TARGET_US,
    },
    {
      name: `for comparison: JSON.parse of its tasks, ${services}`,
      value: (parsing * 1000) / services,
      unit: "µs/service",
      ratio: null,
    },
    {
      name: `for comparison: its entries put in maps, ${services}`,
      value: (storing * 1000) / services,
      unit: "µs/service",
      ratio: null,
    },
    { name: `memory, ${services}`, value: memoryOf(tasks) / services, unit: "B/service", ratio: null },
  ];
}

/** Milliseconds. */
function medianOf(rounds: number, call: () => unknown): number {
  return median(
    Array.from({ length: rounds }, () => {
      collectGarbage();
      const started = performance.now();
      const kept = call();
      const took = performance.now() - started;
      if (kept === undefined) throw new Error("nothing was made");
      return took;
    }),
  );
}

/** Puts the table's entries, which are there already, into plain maps, under keys that are put together anew as a build does. */
function storeOf({ table, tasks }: TableState): () => unknown {
  const all = [table.routes, table.upstreams, table.endpoints, tasks].map((entries) =>
    [...entries].map(([key, entry]) => [key.slice(0, 10), key.slice(10), entry] as const),
  );
  return () =>
    all.map((entries) => entries.reduce((map, [a, b, entry]) => map.set(a + b, entry), new Map<string, unknown>()));
}

function measureChanges(tasks: readonly Task[], services: number): readonly Row[] {
  const state = fullState(tasks);
  const kinds: Record<string, (task: Task) => Task> = {
    "endpoint changed": withOtherEndpoint,
    "service added": withMoreServices,
    "service removed": (task) => ({ ...task, services: task.services.slice(1) }),
    "task renamed": (task) => ({ ...task, name: `${task.name}-renamed` }),
  };
  return Object.entries(kinds).flatMap(([name, change]) => {
    const times = tasks.slice(0, CHANGES).flatMap((task, index) => {
      // From all over the table, and back again unmeasured: every change meets the same table.
      const chosen = tasks[(index * 7919) % tasks.length] ?? task;
      const took = measureOne(state, change(chosen));
      measureOne(state, chosen);
      return index < CHANGES / 4 ? [] : [took];
    });
    const row = (of: string, value: number) => ({
      name: `${name}, ${services}, ${of}`,
      value,
      unit: "ms",
      ratio: value / ONE_CHANGE_TARGET_MS,
    });
    return [row("median", median(times)), row("p99", quantile(times, 0.99))];
  });
}

function measureOne(state: TableState, task: Task): number {
  const started = performance.now();
  state.update("bench", { kind: "change", set: [task], removed: [], problems: [] });
  if (state.build(2) === null) throw new Error(`nothing changed for ${task.id}`);
  return performance.now() - started;
}

function memoryOf(tasks: readonly Task[]): number {
  collectGarbage();
  const before = process.memoryUsage().heapUsed;
  const state = fullState(tasks);
  collectGarbage();
  const bytes = process.memoryUsage().heapUsed - before;
  if (state.table.routes.size === 0) throw new Error("the table is empty");
  return bytes;
}

function fullState(tasks: readonly Task[]): TableState {
  const state = emptyState();
  state.update("bench", { kind: "whole", tasks, problems: [] });
  state.build(1);
  return state;
}

function emptyState(): TableState {
  const state = createTableState(
    {
      domain: "apps.example.com",
      gateHost: "gate.apps.example.com",
      pathHost: "paths.apps.example.com",
      listener: "main",
      tcp: { ports: { from: 20_000, to: 29_999 }, services: {} },
      ceiling: "public",
      epoch: "bench",
    },
    [],
  );
  state.addSource("bench");
  return state;
}

/** Endpoints of one service after the other: most have one, some two or three. */
const REPLICAS = [1, 1, 2, 1, 1, 3, 1, 2, 1, 2];

/** Tasks of 1 to 3 services with 1 to 3 replicas each, one service in five with a path of its own; the same ones every time. */
function makeTasks(services: number): readonly Task[] {
  const tasks: Task[] = [];
  for (let made = 0, number = 0; made < services; number++) {
    const count = Math.min(1 + (number % 3), services - made);
    tasks.push(makeTask(number, made, count));
    made += count;
  }
  // As a provider reads them from a wire: strings in one piece.
  return JSON.parse(JSON.stringify(tasks)) as readonly Task[];
}

function makeTask(number: number, made: number, count: number): Task {
  const names = ["notebook", "metrics", "shell"].slice(0, count);
  const services = names.map((name, index) => makeService(name, index, made + index));
  return {
    id: `1f0c2a9e-77b1-4b1e-9c7d-${String(number).padStart(12, "0")}`,
    name: `experiment-${number}-resnet`,
    kind: "notebook",
    owner: { realm: "main", name: `user-${number % 500}` },
    namespace: `team-${number % 40}`,
    labels: { team: `team-${number % 40}` },
    state: "running",
    startedAt: 1_760_000_000_000 + number,
    services,
    endpoints: Object.fromEntries(
      names.map((name, index) => [name, makeEndpoints(number, index, REPLICAS[(made + index) % REPLICAS.length] ?? 1)]),
    ),
    access: { grants: [], anyone: "nobody" },
  };
}

function makeService(name: string, index: number, number: number): Service {
  const path: Exposure = { by: "path", prefix: `/jobs/${number}/`, strip: true };
  return {
    name,
    protocol: index === 2 ? "tcp" : "http",
    guard: "gate",
    exposures: index < 2 && number % 5 === 0 ? [path] : [],
    policy: index === 0 ? { rewriteHost: true } : {},
  };
}

function makeEndpoints(number: number, index: number, count: number): readonly Endpoint[] {
  return Array.from({ length: count }, (_, replica) => ({
    address: { ip: `10.${replica}.${(number >> 8) & 255}.${number & 255}`, port: 8000 + index },
    replica: `worker-${replica}`,
    weight: 1,
    health: "healthy" as const,
  }));
}

function withOtherEndpoint(task: Task): Task {
  const name = task.services[0]?.name ?? "";
  const [first, ...rest] = task.endpoints[name] ?? [];
  if (first === undefined) throw new Error(`${task.id} has no endpoint`);
  const changed: Endpoint = { ...first, health: first.health === "healthy" ? "unhealthy" : "healthy" };
  return { ...task, endpoints: { ...task.endpoints, [name]: [changed, ...rest] } };
}

function withMoreServices(task: Task): Task {
  const more = makeService("extra", 0, 1);
  return {
    ...task,
    services: [...task.services, more],
    endpoints: { ...task.endpoints, extra: makeEndpoints(1, 9, 2) },
  };
}

function collectGarbage(): void {
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as () => void)();
}
