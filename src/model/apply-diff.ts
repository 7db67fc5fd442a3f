import { problemKey, type Problem } from "./problem.ts";
import type { Endpoints, Route, Upstream } from "./route.ts";
import type { Changed, RouteTable, TableDiff } from "./table.ts";

/** A copy of what a table holds, kept by diffs. */
export interface TableCopy {
  readonly routes: Map<string, Route>;
  readonly upstreams: Map<string, Upstream>;
  readonly endpoints: Map<string, Endpoints>;
  readonly problems: Map<string, Problem>;
}

/** Brings a copy of the table at `diff.from` to `diff.to`. */
export function applyDiff(copy: TableCopy, diff: Omit<TableDiff, "from" | "to" | "rest">): void {
  apply(copy.routes, diff.routes, (route) => route.id);
  apply(copy.upstreams, diff.upstreams, (upstream) => upstream.id);
  apply(copy.endpoints, diff.endpoints, (endpoints) => endpoints.upstream);
  apply(copy.problems, diff.problems, problemKey);
}

/** The diff from nothing: what who comes late applies first. `from` is the epoch's revision 0. */
export function wholeDiff(table: RouteTable): TableDiff {
  return {
    from: { epoch: table.revision.epoch, seq: 0 },
    to: table.revision,
    routes: all(table.routes),
    upstreams: all(table.upstreams),
    endpoints: all(table.endpoints),
    problems: all(table.problems),
    rest: true,
  };
}

function apply<T>(entries: Map<string, T>, changed: Changed<T>, keyOf: (value: T) => string): void {
  for (const key of changed.removed) entries.delete(key);
  for (const value of changed.set) entries.set(keyOf(value), value);
}

function all<T>(entries: ReadonlyMap<string, T>): Changed<T> {
  return { set: [...entries.values()], removed: [] };
}
