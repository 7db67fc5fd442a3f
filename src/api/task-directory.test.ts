import { describe, expect, test } from "vitest";
import { endpointKey } from "../dataplanes/dataplane.ts";
import { GATE_PROVIDER, type SourceUpdate, type Task } from "../model/index.ts";
import type { PlaneStatus } from "../dataplanes/dataplane.ts";
import { createManualClock } from "../store/testing/manual-clock.ts";
import { createTaskDirectory } from "./task-directory.ts";
import { emptyTable, siteAt } from "./testing/start-gate.ts";
import { webTask } from "./testing/web-task.ts";
import type { LiveEvent } from "./wire.ts";

function start() {
  const site = siteAt(7080);
  const state = emptyTable(site);
  const clock = createManualClock(1000);
  let plane: PlaneStatus | null = null;
  const directory = createTaskDirectory({ state, site, planeStatus: () => plane, control: () => null, clock });
  const update = (source: string, change: SourceUpdate) => {
    state.update(source, change);
    const built = state.build(clock.now());
    if (built !== null) directory.built(built);
  };
  const events: LiveEvent[] = [];
  return {
    state,
    directory,
    clock,
    update,
    whole: (source: string, ...tasks: Task[]) => update(source, { kind: "whole", tasks, problems: [] }),
    set: (source: string, ...set: Task[]) => update(source, { kind: "change", set, removed: [], problems: [] }),
    setPlane(status: Partial<PlaneStatus>) {
      plane = { instances: new Map(), endpoints: new Map(), lastUsed: new Map(), problems: [], ...status };
      directory.planeChanged();
    },
    events,
    listen: () => directory.subscribe((event) => void events.push(event)),
    settle: () => clock.advance(100),
  };
}

describe("looking up", () => {
  test("a task is found by name, by provider and name, and by id", () => {
    const { directory, whole } = start();
    whole("local", webTask("a1", { name: "nb" }));
    const view = directory.get("nb");
    expect(view.id).toBe("local/a1");
    expect(directory.get("local/nb")).toBe(view);
    expect(directory.get("local/a1")).toBe(view);
  });

  test("a name that two providers have is a conflict that names both", () => {
    const { directory, whole } = start();
    whole("local", webTask("nb"));
    whole("file", webTask("nb"));
    expect(() => directory.get("nb")).toThrow(/file\/nb and local\/nb/);
    expect(directory.get("file/nb").provider).toBe("file");
    expect(directory.get("nb", (key) => key === "local/nb").provider).toBe("local");
  });

  test("a name that nobody has, or nobody that counts, is not found", () => {
    const { directory, whole } = start();
    whole("local", webTask("nb"));
    for (const look of [() => directory.get("other"), () => directory.get("nb", () => false)]) {
      expect(look).toThrow(expect.objectContaining({ code: "not_found" }));
    }
  });

  test("names that are also properties of every object are just names", () => {
    const { directory } = start();
    for (const name of ["__proto__", "constructor", "local/__proto__", "/", ""]) {
      expect(() => directory.get(name)).toThrow(expect.objectContaining({ code: "not_found" }));
    }
  });

  test("a name is free again once its task is gone or renamed", () => {
    const { directory, whole } = start();
    whole("local", webTask("a", { name: "nb" }));
    whole("local", webTask("a", { name: "other" }));
    expect(() => directory.get("nb")).toThrow();
    whole("local");
    expect(() => directory.get("other")).toThrow();
    expect(directory.list()).toEqual([]);
  });

  test("the gate's own task is not listed", () => {
    const { directory, whole } = start();
    whole(GATE_PROVIDER, webTask("taskgate"));
    expect(directory.list()).toEqual([]);
  });
});

