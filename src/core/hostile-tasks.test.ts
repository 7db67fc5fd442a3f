import fc from "fast-check";
import { expect, test } from "vitest";
import type { SourceUpdate, Task } from "../model/index.ts";
import { LIMITS } from "./limits.ts";
import { change, makeEndpoint, makeService, makeState, makeTask, whole } from "./testing/make.ts";

const HEALTHY = ["h1", "h2", "h3"].map((id) =>
  makeTask(id, {
    services: [
      makeService("web", { exposures: [{ by: "path", prefix: `/${id}/`, strip: true }] }),
      makeService("sh", { protocol: "tcp", exposures: [{ by: "port" }], access: { grants: [], anyone: "public" } }),
    ],
    endpoints: { web: [makeEndpoint(80, "0"), makeEndpoint(81, "1")], sh: [makeEndpoint(22)] },
  }),
);

const STRINGS = [
  ...["", " ", "\0", "\r\nHost: x", "../../etc/passwd", "__proto__", "constructor", "toString", "hasOwnProperty"],
  ...["a/b", "h1", "taskgate", "paths", "*", "*.localhost", "127.0.0.1", "::1", "169.254.169.254", "0x7f.1", "\ud800"],
  ...["\u202egnp.exe", "%2e%2e/", "'; drop table", "<script>", "x".repeat(5_000), "é".repeat(300), "0", "NaN", "null"],
];
/** Made when it is used: what throws when it is looked at cannot be shown by a failing test either. */
type Make = () => unknown;

const trap = (): never => {
  throw new Error("trap");
};
const hostileObject = fc.constantFrom<Make>(
  () => new Proxy({}, { get: trap, ownKeys: trap, getOwnPropertyDescriptor: trap }),
  () => new Proxy([], { get: trap }),
  () => Object.defineProperties({}, { name: { get: trap, enumerable: true }, by: { get: trap, enumerable: true } }),
  () => Object.create({ name: "inherited", protocol: "http", realm: "main" }) as unknown,
  () => JSON.parse('{"__proto__":{"admin":true},"constructor":{"prototype":{}},"name":"x"}') as unknown,
  () => new Map([["web", 1]]),
  () => () => "function",
  () => Symbol("s"),
  () => 10n,
  () => new Date(NaN),
  () => {
    const cycle: Record<string, unknown> = {};
    cycle.self = cycle;
    return cycle;
  },
  () => Object.assign([1, 2], { length: 4_294_967_295 }),
);
const hostile: fc.Arbitrary<Make> = fc.oneof(
  hostileObject,
  fc
    .oneof(
      fc.constantFrom(...STRINGS),
      fc.constantFrom<unknown>(undefined, null, NaN, Infinity, -1, 0, 1.5, 2 ** 53, 65_536, true, [], {}, [[]], [null]),
      fc.anything({ withNullPrototype: true, withSparseArray: true, withBigInt: true, maxDepth: 2 }),
      fc.jsonValue({ maxDepth: 3 }),
    )
    .map((value) => () => value),
);

/** Places in a task, and one more that it should not have. */
const PLACES = [
  ...["name", "kind", "owner", "owner.name", "owner.realm", "namespace", "labels", "labels.x", "labels.__proto__"],
  ...["ref", "ref.uid", "state", "reason", "startedAt", "services", "services.0", "services.1", "services.5", "extra"],
  ...["services.0.name", "services.0.protocol", "services.0.port", "services.0.guard", "services.0.landingPath"],
  ...["services.0.exposures", "services.0.exposures.0", "services.0.exposures.0.by", "services.0.exposures.0.prefix"],
  ...["services.0.exposures.0.host", "services.0.exposures.0.strip", "services.0.exposures.1", "services.0.access"],
  ...["services.0.access.anyone", "services.0.access.grants", "services.0.policy", "services.0.policy.activeHealth"],
  ...["services.0.policy.idleTimeoutMs", "services.1.exposures.0.port", "services.1.name", "services.1.access.anyone"],
  ...["endpoints", "endpoints.web", "endpoints.web.0", "endpoints.web.0.address", "endpoints.web.0.address.ip"],
  ...["endpoints.web.0.address.port", "endpoints.web.0.address.unix", "endpoints.web.0.replica", "endpoints.web.1"],
  ...["endpoints.web.0.weight", "endpoints.web.0.health", "endpoints.constructor", "access", "access.anyone"],
  ...["access.grants", "access.grants.0", "access.authority"],
];

