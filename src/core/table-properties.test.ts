import fc from "fast-check";
import { expect, test } from "vitest";
import {
  applyDiff,
  type TableCopy,
  matchKey,
  type Claim,
  type Exposure,
  type Service,
  type SourceUpdate,
  type Task,
} from "../model/index.ts";
import type { Built, TableOptions, TableState } from "./table-state.ts";
import { change, makeEndpoint, makeService, makeState, makeTask, whole } from "./testing/make.ts";

// A small world, so that names, paths and ports are often wanted by several.
const EXPOSURES: readonly Exposure[] = [
  { by: "host", label: "nb" },
  { by: "host", label: "taskgate" },
  { by: "path", prefix: "/p/", strip: true },
  { by: "path", prefix: "/p/", strip: false },
  { by: "headers", all: [["x-id", "1"]] },
  { by: "serverName", name: "daskgateway-1" },
  { by: "port" },
  { by: "port", port: 20_001 },
];
const OPTIONS: Partial<TableOptions> = {
  ceiling: "public",
  tcp: { ports: { from: 20_000, to: 20_002 }, services: { "local/a/one": 20_002, "k8s/b/two": "auto" } },
};
const SOURCES = ["local", "k8s"] as const;

const access = fc.constantFrom(
  undefined,
  { grants: [], anyone: "public" } as const,
  { grants: [], anyone: "nobody" } as const,
);

const service: fc.Arbitrary<unknown> = fc
  .record({
    name: fc.constantFrom("one", "two", "three"),
    protocol: fc.constantFrom("http", "tcp", "tls", "grpc"),
    exposures: fc.subarray([...EXPOSURES]),
    access,
    isSelf: fc.boolean(),
    isBroken: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
  })
  .map(({ name, protocol, exposures, access: given, isSelf, isBroken }) => {
    const guard = isSelf && (protocol === "tcp" || protocol === "tls") ? "self" : "gate";
    const fields = { protocol, exposures, guard, ...(given !== undefined && { access: given }) } as Partial<Service>;
    return { ...makeService(name, fields), ...(isBroken && { protocol: "smtp" }) };
  });

const task: fc.Arbitrary<{ readonly id: string }> = fc
  .record({
    id: fc.constantFrom("a", "b", "c", "d"),
    name: fc.constantFrom("nb", "lab", "one-nb", "taskgate"),
    services: fc.uniqueArray(service, { maxLength: 3, selector: (one) => (one as Service).name }),
    replicas: fc.uniqueArray(fc.constantFrom("r0", "r1", "r2"), { maxLength: 3 }),
    port: fc.integer({ min: 1, max: 3 }),
    isBroken: fc.integer({ min: 0, max: 14 }).map((n) => n === 0),
  })
  .map(({ id, name, services, replicas, port, isBroken }) => {
    const list = replicas.map((replica, index) => makeEndpoint(port * 10 + index, replica));
    const fields = { name, services, endpoints: { one: list, two: list.slice(0, 1) } } as Partial<Task>;
    return isBroken ? { ...makeTask(id, fields), owner: "alice" } : makeTask(id, fields);
  });
const tasks = fc.uniqueArray(task, { maxLength: 4, selector: (one) => one.id });

type Step = readonly (readonly [source: string, update: SourceUpdate])[];

const update = fc.oneof(
  tasks.map((set) => whole(...set)),
  fc.tuple(tasks, fc.subarray(["a", "b", "c", "d"])).map(([set, removed]) =>
    change(
      set,
      removed.filter((id) => set.every((one) => one.id !== id)),
    ),
  ),
  fc.constant<SourceUpdate>({ kind: "stale", since: 1, error: new Error("away") }),
);
const step: fc.Arbitrary<Step> = fc.array(fc.tuple(fc.constantFrom(...SOURCES), update), {
  minLength: 1,
  maxLength: 3,
});
const steps = fc.array(step, { maxLength: 8 });

/** What every source now lists: the other way to know what a table should hold. */
class Listing {
  readonly tasks = new Map<string, Map<string, unknown>>();
  readonly stale = new Set<string>();

  note(source: string, told: SourceUpdate): void {
    if (told.kind === "stale") {
      this.stale.add(source);
      return;
    }
    const before = this.tasks.get(source);
    // A change of a source that never told everything is applied, but it is not heard.
    if (told.kind === "whole" || before !== undefined) this.stale.delete(source);
    const listed = told.kind === "whole" ? new Map<string, unknown>() : (before ?? new Map<string, unknown>());
    for (const id of told.kind === "change" ? told.removed : []) listed.delete(id);
    for (const one of told.kind === "whole" ? told.tasks : told.set) listed.set(one.id, one);
    this.tasks.set(source, listed);
  }

  build(claims: Iterable<Claim>): TableState {
    const state = makeState(OPTIONS, claims);
    for (const [source, listed] of this.tasks) state.update(source, whole(...listed.values()));
    for (const source of this.stale) state.update(source, { kind: "stale", since: 1, error: new Error("away") });
    state.build(1);
    return state;
  }
}

class Followed {
  readonly state = makeState(OPTIONS);
  readonly listing = new Listing();
  readonly claims = new Map<string, Claim>();
  readonly copy: TableCopy = { routes: new Map(), upstreams: new Map(), endpoints: new Map(), problems: new Map() };

