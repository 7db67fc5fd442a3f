import { describe, expect, test } from "vitest";
import { applyDiff, wholeDiff, problemKey, type Claim, type Exposure, type Route, type Task } from "../model/index.ts";
import type { Built, TableState } from "./table-state.ts";
import { change, makeEndpoint, makeService, makeState, makeTask, OPTIONS, whole } from "./testing/make.ts";

const HOST = (host: string): Claim["match"] => ({ by: "host", listener: "main", host });
const held = (match: Claim["match"], service: string): Claim => ({ match, service, since: 1 });
const PUBLIC = { grants: [], anyone: "public" } as const;

function buildWith(state: TableState, ...tasks: readonly unknown[]): Built {
  state.update("local", whole(...tasks));
  return mustBuild(state);
}

function mustBuild(state: TableState, now = 10): Built {
  const built = state.build(now);
  if (built === null) throw new Error("nothing was built");
  return built;
}

function hosts(routes: readonly Route[]): readonly string[] {
  return routes.map(({ match }) => (match.by === "host" ? match.host : match.by));
}

function codes(state: TableState): readonly string[] {
  return [...state.table.problems.values()].map(({ subject, code }) => `${subject} ${code}`).sort();
}

function holderOf(state: TableState, id: string): string | undefined {
  return state.table.routes.get(id)?.service;
}

describe("sources", () => {
  test("a source is pending until it is heard, ready after it, and stale with its reason while it fails", () => {
    const state = makeState();
    expect(state.sources.get("local")).toEqual({ state: "pending" });
    expect(buildWith(state).sources).toEqual(["local"]);
    expect(state.sources.get("local")).toEqual({ state: "ready" });
    state.update("local", { kind: "stale", since: 5, error: new Error("the API server is away") });
    expect(mustBuild(state).sources).toEqual(["local"]);
    expect(state.sources.get("local")).toEqual({ state: "stale", since: 5, message: "the API server is away" });
    state.update("local", change([]));
    expect(mustBuild(state).sources).toEqual(["local"]);
    expect(state.sources.get("local")).toEqual({ state: "ready" });
  });

  test("a source that fails keeps its last good tasks, and a problem says so until it is back", () => {
    const state = makeState();
    buildWith(state, makeTask("nb"));
    const route = state.table.routes.get("host main nb.localhost");
    state.update("local", { kind: "stale", since: 5, error: new Error("away") });
    const built = mustBuild(state);
    expect(built.diff.routes).toEqual({ set: [], removed: [] });
    expect(state.table.routes.get("host main nb.localhost")).toBe(route);
    expect(codes(state)).toEqual(["local source_stale"]);
    state.update("local", whole(makeTask("nb")));
    mustBuild(state);
    expect(codes(state)).toEqual([]);
    expect(state.table.routes.get("host main nb.localhost")).toBe(route);
  });

  test("empty is not unknown: a whole update without tasks removes them, no update at all does not", () => {
    const state = makeState();
    buildWith(state, makeTask("nb"));
    expect(state.build(11)).toBeNull();
    expect(buildWith(state).tasks).toEqual({ set: [], removed: ["local/nb"] });
    expect(state.table.routes.size).toBe(0);
    expect(state.table.upstreams.size).toBe(0);
    expect(state.table.endpoints.size).toBe(0);
  });

  test("a change touches only the tasks that it names", () => {
    const state = makeState();
    buildWith(state, makeTask("a"), makeTask("b"), makeTask("c"));
    const kept = state.routesOf("local/b/web");
    state.update("local", change([makeTask("d")], ["a"]));
    const built = mustBuild(state);
    expect(built.tasks).toEqual({ set: ["local/d"], removed: ["local/a"] });
    expect([...state.tasks.keys()].sort()).toEqual(["local/b", "local/c", "local/d"]);
    state.routesOf("local/b/web").forEach((route, index) => expect(route).toBe(kept[index]));
  });

  test("two sources with the same task id do not collide but for the short name", () => {
    const state = makeState();
    state.update("k8s", whole(makeTask("nb")));
    buildWith(state, makeTask("nb"));
    expect([...state.tasks.keys()].sort()).toEqual(["k8s/nb", "local/nb"]);
    expect(holderOf(state, "host main nb.localhost")).toBe("k8s/nb/web");
    expect(codes(state)).toEqual(["local/nb/web name_taken"]);
  });

  test("problems of sources are merged; what two of them say stays until both take it back", () => {
    const state = makeState();
    const problem = { subject: "tasks.yaml:3", code: "bad_line", message: "expected a name" };
    state.update("local", { kind: "whole", tasks: [], problems: [problem] });
    state.update("k8s", { kind: "whole", tasks: [], problems: [problem] });
    mustBuild(state);
    expect([...state.table.problems]).toEqual([[problemKey(problem), problem]]);
    state.update("k8s", whole());
    expect(state.build(11)).toBeNull();
    state.update("local", whole());
    expect(mustBuild(state).diff.problems).toEqual({ set: [], removed: [problemKey(problem)] });
  });

  test("adding a source twice is a conflict", () => {
    expect(() => makeState().addSource("local")).toThrow(expect.objectContaining({ code: "conflict" }));
  });
});

