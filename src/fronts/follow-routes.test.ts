import { expect, test } from "vitest";
import { matchKey, type Match, type Route } from "../model/index.ts";
import { FollowedRoutes } from "./follow-routes.ts";

function route(service: string, match: Match): Route {
  return {
    ...{ id: matchKey(match), match, service, protocol: "http", guard: "gate", upstream: service, owner: null },
    ...{ access: { grants: [], anyone: "nobody" }, policy: {} },
  };
}

const byHost = (service: string, host: string): Route => route(service, { by: "host", listener: "main", host });
const byPath = (service: string, host: string, prefix: string): Route =>
  route(service, { by: "path", listener: "main", host, prefix, strip: true });

test("wants of a front what routes have, until none has it", () => {
  const routes = new FollowedRoutes();
  const all = [
    byHost("a/b/web", "nb.example.com"),
    byPath("a/c/web", "paths.example.com", "/c/"),
    byPath("a/d/web", "paths.example.com", "/d/"),
    route("a/e/raw", { by: "port", port: 20_000 }),
    route("a/f/db", { by: "serverName", listener: "main", name: "db.tls.example.com" }),
    route("a/g/web", { by: "headers", listener: "main", all: [["x-id", "1"]] }),
  ];
  expect(routes.apply({ set: all, removed: [] })).toBe(true);
  expect(routes.wanted).toEqual({
    hosts: new Map([
      ["nb.example.com", "a/b/web"],
      ["paths.example.com", "a/c/web"],
    ]),
    ports: new Map([[20_000, "a/e/raw"]]),
    serverNames: new Map([["db.tls.example.com", "a/f/db"]]),
  });
  const [, first, second] = all.map(({ id }) => id);
  expect(routes.apply({ set: [], removed: [first ?? ""] })).toBe(true);
  expect(routes.wanted.hosts.get("paths.example.com")).toBe("a/d/web");
  expect(routes.apply({ set: [], removed: [second ?? ""] })).toBe(true);
  expect([...routes.wanted.hosts.keys()]).toEqual(["nb.example.com"]);
});

test("makes no difference where the same is said again, and where what goes is not followed", () => {
  const routes = new FollowedRoutes();
  const nb = byHost("a/b/web", "nb.example.com");
  expect(routes.apply({ set: [nb], removed: [] })).toBe(true);
  expect(routes.apply({ set: [{ ...nb, policy: { sticky: true } }], removed: ["gone"] })).toBe(false);
  expect(routes.apply({ set: [{ ...nb, service: "a/other/web" }], removed: [] })).toBe(true);
});