/** A task that was fine until something was put somewhere in it. Ids are larger than the healthy ones', which come first. */
const mutated: fc.Arbitrary<Make> = fc
  .tuple(fc.nat({ max: 30 }), fc.array(fc.tuple(fc.constantFrom(...PLACES), hostile), { minLength: 1, maxLength: 3 }))
  .map(([number, changes]) => () => {
    const task: unknown = structuredClone({ ...HEALTHY[number % 3], id: `z${number}` });
    for (const [place, make] of changes) put(task, place.split("."), make());
    return task;
  });
const badTask = fc.oneof({ weight: 4, arbitrary: mutated }, { weight: 1, arbitrary: hostile });

function put(target: unknown, [key = "", ...rest]: readonly string[], value: unknown): void {
  if (typeof target !== "object" || target === null) return;
  try {
    if (rest.length > 0) put(Object.getOwnPropertyDescriptor(target, key)?.value, rest, value);
    else Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true });
  } catch {
    // What was put there before throws when it is looked at, or is frozen: the task is hostile enough.
  }
}

test("10,000 random bad tasks: nothing is thrown, and the healthy ones' routes stay the objects that they were", () => {
  const state = makeState({ tcp: { ports: { from: 20_000, to: 20_999 }, services: {} } });
  state.update("local", whole(...HEALTHY));
  state.build(1);
  const healthy = HEALTHY.flatMap((task) => task.services.map((service) => `local/${task.id}/${service.name}`));
  const before = healthy.map((key) => state.routesOf(key));
  const endpoints = healthy.map((key) => state.table.endpoints.get(key));
  expect(before.map((routes) => routes.length)).toEqual([5, 3, 5, 3, 5, 3]);
  let tasks = 0;
  fc.assert(
    fc.property(fc.array(badTask, { minLength: 20, maxLength: 20 }), fc.boolean(), (bad, isWhole) => {
      tasks += bad.length;
      const set = bad.map((make) => make());
      state.update("local", isWhole ? whole(...HEALTHY, ...set) : change(set));
      state.build(1);
      for (const [index, key] of healthy.entries()) {
        const routes = state.routesOf(key);
        expect(routes).toHaveLength(before[index]?.length ?? -1);
        for (const [at, route] of routes.entries()) expect(Object.is(route, before[index]?.[at])).toBe(true);
        expect(Object.is(state.table.endpoints.get(key), endpoints[index])).toBe(true);
      }
    }),
    { numRuns: 500, endOnFailure: true },
  );
  expect(tasks).toBeGreaterThanOrEqual(10_000);
  expect(Object.getOwnPropertyNames(Object.prototype)).not.toContain("admin");
  state.update("local", whole(...HEALTHY));
  state.build(1);
  expect(state.table.problems.size).toBe(0);
  expect(state.table.routes.size).toBe(before.flat().length);
});

test("beside bad tasks from the start, the healthy ones have what they have alone", () => {
  const alone = makeState();
  alone.update("local", whole(...HEALTHY));
  alone.build(1);
  fc.assert(
    fc.property(fc.array(mutated, { maxLength: 10 }), (bad) => {
      const state = makeState();
      state.update("local", whole(...bad.map((make) => make()), ...HEALTHY));
      state.build(1);
      for (const task of HEALTHY) {
        // A bad task may be well enough to want a port or a name: those it may have in the order of keys. It never has another's host.
        const ways = (of: typeof state) =>
          of.routesOf(`local/${task.id}/web`).map((route) => [route.id, route.access, route.owner, route.upstream]);
        expect(ways(state)).toEqual(ways(alone));
      }
    }),
    { numRuns: 300 },
  );
});