describe("what a build publishes", () => {
  test("an equal update publishes nothing", () => {
    const state = makeState();
    buildWith(state, makeTask("nb", { labels: { a: "1" }, startedAt: 5 }));
    const { revision } = state.table;
    state.update("local", whole(structuredClone(makeTask("nb", { labels: { a: "1" }, startedAt: 5 }))));
    expect(state.build(11)).toBeNull();
    expect(state.table.revision).toBe(revision);
  });

  test("the revision rises by one with every published change", () => {
    const state = makeState();
    expect(state.table.revision).toEqual({ epoch: "e1", seq: 0 });
    const first = buildWith(state, makeTask("a"));
    expect([first.diff.from.seq, first.diff.to.seq]).toEqual([0, 1]);
    const second = buildWith(state, makeTask("a"), makeTask("b"));
    expect([second.diff.from.seq, second.diff.to.seq]).toEqual([1, 2]);
    expect(state.table.revision).toEqual({ epoch: "e1", seq: 2 });
  });

  test("a change of endpoints alone changes endpoints alone", () => {
    const state = makeState();
    const two = [makeEndpoint(1, "a"), makeEndpoint(2, "b")];
    buildWith(state, makeTask("nb", { endpoints: { web: two } }));
    const routes = [...state.table.routes.values()];
    const moved = [makeEndpoint(1, "a"), makeEndpoint(3, "b", { health: "unhealthy" })];
    const { diff, tasks } = buildWith(state, makeTask("nb", { endpoints: { web: moved } }));
    expect(diff.endpoints.set.map((entry) => entry.upstream).sort()).toEqual(["local/nb/web"]);
    expect({ ...diff, endpoints: null }).toMatchObject({
      routes: { set: [], removed: [] },
      upstreams: { set: [], removed: [] },
      problems: { set: [], removed: [] },
      rest: false,
    });
    expect(tasks.set).toEqual(["local/nb"]);
    [...state.table.routes.values()].forEach((route, index) => expect(route).toBe(routes[index]));
  });

  test("the order in which endpoints are told changes nothing", () => {
    const state = makeState();
    const endpoints = [makeEndpoint(1, "a"), makeEndpoint(2, "b"), makeEndpoint(3, "b")];
    buildWith(state, makeTask("nb", { endpoints: { web: endpoints } }));
    state.update("local", whole(makeTask("nb", { endpoints: { web: endpoints.toReversed() } })));
    expect(state.build(11)).toBeNull();
  });

  test("replicas have names of their own once there are two, and lose them when one is left", () => {
    const state = makeState();
    const replicas = () => [...state.table.routes.values()].flatMap((route) => route.replica ?? []).sort();
    buildWith(state, makeTask("nb", { endpoints: { web: [makeEndpoint(1, "a"), makeEndpoint(2, "a")] } }));
    expect(replicas()).toEqual([]);
    const two = [makeEndpoint(1, "a"), makeEndpoint(2, "b")];
    buildWith(state, makeTask("nb", { endpoints: { web: two } }));
    expect(replicas()).toEqual(["a", "b"]);
    expect([...state.table.upstreams.keys()]).toEqual(["local/nb/web"]);
    const first = [...state.table.routes.values()].find((route) => route.replica === "a");
    const { diff } = buildWith(state, makeTask("nb", { endpoints: { web: [...two, makeEndpoint(3, "c")] } }));
    expect(diff.routes.set.map((route) => route.replica)).toEqual(["c"]);
    expect(state.table.routes.get(first?.id ?? "")).toBe(first);
    buildWith(state, makeTask("nb"));
    expect(replicas()).toEqual([]);
    expect([...state.table.upstreams.keys()]).toEqual(["local/nb/web"]);
    expect([...state.table.endpoints.keys()]).toEqual(["local/nb/web"]);
  });

  test("what a provider does to its own objects afterwards changes nothing", () => {
    const state = makeState();
    const labels: Record<string, string> = { team: "a" };
    const web = [makeEndpoint(1)];
    buildWith(state, makeTask("nb", { labels, endpoints: { web } }));
    labels.team = "b";
    web.push(makeEndpoint(2));
    expect(state.tasks.get("local/nb")?.task.labels).toEqual({ team: "a" });
    expect(state.table.endpoints.get("local/nb/web")?.list).toHaveLength(1);
  });

  test("listeners, keys and certificates are the rest: equal ones change nothing", () => {
    const state = makeState();
    const listener = { id: "main", address: "127.0.0.1:7080", tls: false };
    const keys = new Map([["k1", { publicKey: "pem", notAfter: 5 }]]);
    state.setListeners([listener]);
    state.setKeys(keys);
    expect(mustBuild(state).diff.rest).toBe(true);
    expect(state.table.listeners.get("main")).toEqual(listener);
    state.setListeners([{ ...listener }]);
    state.setKeys(new Map([["k1", { publicKey: "pem", notAfter: 5 }]]));
    state.setCertificates(new Map());
    expect(state.build(11)).toBeNull();
    state.setKeys(new Map());
    expect(mustBuild(state).diff).toMatchObject({ rest: true, routes: { set: [], removed: [] } });
    expect(state.table.keys.size).toBe(0);
  });

  test("the diff from nothing makes a copy that equals the table", () => {
    const state = makeState();
    buildWith(state, makeTask("a"), makeTask("b", { name: "a" }));
    const copy = { routes: new Map(), upstreams: new Map(), endpoints: new Map(), problems: new Map() };
    const diff = wholeDiff(state.table);
    applyDiff(copy, diff);
    expect(copy.routes).toEqual(state.table.routes);
    expect(copy.upstreams).toEqual(state.table.upstreams);
    expect(copy.endpoints).toEqual(state.table.endpoints);
    expect(copy.problems).toEqual(state.table.problems);
    expect([diff.from.seq, diff.to, diff.rest]).toEqual([0, state.table.revision, true]);
  });
});

