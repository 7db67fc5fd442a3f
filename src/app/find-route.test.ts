import { expect, test } from "vitest";
import { createTableState } from "../core/create-table-state.ts";
import type { Exposure, Task } from "../model/index.ts";
import { findRoute } from "./find-route.ts";

function taskWith(id: string, exposures: readonly Exposure[]): Task {
  return {
    ...{
      id,
      name: id,
      kind: "test",
      owner: { realm: "local", name: "alice" },
      namespace: "",
      labels: {},
      state: "running",
    },
    services: [{ name: "web", protocol: "http", guard: "gate", exposures, policy: {} }],
    endpoints: { web: [{ address: { ip: "10.0.0.1", port: 80 }, replica: "0", weight: 1, health: "healthy" }] },
    access: { grants: [], anyone: "nobody" },
  };
}

test("finds what planes find: the longest path prefix, else the host's own route, else nothing", () => {
  const state = createTableState(
    {
      ...{ domain: "localhost", gateHost: "taskgate.localhost", pathHost: "paths.localhost", listener: "main" },
      ...{ tcp: { ports: { from: 20_000, to: 20_999 }, services: {} }, ceiling: "public", epoch: "test" },
    },
    [],
  );
  state.addSource("other");
  const tasks = [
    taskWith("nb", [{ by: "path", prefix: "/nb/", strip: true }]),
    taskWith("deep", [{ by: "path", prefix: "/nb/deep/", strip: false }]),
  ];
  state.update("other", { kind: "whole", tasks, problems: [] });
  state.build(1);
  const find = (host: string, path: string) => findRoute(state.table, "main", host, path)?.service;
  expect(find("nb.localhost", "/lab?x=/y/")).toBe("other/nb/web");
  expect(find("paths.localhost", "/nb/lab?next=/nb/deep/")).toBe("other/nb/web");
  expect(find("paths.localhost", "/nb/deep/x")).toBe("other/deep/web");
  expect(find("paths.localhost", "/nbx/")).toBeUndefined();
  expect(find("paths.localhost", "/")).toBeUndefined();
  expect(find("nobody.localhost", "/")).toBeUndefined();
});