test("updates that are no updates are problems of their source, whose tasks stay", () => {
  const state = makeState();
  state.update("local", whole(...HEALTHY));
  state.build(1);
  const routes = [...state.table.routes.values()];
  fc.assert(
    fc.property(hostile, fc.constantFrom("whole", "change", "stale", "other"), (make, kind) => {
      const value = make();
      // A list of tasks is an update, and an empty one too.
      fc.pre(!(Array.isArray(value) && kind === "whole"));
      const shapes: unknown[] = [
        value,
        { kind, tasks: value, set: value, removed: [], problems: [] },
        { kind, error: value },
      ];
      for (const shape of shapes) {
        state.update("local", shape as SourceUpdate);
        state.build(1);
        expect([...state.table.routes.values()]).toEqual(routes);
      }
    }),
    { numRuns: 500 },
  );
  state.update("local", null as unknown as SourceUpdate);
  state.build(1);
  expect([...state.table.problems.values()].map((problem) => problem.code)).toContain("update_invalid");
});

test("a whole update that breaks off in its middle does not pass for a smaller whole", () => {
  const state = makeState();
  state.update("local", whole(...HEALTHY));
  state.build(1);
  const tasks = new Proxy([...HEALTHY], {
    get(target, key) {
      if (key === "1") throw new Error("gone");
      return Reflect.get(target, key) as unknown;
    },
  });
  state.update("local", { kind: "whole", tasks, problems: [] });
  state.build(1);
  expect(state.tasks.size).toBe(HEALTHY.length);
});

test("what goes beyond a bound is refused, and what is within it is had", () => {
  const state = makeState();
  const services = Array.from({ length: LIMITS.servicesPerTask + 1 }, (_, index) => makeService(`s${index}`));
  const endpoint = (index: number) => makeEndpoint(1 + (index % 60_000), `r${index}`);
  const list = Array.from({ length: LIMITS.endpointsPerService + 1 }, (_, index) => endpoint(index));
  state.update(
    "local",
    whole(
      makeTask("many-services", { services }),
      makeTask("most-services", { services: services.slice(1), endpoints: {} }),
      makeTask("many-endpoints", { endpoints: { web: list } }),
      makeTask("most-endpoints", { endpoints: { web: list.slice(1) } }),
    ),
  );
  state.build(1);
  expect([...state.tasks.keys()].sort()).toEqual([
    "local/many-endpoints",
    "local/most-endpoints",
    "local/most-services",
  ]);
  expect(state.table.endpoints.get("local/many-endpoints/web")?.list).toEqual([]);
  expect(state.table.endpoints.get("local/most-endpoints/web")?.list).toHaveLength(LIMITS.endpointsPerService);
  const codes = [...state.table.problems.values()].map(({ subject, code }) => `${subject} ${code}`);
  expect(codes.sort()).toEqual(["local/many-endpoints/web endpoint_invalid", "local/many-services task_invalid"]);
});

test("a task full of mistakes has a bounded number of problems", () => {
  const state = makeState();
  const services = Array.from({ length: 200 }, (_, index) => ({ name: `s${index}`, protocol: "smtp" }));
  state.update("local", whole(makeTask("bad", { services: services as unknown as Task["services"] })));
  state.build(1);
  expect(state.table.problems.size).toBe(LIMITS.problemsPerTask);
});

test("holes in lists are entries that are missing", () => {
  const state = makeState();
  const holed = (list: readonly unknown[]) => Object.assign([...list], { length: list.length + 1 });
  const grant = { to: { link: "l" }, by: { realm: "main", name: "alice" } };
  const bad = makeTask("bad", { access: { grants: holed([grant]) as [], anyone: "nobody" } });
  const some = makeTask("some", { endpoints: { web: holed([makeEndpoint(1), makeEndpoint(2)]) as [] } });
  state.update("local", whole(bad, some));
  state.build(1);
  expect([...state.tasks.keys()]).toEqual(["local/some"]);
  expect(state.table.endpoints.get("local/some/web")?.list).toHaveLength(2);
  expect(state.table.problems.size).toBe(2);
});

test("a service named as something of Object's has its own endpoints, and none of its own when none are told", () => {
  const state = makeState();
  const services = ["constructor", "toString", "valueOf"].map((name) => makeService(name));
  const endpoints = { constructor: [makeEndpoint(1)] };
  state.update("local", whole(makeTask("x", { services, endpoints: endpoints as unknown as Task["endpoints"] })));
  state.build(1);
  expect(state.table.endpoints.get("local/x/constructor")?.list).toHaveLength(1);
  expect(state.table.endpoints.get("local/x/toString")?.list).toEqual([]);
  expect(state.tasks.get("local/x")?.task.endpoints.toString).toEqual([]);
});
