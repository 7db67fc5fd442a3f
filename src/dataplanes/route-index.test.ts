import fc from "fast-check";
import { expect, test } from "vitest";
import { matchKey, type Match, type Route } from "../model/index.ts";
import { byHeaders, byHost, byPath, byPort } from "./testing/table-builder.ts";
import { createHead } from "./embedded/testing/create-head.ts";
import { RouteIndex } from "./route-index.ts";

function route(match: Match, service: string): Route {
  return {
    ...{
      id: matchKey(match),
      match,
      service,
      protocol: "http",
      guard: "gate",
      upstream: service,
      owner: null,
      policy: {},
    },
    access: { grants: [], anyone: "nobody" },
  };
}

const ask = (host: string, path = "/", fields: readonly string[] = []) =>
  createHead({ method: "GET", host, path, peer: "127.0.0.1", secure: false }, fields);

const MATCHES: readonly Match[] = [
  ...["a.localhost", "b.localhost", "paths.localhost"].map(byHost),
  ...["/", "/a/", "/a/b/", "/c/"].map((prefix) => byPath("paths.localhost", prefix)),
  ...[1, 2].map(byPort),
  byHeaders([["x-id", "1"]]),
  byHeaders([
    ["x-id", "1"],
    ["x-part", "2"],
  ]),
];
const HEADS = [
  ...["a.localhost", "b.localhost", "paths.localhost", "127.0.0.1"].flatMap((host) =>
    ["/", "/a", "/a/", "/a/b/c", "/c/x", "/d"].map((path) => ask(host, path)),
  ),
  ask("127.0.0.1", "/", ["x-id", "1"]),
  ask("127.0.0.1", "/", ["x-id", "1", "x-part", "2"]),
  ask("127.0.0.1", "/", ["x-taskgate-service", "a"]),
  ask("b.localhost", "/", ["x-taskgate-service", "a"]),
];

test("finds after any changes what an index of the end result finds", () => {
  const step = fc.record({
    match: fc.constantFrom(...MATCHES),
    service: fc.constantFrom("local/x/web", "local/y/web", null),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const changed = new RouteIndex("localhost");
      const end = new Map<string, Route>();
      for (const { match, service } of steps) {
        const id = matchKey(match);
        if (service === null) end.delete(id);
        else end.set(id, route(match, service));
        changed.apply(service === null ? { set: [], removed: [id] } : { set: [route(match, service)], removed: [] });
      }
      const built = new RouteIndex("localhost");
      built.apply({ set: [...end.values()], removed: [] });
      for (const head of HEADS) expect(changed.find(head)).toEqual(built.find(head));
      expect(new Map(changed.ports)).toEqual(new Map(built.ports));
      for (const service of ["local/x/web", "local/y/web"])
        expect(changed.hasService(service)).toBe(built.hasService(service));
    }),
  );
});

test("says which routes were lost: gone, or with another service or upstream; not those whose access or policy changed", () => {
  const index = new RouteIndex("localhost");
  const [a, b, c] = ["a", "b", "c"].map((name) => route(byHost(`${name}.localhost`), `local/${name}/web`)) as [
    Route,
    Route,
    Route,
  ];
  expect(index.apply({ set: [a, b, c], removed: [] })).toEqual([]);
  const open = { ...a, access: { grants: [], anyone: "public" as const }, policy: { rewriteHost: true } };
  const moved = { ...b, upstream: "local/b/web 1" };
  expect(index.apply({ set: [open, moved], removed: [c.id, "host main never.localhost"] })).toEqual([c, b]);
});

test("bounds the work for a path of many slashes", () => {
  const index = new RouteIndex("localhost");
  index.apply({ set: [route(byPath("paths.localhost", "/a/"), "local/a/web")], removed: [] });
  const found = index.find(ask("paths.localhost", `/a${"/".repeat(30_000)}`));
  expect(found.kind === "route" && found.route.service).toBe("local/a/web");
});

test("tells the gate's own paths on a host and below a prefix, and only those", () => {
  const index = new RouteIndex("localhost");
  index.apply({
    set: [
      route(byHost("a.localhost"), "local/a/web"),
      route(byPath("paths.localhost", "/a/"), "local/a/web"),
      route(byHost("taskgate.localhost"), "gate/taskgate/api"),
    ],
    removed: [],
  });
  const gatePath = (host: string, path: string) => {
    const found = index.find(ask(host, path));
    return found.kind === "route" && found.gatePath;
  };
  for (const path of ["/.taskgate", "/.taskgate/", "/.taskgate/x?y", "/.taskgate?x"]) {
    expect(gatePath("a.localhost", path)).toBe(true);
    expect(gatePath("paths.localhost", `/a${path}`)).toBe(true);
    expect(gatePath("taskgate.localhost", path)).toBe(false);
  }
  for (const path of ["/", "/.taskgatex", "/x/.taskgate/", "/?/.taskgate/"])
    expect(gatePath("a.localhost", path)).toBe(false);
});

test("the id header never names the gate itself: a page that rebound its name to this machine can send it", () => {
  const index = new RouteIndex("localhost");
  const gates = route(byHost("taskgate.localhost"), "gate/taskgate/api");
  index.apply({ set: [gates], removed: [] });
  expect(index.find(ask("taskgate.localhost"))).toMatchObject({ kind: "route", route: gates });
  expect(index.find(ask("evil.example", "/", ["x-taskgate-service", "taskgate"]))).toEqual({ kind: "unknown" });
});
