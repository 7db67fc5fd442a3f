import { expect, test } from "vitest";
import type { Endpoint, Service, SourceUpdate, Task } from "../model/index.ts";
import { viewTask, type TaskViewInput } from "./task-view.ts";
import { emptyTable, siteAt } from "./testing/start-gate.ts";
import { webTask } from "./testing/web-task.ts";
import { TaskView } from "./wire.ts";

const LOCAL = { ip: "127.0.0.1" } as const;

function endpoint(port: number, more: Partial<Endpoint> = {}): Endpoint {
  return { address: { ...LOCAL, port }, replica: "0", weight: 1, health: "healthy", ...more };
}

function service(name: string, more: Partial<Service> = {}): Service {
  return { name, protocol: "http", guard: "gate", exposures: [], policy: {}, ...more };
}

/** The view of one task of the provider `local`, through a real table. */
function view(task: Task, more: Partial<TaskViewInput> = {}, update?: SourceUpdate): TaskView {
  const site = more.site ?? siteAt(7080);
  const state = emptyTable(site);
  state.update("local", { kind: "whole", tasks: [task], problems: [] });
  state.build(1);
  if (update !== undefined) state.update("local", update);
  state.build(2);
  const merged = state.tasks.get(`local/${task.id}`);
  if (merged === undefined) throw new Error(JSON.stringify([...state.table.problems.values()]));
  const result = viewTask({
    merged,
    sourceState: state.sources.get("local"),
    routesOf: (key) => state.routesOf(key),
    problems: [],
    controllable: true,
    removable: true,
    ...more,
    site,
  });
  return TaskView.parse(result);
}

test("a web service is told with what opens it in a browser and what a program dials", () => {
  const [web] = view(webTask("nb", { services: [service("web", { landingPath: "/lab" })] })).services;
  expect(web).toMatchObject({
    url: "http://nb.localhost:7080/lab",
    host: "nb.localhost",
    port: 7080,
    dial: "127.0.0.1",
    forward: "nb.localhost",
    login: true,
    anyone: "nobody",
    health: "healthy",
    replicas: [],
  });
});

test("a standard port and TLS are spelled as browsers do", () => {
  const site = { ...siteAt(443), secure: true, domain: "apps.example.com", dial: "192.0.2.1" };
  const task = webTask("nb", { endpoints: { web: [endpoint(9000)] } });
  expect(view(task, { site }).services[0]?.url).toBe("https://nb.apps.example.com/");
});

test("a gRPC service's address has no path", () => {
  const task = webTask("rpc", { services: [service("web", { protocol: "grpc" })] });
  expect(view(task).services[0]?.url).toBe("http://rpc.localhost:7080");
});

test("a raw TCP port is told as the address to dial, and as without login", () => {
  const open = service("db", {
    protocol: "tcp",
    access: { grants: [], anyone: "public" },
    exposures: [{ by: "port", port: 20_005 }],
  });
  const task = webTask("db", { services: [open], endpoints: { db: [endpoint(5432)] } });
  expect(view(task).services[0]).toMatchObject({
    url: "tcp://127.0.0.1:20005",
    host: "127.0.0.1",
    port: 20_005,
    dial: "127.0.0.1",
    login: false,
    anyone: "public",
  });
  const site = { ...siteAt(7080), dial: "::1" };
  expect(view(task, { site }).services[0]?.url).toBe("tcp://[::1]:20005");
});

test("a TCP service without a port is reached by forward alone, with login", () => {
  const task = webTask("db", {
    services: [service("db", { protocol: "tcp" })],
    endpoints: { db: [endpoint(5432)] },
  });
  const [db] = view(task).services;
  expect(db).toMatchObject({ url: null, host: null, port: null, dial: null, login: true });
  expect(db?.forward).toMatch(/\.localhost$/);
});

test("a service that is passed through is told by its server name, without login and without forward", () => {
  const task = webTask("dask", {
    services: [
      service("scheduler", {
        protocol: "tls",
        guard: "self",
        exposures: [{ by: "serverName", name: "daskgateway-dask.localhost" }],
      }),
    ],
    endpoints: { scheduler: [endpoint(8786)] },
  });
  const [scheduler] = view(task).services;
  expect(scheduler).toMatchObject({ port: 7080, dial: "127.0.0.1", login: false, forward: null });
  expect(scheduler?.url).toBe(`tls://${scheduler?.host ?? ""}:7080`);
});

test("a public web service asks for no login", () => {
  const task = webTask("site", { access: { grants: [], anyone: "public" } });
  expect(view(task).services[0]).toMatchObject({ anyone: "public", login: false });
});

test("the best endpoint is a service's health, and none is unhealthy unless the task is starting", () => {
  const health = (endpoints: readonly Endpoint[], state: Task["state"] = "running") =>
    view(webTask("nb", { state, endpoints: { web: endpoints } })).services[0]?.health;
  expect(health([endpoint(1, { health: "unhealthy" }), endpoint(2, { replica: "1" })])).toBe("healthy");
  expect(health([endpoint(1, { health: "unhealthy" }), endpoint(2, { replica: "1", health: "unknown" })])).toBe(
    "unknown",
  );
  expect(health([endpoint(1, { health: "draining" })])).toBe("unhealthy");
  expect(health([])).toBe("unhealthy");
  expect(health([], "starting")).toBe("unknown");
});

test("what a plane saw makes a healthy endpoint unhealthy and an unknown one healthy, and never an unhealthy one healthy", () => {
  const health = (said: Endpoint["health"], seen: "healthy" | "unhealthy") =>
    view(webTask("nb", { endpoints: { web: [endpoint(9000, { health: said })] } }), { planeHealth: () => seen })
      .services[0]?.health;
  expect(health("healthy", "unhealthy")).toBe("unhealthy");
  expect(health("unknown", "healthy")).toBe("healthy");
  expect(health("unhealthy", "healthy")).toBe("unhealthy");
});

test("replicas have rows of their own, each with its own address, from two on", () => {
  const endpoints = [endpoint(9001), endpoint(9002, { replica: "1", health: "unhealthy" })];
  const { replicas } = view(webTask("nb", { endpoints: { web: endpoints } })).services[0] ?? { replicas: [] };
  expect(replicas.map(({ replica, health }) => [replica, health])).toEqual([
    ["0", "healthy"],
    ["1", "unhealthy"],
  ]);
  const hosts = replicas.map((row) => new URL(row.url ?? "").hostname);
  expect(new Set(hosts).size).toBe(2);
  expect(hosts.every((host) => host.startsWith("web-nb-"))).toBe(true);
});

test("a task whose source fails is stale", () => {
  const stale = view(webTask("nb"), {}, { kind: "stale", since: 5, error: new Error("gone") });
  expect(stale.staleSince).toBe(5);
  expect(view(webTask("nb")).staleSince).toBeNull();
});
