import { describe, expect, test } from "vitest";
import type { Explanation } from "../dataplanes/dataplane.ts";
import type { Principal, RequestHead, Session, SourceUpdate, Task } from "../model/index.ts";
import { systemClock } from "../platform/clock.ts";
import type { LogOptions, TaskControl } from "../providers/provider.ts";
import { createExplain } from "./explain.ts";
import { emptyTable, siteAt } from "./testing/start-gate.ts";
import { OWNER, webTask } from "./testing/web-task.ts";

const HEAD: RequestHead = {
  method: "GET",
  host: "nb.localhost:7080",
  path: "/",
  peer: "127.0.0.1",
  secure: false,
  header: () => undefined,
};

function sessionOf(principal: Principal): Session {
  return { id: "s", principal, service: "local/nb/web", expiresAt: 0, renewAt: 0 };
}

const ALICE = sessionOf({ ...OWNER, admin: false });
const ADMIN = sessionOf({ realm: "other", name: "root", groups: [], admin: true });
const BOB = sessionOf({ realm: "local", name: "bob", groups: [], admin: false });
/** Alice of another realm is somebody else. */
const OTHER_ALICE = sessionOf({ realm: "other", name: OWNER.name, groups: [], admin: false });

type Logs = (options: LogOptions, signal: AbortSignal) => AsyncIterable<string>;

function controlOf(logs: Logs): TaskControl {
  return {
    isOwn: () => true,
    stop: () => Promise.resolve(),
    remove: () => Promise.resolve(),
    logs: (_task, options, signal) => logs(options, signal),
  };
}

async function* lines(...all: string[]): AsyncIterable<string> {
  for (const line of all) yield await Promise.resolve(line);
}

interface Case {
  readonly task?: Partial<Task>;
  readonly session?: Session | null;
  readonly failure?: string | null;
  readonly logs?: Logs;
  readonly then?: SourceUpdate;
}

async function explain({ task, session = ALICE, failure = null, logs, then }: Case): Promise<Explanation> {
  const state = emptyTable(siteAt(7080));
  state.update("local", { kind: "whole", tasks: [webTask("nb", task)], problems: [] });
  state.build(1);
  const route = state.routesOf("local/nb/web")[0]!;
  if (then !== undefined) state.update("local", then);
  state.build(2);
  const control = logs === undefined ? null : controlOf(logs);
  return createExplain({ state, control: () => control, clock: systemClock })({ route, head: HEAD, session, failure });
}

describe("which state it is", () => {
  test.each([
    [{ state: "starting" }, null, 503, "starting"],
    [{ state: "stopping" }, null, 503, "stopped"],
    [{ state: "finished" }, null, 503, "stopped"],
    [{ state: "failed" }, null, 503, "crashed"],
    [{ state: "running" }, "no_endpoint", 502, "unreachable"],
    [{ state: "running" }, "connect_failed", 502, "unreachable"],
    [{ state: "running" }, "reset", 502, "unreachable"],
    [{ state: "running" }, "connect_timeout", 504, "timeout"],
    [{ state: "running" }, "idle_timeout", 504, "timeout"],
    [{ state: "running" }, "something new", 502, "unreachable"],
    [{ state: "running" }, "constructor", 502, "unreachable"],
  ] as const)("%o after %s is %i %s", async (task, failure, status, code) => {
    expect(await explain({ task, failure })).toMatchObject({ status, code });
  });

  test("a starting task is worth asking again in a second", async () => {
    expect((await explain({ task: { state: "starting" } })).retryAfterSeconds).toBe(1);
    expect((await explain({ task: { state: "failed" } })).retryAfterSeconds).toBeUndefined();
  });

  test("a name that nobody has and one whose task is gone get the same answer, which names nothing", async () => {
    const gone = await explain({ then: { kind: "whole", tasks: [], problems: [] } });
    const state = emptyTable(siteAt(7080));
    const ask = createExplain({ state, control: () => null, clock: systemClock });
    const unknown = await ask({ route: null, head: HEAD, session: null, failure: null });
    expect(unknown).toEqual(gone);
    expect(unknown).toMatchObject({ status: 404, code: "unknown_host" });
    expect(JSON.stringify(unknown)).not.toContain("nb");
  });
});

