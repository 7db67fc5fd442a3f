import fc from "fast-check";
import type { Claim, Exposure, Service, SourceUpdate, Task } from "../../model/index.ts";
import type { TableOptions, TableState } from "../table-state.ts";
import { change, makeEndpoint, makeService, makeState, makeTask, whole } from "./make.ts";

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
export const OPTIONS: Partial<TableOptions> = {
  ceiling: "public",
  tcp: { ports: { from: 20_000, to: 20_002 }, services: { "local/a/one": 20_002, "k8s/b/two": "auto" } },
};
export const SOURCES = ["local", "k8s"] as const;

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
export const tasks = fc.uniqueArray(task, { maxLength: 4, selector: (one) => one.id });

export type Step = readonly (readonly [source: string, update: SourceUpdate])[];

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
export const steps = fc.array(step, { maxLength: 8 });

/** What every source now lists: the other way to know what a table should hold. */
export class Listing {
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

/** What a table holds, in one order. */
export function content(table: Pick<TableState["table"], "routes" | "upstreams" | "endpoints" | "problems">): unknown {
  const sorted = (entries: ReadonlyMap<string, unknown>) => [...entries].sort(([a], [b]) => (a < b ? -1 : 1));
  return [table.routes, table.upstreams, table.endpoints, table.problems].map(sorted);
}