describe("names", () => {
  test("the ways to a service come best first: short name, hosts asked for, generated, path, headers, port, replicas", () => {
    const state = makeState();
    const shell = makeService("shell", {
      protocol: "tcp",
      access: PUBLIC,
      exposures: [{ by: "port" }, { by: "host", label: "sh" }],
    });
    const web = makeService("web", {
      exposures: [
        { by: "headers", all: [["x-id", "7"]] },
        { by: "path", prefix: "nb", strip: true },
        { by: "host", label: "mine" },
      ],
    });
    const endpoints = { web: [makeEndpoint(1, "a"), makeEndpoint(2, "b")] };
    buildWith(state, makeTask("nb", { services: [shell, web], endpoints }));
    expect(hosts(state.routesOf("local/nb/web"))).toEqual([
      "nb.localhost",
      "mine.localhost",
      expect.stringMatching(/^web-nb-[a-z2-7]{16}\.localhost$/),
      "path",
      "headers",
      expect.stringMatching(/^web-nb-a-[a-z2-7]{16}\.localhost$/),
      expect.stringMatching(/^web-nb-b-[a-z2-7]{16}\.localhost$/),
    ]);
    expect(hosts(state.routesOf("local/nb/shell"))).toEqual([
      "shell-nb.localhost",
      "sh.localhost",
      expect.stringMatching(/^shell-nb-[a-z2-7]{16}\.localhost$/),
      "port",
    ]);
    expect(state.routesOf("local/nb/none")).toEqual([]);
    expect(state.routesOf("nonsense")).toEqual([]);
  });

  test("the short name leads to the first http or grpc service, or to the first of all where there is none", () => {
    const state = makeState();
    const services = [makeService("a", { protocol: "tcp" }), makeService("b", { protocol: "grpc" })];
    buildWith(state, makeTask("x", { services }), makeTask("y", { services: services.slice(0, 1) }));
    expect(holderOf(state, "host main x.localhost")).toBe("local/x/b");
    expect(holderOf(state, "host main y.localhost")).toBe("local/y/a");
  });

  test("a renamed task leaves its short name and takes the new one", () => {
    const state = makeState();
    buildWith(state, makeTask("nb"));
    const { claims } = buildWith(state, makeTask("nb", { name: "lab" }));
    expect(claims.removed).toEqual(["host main nb.localhost"]);
    expect(claims.set).toEqual([{ match: HOST("lab.localhost"), service: "local/nb/web", since: 10 }]);
    expect(hosts(state.routesOf("local/nb/web"))[0]).toBe("lab.localhost");
  });

  test("nobody but the gate gets the gate's host, and nobody the path host", () => {
    const state = makeState();
    state.addSource("gate");
    const asks = (label: string) => makeService("web", { exposures: [{ by: "host", label }] });
    buildWith(
      state,
      makeTask("taskgate"),
      makeTask("paths"),
      makeTask("tls"),
      makeTask("x", { services: [asks("taskgate")] }),
      makeTask("y", { services: [asks("paths")] }),
    );
    expect(codes(state)).toEqual([
      "local/paths/web name_reserved",
      "local/taskgate/web name_reserved",
      "local/tls/web name_reserved",
      "local/x/web exposure_refused",
      "local/y/web exposure_refused",
    ]);
    state.update("gate", whole(makeTask("gate", { services: [{ ...asks("taskgate"), guard: "self" }] })));
    mustBuild(state);
    expect(hosts(state.routesOf("gate/gate/web"))).toEqual(["taskgate.localhost"]);
    expect(state.routesOf("gate/gate/web")[0]?.guard).toBe("self");
  });

  test("the gate's own host may be outside of the domain", () => {
    const state = makeState({ gateHost: "gate.example.com" });
    state.addSource("gate");
    const exposures = [{ by: "host", label: "gate", domain: "example.com" } as const];
    state.update("gate", whole(makeTask("gate", { services: [makeService("api", { exposures })] })));
    mustBuild(state);
    expect(hosts(state.routesOf("gate/gate/api"))).toEqual(["gate.example.com"]);
  });

  test("a name in the form of a generated one is nobody's to ask for", () => {
    const state = makeState();
    buildWith(state, makeTask("a", { name: "web-b-abcdefghijklmnop" }));
    expect(codes(state)).toEqual(["local/a/web name_reserved"]);
  });

  test("a service that is passed through has server names under tls, one that leaves the login to the gate has hosts", () => {
    const state = makeState();
    const self = makeService("s", {
      protocol: "tls",
      guard: "self",
      exposures: [{ by: "serverName", name: "dask-1" }],
    });
    const gated = makeService("g", { protocol: "tls", exposures: [{ by: "serverName", name: "dask-2" }] });
    buildWith(state, makeTask("nb", { services: [self, gated], endpoints: {} }));
    const names = state.routesOf("local/nb/s").map(({ match }) => (match.by === "serverName" ? match.name : match.by));
    expect(names).toEqual(["nb.tls.localhost", "dask-1", expect.stringMatching(/^s-nb-[a-z2-7]{16}\.tls\.localhost$/)]);
    expect(state.routesOf("local/nb/g").map((route) => route.match.by)).toEqual(["host", "host"]);
    expect(codes(state)).toEqual(["local/nb/g exposure_refused"]);
  });
});