describe("who learns why", () => {
  const failed = { state: "failed", reason: "exited with 1" } as const;
  const logs: Logs = () => lines("Traceback", "ModuleNotFoundError: torch");

  test.each([
    ["the owner", ALICE],
    ["an administrator", ADMIN],
  ])("%s gets the reason and the last lines", async (_, session) => {
    const said = await explain({ task: failed, session, logs });
    expect(said.message).toContain("Exited with 1.");
    expect(said.lines).toEqual(["Traceback", "ModuleNotFoundError: torch"]);
  });

  test.each([
    ["somebody else", BOB],
    ["a namesake of another realm", OTHER_ALICE],
    ["nobody in particular", null],
  ])("%s gets the bare state", async (_, session) => {
    const asked: LogOptions[] = [];
    const said = await explain({
      task: failed,
      session,
      logs: (options) => {
        asked.push(options);
        return lines("secret");
      },
    });
    expect(said).toEqual({ status: 503, code: "crashed", title: "nb has crashed", message: "This task has failed." });
    expect(asked).toEqual([]);
  });

  test("a provider that fails is told to everybody, without what it said", async () => {
    const then: SourceUpdate = { kind: "stale", since: 0, error: new Error("password is hunter2") };
    const said = await explain({ failure: "connect_failed", session: BOB, then });
    expect(said.message).toContain("out of date");
    expect(said.message).not.toContain("hunter2");
  });
});

describe("the last lines of the log", () => {
  const failed = { state: "failed" } as const;

  test("are the last twenty, and none is endless", async () => {
    const all = [...Array.from({ length: 50 }, (_, index) => `line ${String(index)}`), "x".repeat(10_000)];
    const said = await explain({ task: failed, logs: () => lines(...all) });
    expect(said.lines).toHaveLength(20);
    expect(said.lines?.[0]).toBe("line 31");
    expect(said.lines?.at(-1)?.length).toBeLessThanOrEqual(500);
  });

  test("that take too long are given as far as they came, and no longer read", async () => {
    let aborted = false;
    const said = await explain({
      task: failed,
      async *logs(_options, signal) {
        yield "first";
        const { promise, resolve } = Promise.withResolvers<undefined>();
        signal.addEventListener("abort", () => {
          aborted = true;
          resolve(undefined);
        });
        await promise;
        yield "too late";
      },
    });
    expect(said.lines).toEqual(["first"]);
    expect(aborted).toBe(true);
  });

  test("that cannot be read are left out", async () => {
    const said = await explain({
      task: failed,
      logs: () => {
        throw new Error("no such file");
      },
    });
    expect(said).toMatchObject({ code: "crashed" });
    expect(said.lines).toBeUndefined();
  });

  test("of a route to one replica are that replica's", async () => {
    const asked: LogOptions[] = [];
    const state = emptyTable(siteAt(7080));
    const endpoints = ["0", "1"].map((replica, index) => ({
      address: { ip: "127.0.0.1", port: 9000 + index },
      replica,
      weight: 1,
      health: "healthy" as const,
    }));
    state.update("local", { kind: "whole", tasks: [webTask("nb", { endpoints: { web: endpoints } })], problems: [] });
    state.build(1);
    const route = state.routesOf("local/nb/web").find((each) => each.replica === "1") ?? null;
    const control = controlOf((options) => {
      asked.push(options);
      return lines();
    });
    const ask = createExplain({ state, control: () => control, clock: systemClock });
    await ask({ route, head: HEAD, session: ALICE, failure: "reset" });
    expect(asked).toEqual([{ follow: false, tail: 20, replica: "1" }]);
  });
});
