import { describe, expect, test } from "vitest";
import type { Changed, TableDiff } from "../../model/index.ts";
import { byHost, TableBuilder } from "../testing/table-builder.ts";
import { diffParts } from "./diff-parts.ts";

const address = { ip: "127.0.0.1", port: 80 };

function fill(builder: TableBuilder, count: number, port = 80): TableBuilder {
  for (let at = 0; at < count; at += 1) {
    const matches = [byHost(`job-${at}.localhost`), byHost(`job-${at}-hash.localhost`)];
    builder.service({ key: `local/job-${at}/web`, matches, endpoints: [{ ...address, port }] });
  }
  return builder;
}

function sizeOf({ routes, upstreams, endpoints }: TableDiff): number {
  return Math.max(...[routes, upstreams, endpoints].map(({ set, removed }) => set.length + removed.length));
}

/** What all parts have together, in their order. */
function joined<T>(parts: readonly Changed<T>[]): Changed<T> {
  return { set: parts.flatMap(({ set }) => set), removed: parts.flatMap(({ removed }) => removed) };
}

describe("parts of a diff", () => {
  test("a small one is itself", () => {
    const { diff } = fill(new TableBuilder(), 10).commit();
    expect([...diffParts(diff)]).toEqual([diff]);
  });

  test("are bounded, and come to the same together", () => {
    const builder = fill(new TableBuilder(), 1000);
    builder.commit();
    for (let at = 0; at < 300; at += 1) builder.remove(`local/job-${at}/web`);
    for (let at = 300; at < 1000; at += 1) {
      builder.service({
        key: `local/job-${at}/web`,
        matches: [byHost(`job-${at}.localhost`), byHost(`more-${at}.localhost`)],
        policy: at % 2 === 0 ? { rewriteHost: true } : {},
        endpoints: [{ ...address, port: at % 3 === 0 ? 81 : 80 }],
      });
    }
    const { diff } = builder.commit();
    const parts = [...diffParts(diff, 64)];
    expect(Math.max(...parts.map(sizeOf))).toBe(64);
    expect(joined(parts.map(({ routes }) => routes))).toEqual(diff.routes);
    expect(joined(parts.map(({ endpoints }) => endpoints))).toEqual(diff.endpoints);
    const ids = (upstreams: TableDiff["upstreams"]) => [
      upstreams.set.map(({ id }) => id).toSorted(),
      upstreams.removed.toSorted(),
    ];
    expect(ids(joined(parts.map(({ upstreams }) => upstreams)))).toEqual(ids(diff.upstreams));
    expect(parts.every(({ from, to }) => from === diff.from && to === diff.to)).toBe(true);
  });

  test("endpoints and their upstreams come before all routes, and go after them", () => {
    const builder = fill(new TableBuilder(), 200);
    const first = [...diffParts(builder.commit().diff, 64)];
    const lastEndpoints = first.findLastIndex(({ endpoints }) => endpoints.set.length > 0);
    const firstRoutes = first.findIndex(({ routes }) => routes.set.length > 0);
    expect(lastEndpoints).toBeLessThan(firstRoutes);
    for (const { endpoints, upstreams } of first) expect(endpoints.set.length).toBe(upstreams.set.length);
    expect(first.map(({ rest }) => rest)).toEqual([true, ...first.slice(1).map(() => false)]);
    for (let at = 0; at < 200; at += 1) builder.remove(`local/job-${at}/web`);
    const last = [...diffParts(builder.commit().diff, 64)];
    const lastRoutes = last.findLastIndex(({ routes }) => routes.removed.length > 0);
    const firstEndpoints = last.findIndex(({ endpoints }) => endpoints.removed.length > 0);
    expect(lastRoutes).toBeLessThan(firstEndpoints);
  });
});