describe("claims", () => {
  const asking = (id: string, name = "nb") => makeTask(id, { name });

  test("the incumbent keeps its name when another comes, and the other has it once it is free", () => {
    const state = makeState();
    buildWith(state, asking("z"));
    const built = buildWith(state, asking("a"), asking("z"));
    expect(built.claims).toEqual({ set: [], removed: [] });
    expect(holderOf(state, "host main nb.localhost")).toBe("local/z/web");
    expect(codes(state)).toEqual(["local/a/web name_taken"]);
    expect([...state.table.problems.values()][0]?.message).not.toContain("local/z");
    const freed = buildWith(state, asking("a"));
    expect(freed.claims.set).toEqual([{ match: HOST("nb.localhost"), service: "local/a/web", since: 10 }]);
    expect(holderOf(state, "host main nb.localhost")).toBe("local/a/web");
    expect(codes(state)).toEqual([]);
  });

  test("of those who come in one build the smallest service key has the name, whoever is told first", () => {
    for (const order of [
      ["a", "b", "c"],
      ["c", "b", "a"],
      ["b", "c", "a"],
    ]) {
      const state = makeState();
      buildWith(state, ...order.map((id) => asking(id)));
      expect(holderOf(state, "host main nb.localhost")).toBe("local/a/web");
    }
  });

  test("a name that is given up goes to the smallest of those who wait and those who come in the same build", () => {
    for (const order of [
      ["b", "c"],
      ["c", "b"],
    ]) {
      const state = makeState();
      buildWith(state, asking("a"));
      state.update("local", change([asking("d")]));
      mustBuild(state);
      state.update("local", change(order.map((id) => asking(id)), ["a"])); // prettier-ignore
      mustBuild(state);
      expect(holderOf(state, "host main nb.localhost")).toBe("local/b/web");
    }
  });

  test("a claim of the gate's last life is kept while its source is pending, against those who come", () => {
    const state = makeState({}, [held(HOST("nb.localhost"), "k8s/old/web")]);
    buildWith(state, asking("a"));
    expect(holderOf(state, "host main nb.localhost")).toBeUndefined();
    expect(codes(state)).toEqual(["local/a/web name_taken"]);
    state.update("k8s", { kind: "stale", since: 1, error: new Error("away") });
    mustBuild(state);
    expect(holderOf(state, "host main nb.localhost")).toBeUndefined();
    state.update("k8s", whole(makeTask("old", { name: "nb" })));
    const built = mustBuild(state);
    expect(built.claims).toEqual({ set: [], removed: [] });
    expect(holderOf(state, "host main nb.localhost")).toBe("k8s/old/web");
  });

  test("a claim whose service is gone is given up once its source says what there is", () => {
    const state = makeState({}, [held(HOST("nb.localhost"), "k8s/old/web"), held(HOST("x.localhost"), "k8s/old/web")]);
    buildWith(state, asking("a"));
    state.update("k8s", whole());
    const built = mustBuild(state, 20);
    expect(built.claims).toEqual({
      set: [{ match: HOST("nb.localhost"), service: "local/a/web", since: 20 }],
      removed: ["host main x.localhost"],
    });
  });

  test("claims of a source that is not there are given up with the first build", () => {
    const state = makeState({}, [held(HOST("nb.localhost"), "former/old/web")]);
    expect(mustBuild(state).claims.removed).toEqual(["host main nb.localhost"]);
  });

  test("a finished task that is still listed keeps its names and routes", () => {
    const state = makeState();
    buildWith(state, asking("z"));
    const routes = state.routesOf("local/z/web");
    const built = buildWith(state, { ...asking("z"), state: "finished", endpoints: {} }, asking("a"));
    expect(built.claims).toEqual({ set: [], removed: [] });
    state.routesOf("local/z/web").forEach((route, index) => expect(route).toBe(routes[index]));
  });

  test("a task that becomes unusable while it is listed loses its routes but not its names", () => {
    const state = makeState();
    const port = { by: "port" } as const;
    const service = makeService("sh", { protocol: "tcp", access: PUBLIC, exposures: [port] });
    const good = makeTask("z", { name: "nb", services: [makeService("web"), service] });
    buildWith(state, good);
    const ways = state.routesOf("local/z/sh").map((route) => route.id);
    const bad = buildWith(state, { ...good, access: "everyone" }, asking("a"));
    expect(bad.claims).toEqual({ set: [], removed: [] });
    expect(state.tasks.has("local/z")).toBe(false);
    expect(holderOf(state, "host main nb.localhost")).toBeUndefined();
    expect(codes(state)).toEqual(["local/a/web name_taken", "local/z task_invalid"]);
    expect(buildWith(state, good, asking("a")).claims).toEqual({ set: [], removed: [] });
    expect(state.routesOf("local/z/sh").map((route) => route.id)).toEqual(ways);
    buildWith(state, { ...good, access: "everyone" }, asking("a"));
    const gone = buildWith(state, asking("a"));
    expect(gone.claims.removed.toSorted()).toEqual(["host main sh-nb.localhost", ways.at(-1)]);
    expect(holderOf(state, "host main nb.localhost")).toBe("local/a/web");
  });

  test("a service that becomes unusable keeps its names, one that is taken off the list does not", () => {
    const state = makeState();
    const task = (services: readonly unknown[]) =>
      makeTask("z", { name: "nb", services: services as Task["services"] });
    buildWith(state, task([makeService("web"), makeService("api")]));
    expect(buildWith(state, task([makeService("web"), { name: "api", protocol: "smtp" }])).claims.removed).toEqual([]);
    expect(state.routesOf("local/z/api")).toEqual([]);
    expect(buildWith(state, task([makeService("web")])).claims.removed).toEqual(["host main api-nb.localhost"]);
  });

  test("claims that the options no longer allow are given up", () => {
    const claims = [
      held({ by: "port", port: 30_000 }, "k8s/a/sh"),
      held(HOST("taskgate.localhost"), "k8s/a/web"),
      held({ by: "host", listener: "former", host: "a.localhost" }, "k8s/a/web"),
      held({ by: "path", listener: "main", host: "former.localhost", prefix: "/a/", strip: true }, "k8s/a/web"),
      held(HOST("ok.localhost"), "k8s/a/web"),
    ];
    const state = makeState({}, claims);
    expect(mustBuild(state).claims.removed.toSorted()).toEqual([
      "host former a.localhost",
      "host main taskgate.localhost",
      "path main former.localhost /a/",
      "port 30000",
    ]);
  });
});