  constructor() {
    // Every source is heard from the start: what is not heard keeps claims, which a build from a listing cannot know.
    for (const source of SOURCES) this.tell(source, whole());
    this.build();
  }

  tell(source: string, told: SourceUpdate): void {
    this.state.update(source, told);
    this.listing.note(source, told);
  }

  build(): Built | null {
    const built = this.state.build(1);
    if (built === null) return null;
    applyDiff(this.copy, built.diff);
    for (const id of built.claims.removed) this.claims.delete(id);
    for (const claim of built.claims.set) this.claims.set(matchKey(claim.match), claim);
    return built;
  }
}

function content(table: Pick<TableState["table"], "routes" | "upstreams" | "endpoints" | "problems">): unknown {
  const sorted = (entries: ReadonlyMap<string, unknown>) => [...entries].sort(([a], [b]) => (a < b ? -1 : 1));
  return [table.routes, table.upstreams, table.endpoints, table.problems].map(sorted);
}

test("applying the diffs gives the table, and both are what a full build with the same claims gives", () => {
  fc.assert(
    fc.property(steps, (sequence) => {
      const followed = new Followed();
      for (const told of sequence) {
        for (const [source, one] of told) followed.tell(source, one);
        const before = followed.state.table.revision.seq;
        const built = followed.build();
        expect(followed.state.table.revision.seq).toBe(built === null ? before : before + 1);
        expect(content(followed.copy)).toEqual(content(followed.state.table));
        const full = followed.listing.build(followed.claims.values());
        expect(content(full.table)).toEqual(content(followed.state.table));
        expect([...full.tasks.keys()].sort()).toEqual([...followed.state.tasks.keys()].sort());
      }
    }),
    { numRuns: 150 },
  );
});

test("the order in which sources and their tasks are told never matters", () => {
  fc.assert(
    fc.property(tasks, tasks, fc.infiniteStream(fc.nat()), (local, k8s, random) => {
      const build = (first: (typeof SOURCES)[number], order: (list: readonly unknown[]) => readonly unknown[]) => {
        const state = makeState(OPTIONS);
        for (const source of first === "local" ? SOURCES : SOURCES.toReversed()) {
          state.update(source, whole(...order(source === "local" ? local : k8s)));
        }
        const built = state.build(1);
        const claims = built?.claims.set.map((claim) => `${matchKey(claim.match)} ${claim.service}`).sort();
        return [content(state.table), claims];
      };
      const shuffled = (list: readonly unknown[]) =>
        list.map((one) => [random.next().value ?? 0, one] as const).sort(([a], [b]) => a - b).map(([, one]) => one); // prettier-ignore
      expect(build("k8s", shuffled)).toEqual(build("local", (list) => list));
    }),
    { numRuns: 300 },
  );
});

test("whether changes are built one by one or together, an equal listing has equal tasks and endpoints", () => {
  fc.assert(
    fc.property(steps, (sequence) => {
      const [often, once] = [new Followed(), new Followed()];
      for (const told of sequence)
        for (const [source, one] of told) {
          often.tell(source, one);
          often.build();
          once.tell(source, one);
        }
      once.build();
      expect([...once.state.tasks]).toEqual(expect.arrayContaining([...often.state.tasks]));
      expect(once.state.tasks.size).toBe(often.state.tasks.size);
      expect(new Map(once.state.table.endpoints)).toEqual(new Map(often.state.table.endpoints));
      expect(new Map(once.state.table.upstreams)).toEqual(new Map(often.state.table.upstreams));
    }),
    { numRuns: 120 },
  );
});

test("an incumbent is never displaced while it wants what it has", () => {
  fc.assert(
    fc.property(steps, (sequence) => {
      const followed = new Followed();
      for (const told of sequence) {
        const before = new Map(followed.claims);
        for (const [source, one] of told) followed.tell(source, one);
        followed.build();
        for (const [id, { service: holder, match }] of before) {
          if (followed.claims.get(id)?.service === holder) continue;
          // It lost its claim, so on a gate of its own, with no one beside it, it must not want that name at all.
          const [source = "", taskId = ""] = holder.split("/");
          const listed = followed.listing.tasks.get(source)?.get(taskId);
          const alone = makeState(OPTIONS, [{ match, service: holder, since: 1 }]);
          alone.update(source, whole(...(listed === undefined ? [] : [listed])));
          alone.build(1);
          expect(alone.table.routes.get(id)?.service).not.toBe(holder);
        }
      }
    }),
    { numRuns: 150 },
  );
});

test("no two services ever share a match, and every claimed route has its claim", () => {
  fc.assert(
    fc.property(steps, (sequence) => {
      const followed = new Followed();
      for (const told of sequence) {
        for (const [source, one] of told) followed.tell(source, one);
        followed.build();
        for (const [id, route] of followed.state.table.routes) {
          expect(matchKey(route.match)).toBe(id);
          expect(followed.state.table.upstreams.has(route.upstream)).toBe(true);
          expect(followed.state.table.endpoints.has(route.upstream)).toBe(true);
          const isGenerated = /-[a-z2-7]{16}\.(tls\.)?localhost$/.test(id);
          expect(followed.claims.get(id)?.service).toBe(isGenerated ? undefined : route.service);
        }
      }
    }),
    { numRuns: 120 },
  );
});
