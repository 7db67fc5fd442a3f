import type { Changed, Endpoints, TableDiff, Upstream } from "../../model/index.ts";

/** Entries of a diff that are taken in one part: some ten milliseconds of work. */
export const PART_ENTRIES = 256;

/**
 * A diff as several, each of at most so many entries, that come to the same one after the other: endpoints before the routes that lead to
 * them, and gone after those. One that is small enough is itself. All are parts of one revision.
 */
export function* diffParts(diff: TableDiff, most = PART_ENTRIES): Generator<TableDiff, void> {
  const { routes, upstreams, endpoints, rest } = diff;
  if ([routes, upstreams, endpoints].reduce((sum, each) => sum + sizeOf(each), 0) <= most) {
    yield diff;
    return;
  }
  const nothing: TableDiff = { ...diff, ...{ routes: NONE, upstreams: NONE, endpoints: NONE, rest: false } };
  // What verifies who comes is there before any route.
  if (rest) yield { ...nothing, rest };
  for (const part of leadsOf(diff, most)) yield { ...nothing, ...part };
  for (const set of slices(routes.set, most)) yield { ...nothing, routes: { set, removed: [] } };
  for (const removed of slices(routes.removed, most)) yield { ...nothing, routes: { set: [], removed } };
  for (const removed of slices(endpoints.removed, most)) yield { ...nothing, endpoints: { set: [], removed } };
  for (const removed of slices(upstreams.removed, most)) yield { ...nothing, upstreams: { set: [], removed } };
}

const NONE = Object.freeze({ set: [], removed: [] });

/** Endpoints, each with its upstream, as both are one thing to Envoys; then upstreams whose endpoints did not change. */
function* leadsOf({ upstreams, endpoints }: TableDiff, most: number) {
  const byId = new Map(upstreams.set.map((upstream) => [upstream.id, upstream]));
  for (const set of slices(endpoints.set, most)) {
    const own: Upstream[] = [];
    for (const { upstream } of set) {
      const found = byId.get(upstream);
      if (found !== undefined) own.push(found);
      byId.delete(upstream);
    }
    yield { endpoints: { set, removed: [] } satisfies Changed<Endpoints>, upstreams: { set: own, removed: [] } };
  }
  for (const set of slices([...byId.values()], most)) yield { upstreams: { set, removed: [] } };
}

function sizeOf({ set, removed }: Changed<unknown>): number {
  return set.length + removed.length;
}

function* slices<T>(list: readonly T[], most: number): Generator<readonly T[], void> {
  for (let at = 0; at < list.length; at += most) yield list.slice(at, at + most);
}