describe("raw ports", () => {
  const shell = (fields: object = {}) =>
    makeService("sh", { protocol: "tcp", access: PUBLIC, exposures: [{ by: "port" }], ...fields });
  const withPort = (id: string, fields: object = {}) => makeTask(id, { services: [shell(fields)], endpoints: {} });
  const portOf = (state: TableState, id: string) =>
    state.routesOf(`local/${id}/sh`).flatMap(({ match }) => (match.by === "port" ? [match.port] : []));

  test("only a service that everyone may use gets one; the others are told why", () => {
    const state = makeState();
    buildWith(
      state,
      withPort("open"),
      withPort("closed", { access: undefined }),
      withPort("web", { protocol: "http" }),
    );
    expect(portOf(state, "open")).toHaveLength(1);
    expect(portOf(state, "closed")).toEqual([]);
    expect(codes(state)).toEqual(["local/closed/sh port_refused", "local/web/sh port_refused"]);
  });

  test("the ceiling counts: a service that would be public but may not gets none", () => {
    const state = makeState({ ceiling: "authenticated" });
    buildWith(state, withPort("open"));
    expect(portOf(state, "open")).toEqual([]);
    expect(codes(state)).toEqual(["local/open/sh access_above_ceiling", "local/open/sh port_refused"]);
  });

  test("config names services that get one though they did not ask, and which", () => {
    const services = { "local/a/sh": "auto", "local/b/sh": 22_222, "local/c/sh": 20_003 } as const;
    const state = makeState({ tcp: { ...OPTIONS.tcp, services } });
    const closed = { access: undefined, exposures: [] };
    buildWith(state, ...["a", "b", "c", "d"].map((id) => withPort(id, closed)));
    expect(portOf(state, "a")).toHaveLength(1);
    expect([portOf(state, "b"), portOf(state, "c"), portOf(state, "d")]).toEqual([[22_222], [20_003], []]);
  });

  test("a port that config keeps for one is nobody else's, even while that one is away", () => {
    const services = { "local/z/sh": 20_000 } as const;
    const state = makeState({ tcp: { ports: { from: 20_000, to: 20_001 }, services } });
    buildWith(state, withPort("a"), withPort("b", { exposures: [{ by: "port", port: 20_000 }] }));
    expect(portOf(state, "a")).toEqual([20_001]);
    expect(codes(state)).toEqual(["local/b/sh port_refused"]);
  });

  test("an asked port is had where it is in the range and free", () => {
    const state = makeState();
    const asks = (port: number) => ({ exposures: [{ by: "port", port }] });
    buildWith(state, withPort("a", asks(20_004)), withPort("b", asks(20_004)), withPort("c", asks(443)));
    expect(portOf(state, "a")).toEqual([20_004]);
    expect(codes(state)).toEqual(["local/b/sh name_taken", "local/c/sh port_refused"]);
  });

  test("a service has the same port again after a restart, and no one took it meanwhile", () => {
    const first = makeState();
    const { claims } = buildWith(first, withPort("a"), withPort("b"), withPort("c"));
    const second = makeState({}, claims.set);
    second.update("local", whole(withPort("c"), withPort("b"), withPort("a"), withPort("d")));
    mustBuild(second);
    for (const id of ["a", "b", "c"]) expect(portOf(second, id)).toEqual(portOf(first, id));
    expect(portOf(second, "d")).toHaveLength(1);
  });

  test("when all are held the rest is told so, and has one as soon as one is free", () => {
    const state = makeState({ tcp: { ports: { from: 20_000, to: 20_001 }, services: {} } });
    buildWith(state, withPort("c"), withPort("b"), withPort("a"));
    expect(codes(state)).toEqual(["local/c/sh ports_exhausted"]);
    const built = buildWith(state, withPort("c"), withPort("b"));
    expect(codes(state)).toEqual([]);
    expect(portOf(state, "c")).toHaveLength(1);
    expect(built.tasks.set).toEqual(["local/c"]);
  });

  test("a port is given up when the service is no longer public", () => {
    const state = makeState();
    buildWith(state, withPort("a"));
    const [port] = portOf(state, "a");
    const built = buildWith(state, withPort("a", { access: undefined }));
    expect(built.claims.removed).toEqual([`port ${port}`]);
    expect(portOf(state, "a")).toEqual([]);
  });

  test("a port stays the same when something else about its service changes", () => {
    const state = makeState();
    buildWith(state, withPort("a"));
    const before = portOf(state, "a");
    buildWith(state, withPort("a", { policy: { idleTimeoutMs: 5000 } }));
    expect(portOf(state, "a")).toEqual(before);
    expect(state.routesOf("local/a/sh").at(-1)?.policy).toEqual({ idleTimeoutMs: 5000 });
  });
});