describe("subscribing", () => {
  test("tells the present state at once, then what changed, gathered", () => {
    const { events, listen, set, settle, whole, update } = start();
    whole("local", webTask("a"), webTask("b"));
    listen();
    expect(events).toMatchObject([{ kind: "tasks", tasks: [{ name: "a" }, { name: "b" }] }]);
    set("local", webTask("c", { state: "starting" }));
    set("local", webTask("c"));
    update("local", { kind: "change", set: [], removed: ["a"], problems: [] });
    expect(events).toHaveLength(1);
    settle();
    expect(events.slice(1)).toMatchObject([
      { kind: "change", set: [{ name: "c", state: "running" }], removed: ["local/a"] },
    ]);
  });

  test("publishes nothing for equal content, nor for what came and went", () => {
    const { events, listen, set, settle, update, whole } = start();
    whole("local", webTask("a"));
    listen();
    set("local", structuredClone(webTask("a")));
    set("local", webTask("short"));
    update("local", { kind: "change", set: [], removed: ["short"], problems: [] });
    set("local", webTask("a", { state: "stopping" }));
    set("local", webTask("a"));
    settle();
    expect(events).toHaveLength(1);
  });

  test("ends for each subscriber by itself", () => {
    const { directory, events, listen, set, settle } = start();
    const first = listen();
    const second = listen();
    expect(directory.subscribers).toBe(2);
    first[Symbol.dispose]();
    set("local", webTask("a"));
    settle();
    expect(events).toHaveLength(3);
    second[Symbol.dispose]();
    expect(directory.subscribers).toBe(0);
    set("local", webTask("b"));
    settle();
    expect(events).toHaveLength(3);
  });

  test("whoever comes late gets what is waiting to be published within the present state, and not twice", () => {
    const { events, listen, set, settle } = start();
    listen();
    set("local", webTask("a"));
    listen();
    expect(events.map((event) => event.kind)).toEqual(["tasks", "change", "tasks"]);
    settle();
    expect(events).toHaveLength(3);
  });

  test("what changed while nobody listened is no news", () => {
    const { events, listen, set, settle } = start();
    listen()[Symbol.dispose]();
    set("local", webTask("a"));
    listen();
    settle();
    expect(events.map((event) => event.kind)).toEqual(["tasks", "tasks"]);
  });
});

describe("what others say", () => {
  test("a plane's word reaches the tasks that it is about, and is taken back", () => {
    const { directory, setPlane, state, whole } = start();
    whole("local", webTask("a"), webTask("b"));
    const before = directory.get("b");
    const upstream = state.routesOf("local/a/web")[0]?.upstream ?? "";
    setPlane({ endpoints: new Map([[endpointKey(upstream, "127.0.0.1:9000"), "unhealthy"]]) });
    expect(directory.get("a").services[0]?.health).toBe("unhealthy");
    expect(directory.get("b")).toBe(before);
    setPlane({});
    expect(directory.get("a").services[0]?.health).toBe("healthy");
  });

  test("a failing source makes its tasks stale, and is a problem of no task", () => {
    const { directory, events, listen, settle, update, whole } = start();
    whole("local", webTask("a"));
    whole("file", webTask("b"));
    listen();
    update("file", { kind: "stale", since: 5, error: new Error("gone") });
    settle();
    expect(directory.list().map(({ name, staleSince }) => [name, staleSince])).toEqual([
      ["a", null],
      ["b", 5],
    ]);
    expect(directory.problems()).toMatchObject([{ subject: "file", code: "source_stale", since: 5 }]);
    expect(events.at(-1)).toMatchObject({ kind: "change", set: [{ name: "b" }], problems: [{ subject: "file" }] });
  });

  test("a task's problems are in the task, whoever found them, and go away", () => {
    const { directory, setPlane, whole } = start();
    whole("local", webTask("nb"));
    whole("file", webTask("nb"));
    expect(directory.get("file/nb").problems).toMatchObject([{ code: "name_taken" }]);
    expect(directory.problems()).toEqual([]);
    setPlane({ problems: [{ subject: "local/nb/web", code: "port_refused", message: "in use" }] });
    expect(directory.get("local/nb").problems).toMatchObject([{ code: "port_refused" }]);
    setPlane({});
    whole("local");
    expect(directory.get("nb").problems).toEqual([]);
    expect(directory.problems()).toEqual([]);
  });
});

describe("waiting for a task", () => {
  test("resolves with the task once it is as wanted", async () => {
    const { directory, set } = start();
    const seen = directory.until("local/a", (view) => view?.state === "running", new AbortController().signal);
    set("local", webTask("a", { state: "starting" }));
    set("local", webTask("a"));
    expect((await seen)?.state).toBe("running");
  });

  test("gives what there is when the time is up", async () => {
    const { directory } = start();
    const controller = new AbortController();
    const seen = directory.until("local/a", (view) => view !== undefined, controller.signal);
    controller.abort();
    expect(await seen).toBeUndefined();
  });
});

test("a change of one task among thousands looks at that one alone", () => {
  const { directory, set, whole } = start();
  whole("local", ...Array.from({ length: 3000 }, (_, index) => webTask(`t${String(index)}`)));
  const before = new Map(directory.list().map((view) => [view.id, view]));
  set("local", webTask("t7", { state: "failed", reason: "exit 1" }));
  const changed = directory.list().filter((view) => before.get(view.id) !== view);
  expect(changed.map((view) => view.id)).toEqual(["local/t7"]);
});
