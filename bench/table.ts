import { createTableState } from "../src/core/create-table-state.ts";
import { nameHash } from "../src/core/name-hosts.ts";
import { readTask } from "../src/core/read-task.ts";
import type { TableState } from "../src/core/table-state.ts";
import type { Endpoint, Exposure, Route, Service, Task } from "../src/model/index.ts";
import { garbageCollector } from "../src/platform/garbage-collector.ts";
import { median, quantile, type Row, type Suite } from "./suite.ts";

const SIZES = [10_000, 100_000];
const FULL_BUILD_TARGET_US = 10;
const ONE_CHANGE_TARGET_MS = 0.2;
const CHANGES = 400;

const collectGarbage = garbageCollector();

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
  const build = (state: TableState) => {
    state.update("bench", { kind: "whole", tasks, problems: [] });
    return state.build(1);
  };
  const perService = (medianOf(rounds, emptyState, build) * 1000) / services;
  const memory = memoryOf(tasks) / services;
  const least = measureLeast(tasks, services, rounds);
  return [
    {
      name: `full build, ${services}`,
      value: perService,
      unit: "µs/service",
      ratio: perService / FULL_BUILD_TARGET_US,
    },
    ...least,
    { name: `memory, ${services}`, value: memory, unit: "B/service", ratio: null },
  ];
}

/**
 * What any build of these tasks has to do, each by itself and with nothing decided in between: read every task, hash a name for every
 * service, make the routes, and put them and the other entries into maps under keys that are put together anew.
 */
function measureLeast(tasks: readonly Task[], services: number, rounds: number): readonly Row[] {
  const { table, tasks: merged, claims } = builtState(tasks);
  const routes = split(table.routes);
  const others = [table.upstreams, table.endpoints, merged].map((entries) => split<unknown>(entries));
  const names = tasks.flatMap((task) => task.services.map(({ name }) => `${task.id}${task.name}${name}`));
  const read = (task: Task) =>
    readTask(task, { provider: "bench", id: task.id, key: `bench/${task.id}`, loopback: false, previous: null });
  const parts: readonly [string, () => unknown][] = [
    ["reading the tasks", () => tasks.map(read)],
    ["one hash a service", () => names.map(nameHash)],
    ["routes made and put in a map", () => storeRoutes(routes)],
    ["other entries put in maps", () => [...others.map(store), new Map(claims.map((claim) => [claim, claim]))]],
  ];
  const rows = parts.map(([name, call]) => ({ name, value: (medianOf(rounds, () => null, call) * 1000) / services }));
  const sum = rows.reduce((total, { value }) => total + value, 0);
  return [...rows, { name: "all four", value: sum }].map(({ name, value }) => ({
    ...{ name: `at least: ${name}, ${services}`, value, unit: "µs/service" },
    ratio: value / FULL_BUILD_TARGET_US,
  }));
}

type Split<T> = readonly (readonly [start: string, end: string, entry: T])[];

function split<T>(entries: ReadonlyMap<string, T>): Split<T> {
  return [...entries].map(([key, entry]) => [key.slice(0, 10), key.slice(10), entry] as const);
}

function store(entries: Split<unknown>): ReadonlyMap<string, unknown> {
  const map = new Map<string, unknown>();
  for (const [start, end, entry] of entries) map.set(start + end, entry);
  return map;
}

function storeRoutes(routes: Split<Route>): ReadonlyMap<string, Route> {
  const map = new Map<string, Route>();
  for (const [start, end, { service, protocol, guard, upstream, owner, access, policy }] of routes) {
    const id = start + end;
    const match: Route["match"] = { by: "host", listener: "main", host: id.slice(10) };
    map.set(id, { id, match, service, protocol, guard, upstream, owner, access, policy });
  }
  return map;
}

/** Milliseconds that `call` takes; what comes before it is not measured. */
function medianOf<T>(rounds: number, before: () => T, call: (made: T) => unknown): number {
  const times: number[] = [];
  for (let round = 0; round < rounds + 2; round++) {
    collectGarbage();
    const made = before();
    const started = performance.now();
    const kept = call(made);
    // The first two rounds are for the compiler.
    if (round >= 2) times.push(performance.now() - started);
    if (kept === undefined) throw new Error("nothing was made");
  }
  return median(times);
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
  return builtState(tasks).state;
}

function builtState(tasks: readonly Task[]) {
  const state = emptyState();
  state.update("bench", { kind: "whole", tasks, problems: [] });
  const claims = state.build(1)?.claims.set ?? [];
  return { state, table: state.table, tasks: state.tasks, claims };
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