describe("ports and their numbers", () => {
  const at = (...exposures: readonly Exposure[]) =>
    makeTask("z", { services: [makeService("sh", { protocol: "tcp", access: PUBLIC, exposures })], endpoints: {} });
  const rival = makeTask("a", {
    services: [makeService("sh", { protocol: "tcp", access: PUBLIC, exposures: [{ by: "port", port: 20_004 }] })],
  });

  test("a service that asked for a port by number keeps it when any will do, and the other way round", () => {
    const state = makeState();
    buildWith(state, at({ by: "port", port: 20_004 }));
    for (const exposure of [{ by: "port" }, { by: "port", port: 20_004 }] as const) {
      state.update("local", whole(at(exposure), rival));
      const claims = state.build(11)?.claims ?? { set: [], removed: [] };
      expect([...claims.set, ...claims.removed].filter((claim) => JSON.stringify(claim).includes("port"))).toEqual([]);
      expect(holderOf(state, "port 20004")).toBe("local/z/sh");
    }
  });
});

describe("access", () => {
  test("a service's own access counts, else its task's, within the ceiling", () => {
    const state = makeState({ ceiling: "authenticated" });
    const services = [makeService("a"), makeService("b", { access: PUBLIC })];
    buildWith(state, makeTask("nb", { services, access: { grants: [], anyone: "authenticated" } }));
    expect(state.routesOf("local/nb/a")[0]?.access.anyone).toBe("authenticated");
    expect(state.routesOf("local/nb/b")[0]?.access.anyone).toBe("authenticated");
    expect(codes(state)).toEqual(["local/nb/b access_above_ceiling"]);
  });

  test("a granted user changes every route of the service and nothing else", () => {
    const state = makeState();
    buildWith(state, makeTask("nb"), makeTask("other"));
    const [alice, bob] = ["alice", "bob"].map((name) => ({ realm: "main", name }));
    const access = { grants: [{ to: bob, by: alice }], anyone: "nobody" };
    const { diff, claims } = buildWith(state, makeTask("nb", { access } as Partial<Task>), makeTask("other"));
    expect(diff.routes.set.map((route) => route.service)).toEqual(["local/nb/web", "local/nb/web"]);
    expect(diff.routes.set[0]?.access).toEqual(access);
    expect([diff.upstreams, diff.endpoints, claims].map((part) => part.set.length + part.removed.length)).toEqual([
      0, 0, 0,
    ]);
  });
});
