import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { GatewayError, type Principal } from "../model/index.ts";
import { createManualClock } from "../store/testing/manual-clock.ts";
import { openEventStream } from "./event-stream.ts";
import { createTaskDirectory } from "./task-directory.ts";
import { emptyTable, siteAt, startTestGate, type TestGate } from "./testing/start-gate.ts";
import { OWNER, webTask } from "./testing/web-task.ts";
import { createVisibility } from "./visibility.ts";
import type { LiveEvent } from "./wire.ts";

let gate: TestGate;

beforeAll(async () => {
  gate = await startTestGate();
});

afterAll(async () => {
  await gate[Symbol.asyncDispose]();
});

/** The events of a stream, one at a time. */
async function* eventsOf(response: IncomingMessage): AsyncGenerator<LiveEvent, undefined> {
  for await (const line of createInterface(response)) {
    if (line.startsWith("data: ")) yield JSON.parse(line.slice("data: ".length)) as LiveEvent;
  }
  return undefined;
}

describe("live events", () => {
  test("begin with all tasks, and go on with what changes", async () => {
    gate.provider.set(webTask("a"));
    const response = await gate.open("/events");
    expect(response.headers["content-type"]).toBe("text/event-stream; charset=utf-8");
    const events = eventsOf(response);
    expect((await events.next()).value).toMatchObject({ kind: "tasks", tasks: [{ name: "a" }] });
    gate.provider.set(webTask("b"));
    expect((await events.next()).value).toMatchObject({ kind: "change", set: [{ name: "b" }], removed: [] });
    await gate.provider.remove("b");
    expect((await events.next()).value).toMatchObject({ kind: "change", set: [], removed: ["local/b"] });
    response.destroy();
  });

  test("leave nothing behind when their readers leave", async () => {
    await vi.waitUntil(() => gate.directory.subscribers === 0);
    const responses = await Promise.all(Array.from({ length: 40 }, () => gate.open("/events")));
    expect(gate.directory.subscribers).toBe(40);
    for (const response of responses) response.destroy();
    await vi.waitUntil(() => gate.directory.subscribers === 0);
  });

  test("are bounded in number, and refused beyond that", async () => {
    const responses = await Promise.all(Array.from({ length: 256 }, () => gate.open("/events")));
    expect((await gate.ask("/events")).status).toBe(503);
    for (const response of responses) response.destroy();
    await vi.waitUntil(() => gate.directory.subscribers === 0);
  });

  test("show somebody else their own tasks alone, and take away what changes hands", async () => {
    await using own = await startTestGate();
    const bob: Principal = { realm: "other", name: "bob", groups: [], admin: false };
    const owner = { realm: bob.realm, name: bob.name };
    own.provider.set(webTask("mine"), webTask("theirs", { owner }));
    const response = await own.open("/events", { token: await own.tokenOf(bob) });
    const events = eventsOf(response);
    expect((await events.next()).value).toMatchObject({ tasks: [{ name: "theirs" }], problems: [] });
    own.provider.set(webTask("mine", { state: "failed" }), webTask("theirs"), webTask("new", { owner }));
    const change = (await events.next()).value;
    expect(change).toMatchObject({ set: [{ name: "new" }], removed: ["local/theirs"] });
    response.destroy();
  });

  test("end with the login, and so do logs", async () => {
    gate.provider.set(webTask("watched"));
    const { view, token } = await gate.auth.tokens.issue({ name: "short", principal: OWNER });
    const events = text(await gate.open("/events", { token }));
    const log = text(await gate.open("/tasks/watched/logs?follow=true", { token }));
    await gate.auth.tokens.revoke(view.id, OWNER);
    expect(await events).toMatch(/^event: tasks\n/);
    await log;
    await vi.waitUntil(() => gate.provider.reading === 0 && gate.directory.subscribers === 0);
  });

  test("end when the login expires", async () => {
    const { token } = await gate.auth.tokens.issue({ name: "short", principal: OWNER, lifetimeMs: 1000 });
    expect(await text(await gate.open("/events", { token }))).toMatch(/^event: tasks\n/);
    await vi.waitUntil(() => gate.directory.subscribers === 0);
  });

  test("end when the gate does", async () => {
    const own = await startTestGate();
    const response = await own.open("/events");
    const whole = text(response);
    await own[Symbol.asyncDispose]();
    expect(await whole).toMatch(/^event: tasks\n/);
    expect(own.directory.subscribers).toBe(0);
  });
});

describe("an event stream without a network", () => {
  function start() {
    const site = siteAt(7080);
    const state = emptyTable(site);
    const clock = createManualClock(0);
    const directory = createTaskDirectory({ state, site, planeStatus: () => null, control: () => null, clock });
    const set = (...names: string[]) => {
      state.update("local", { kind: "whole", tasks: names.map((name) => webTask(name)), problems: [] });
      const built = state.build(clock.now());
      if (built !== null) directory.built(built);
    };
    const leave = new AbortController();
    const visibility = createVisibility(OWNER, { owner: OWNER, directory, clock });
    const lasting = { signal: leave.signal, [Symbol.dispose]: () => undefined };
    const reader = openEventStream({ directory, visibility, clock }, lasting)
      .pipeThrough(new TextDecoderStream())
      .getReader();
    return { clock, directory, leave, reader, set };
  }

  test("says every 15 s that it is alive", async () => {
    const { clock, reader } = start();
    await reader.read();
    clock.advance(15_000);
    expect((await reader.read()).value).toBe(": alive\n\n");
    clock.advance(15_000);
    expect((await reader.read()).value).toBe(": alive\n\n");
    await reader.cancel();
  });

  test("keeps a bounded amount for a reader that does not read, who then gets the whole state", async () => {
    const { clock, directory, reader, set } = start();
    const rounds = 1500;
    for (let round = 0; round < rounds; round += 1) {
      set(`t${String(round)}`);
      clock.advance(60);
    }
    const kinds: string[] = [];
    let last = "";
    while (!last.includes(`"t${String(rounds - 1)}"`)) {
      last = (await reader.read()).value ?? "";
      kinds.push(last.slice(0, 14));
    }
    expect(kinds.length).toBeLessThan(rounds);
    expect(last).toMatch(/^event: tasks\n/);
    await reader.cancel();
    expect(directory.subscribers).toBe(0);
  });

  test("ends with its signal, and stops its timers", async () => {
    const { clock, directory, leave, reader } = start();
    await reader.read();
    leave.abort();
    expect(await reader.read()).toEqual({ done: true, value: undefined });
    expect(directory.subscribers).toBe(0);
    clock.advance(60_000);
  });
});

describe("logs", () => {
  beforeEach(() => {
    gate.provider.set(webTask("logged"));
    gate.provider.lines = ["one", "two", "three"];
    gate.provider.logError = null;
  });

  test("are text, all of it or its end", async () => {
    const all = await gate.ask("/tasks/logged/logs");
    expect([all.headers["content-type"], all.body]).toEqual(["text/plain; charset=utf-8", "one\ntwo\nthree\n"]);
    expect((await gate.ask("/tasks/logged/logs?tail=1&follow=false&replica=1")).body).toBe("three\n");
    expect(gate.provider.lastLogs).toEqual({ follow: false, tail: 1, replica: "1" });
  });

  test("are read by 256 at once and no more, until one of them leaves", async () => {
    const readers = await Promise.all(Array.from({ length: 256 }, () => gate.open("/tasks/logged/logs?follow=true")));
    expect((await gate.ask("/tasks/logged/logs?follow=true")).status).toBe(503);
    readers[0]?.destroy();
    await vi.waitFor(async () => expect((await gate.ask("/tasks/logged/logs?follow=false")).status).toBe(200), 10_000);
    for (const reader of readers) reader.destroy();
    await vi.waitUntil(() => gate.provider.reading === 0);
  });

  test("that are followed come at once, and reading stops when the reader leaves", async () => {
    const response = await gate.open("/tasks/logged/logs?follow=true");
    expect(String((await once(response, "data"))[0])).toBe("one\ntwo\nthree\n");
    expect(gate.provider.reading).toBe(1);
    response.destroy();
    await vi.waitUntil(() => gate.provider.reading === 0);
  });

  test("of a task that has written nothing are answered, and left, likewise", async () => {
    gate.provider.lines = [];
    const response = await gate.open("/tasks/logged/logs?follow=true");
    expect(response.statusCode).toBe(200);
    response.destroy();
    await vi.waitUntil(() => gate.provider.reading === 0);
  });

  test("are read no faster than they are taken", async () => {
    let read = 0;
    const line = "x".repeat(1000);
    gate.provider.lines = {
      slice: () => [],
      *[Symbol.iterator]() {
        for (;;) {
          read += 1;
          yield line;
        }
      },
    } as unknown as string[];
    const response = await gate.open("/tasks/logged/logs");
    await once(response, "readable");
    let before = -1;
    await vi.waitUntil(
      () => {
        const still = read === before;
        before = read;
        return still;
      },
      { interval: 200, timeout: 10_000 },
    );
    expect(read).toBeLessThan(20_000);
    response.destroy();
    await vi.waitUntil(() => gate.provider.reading === 0);
  });

  test("that fail at once fail with a status", async () => {
    gate.provider.lines = [];
    gate.provider.logError = new GatewayError("not_found", "no replica 9");
    const answer = await gate.ask("/tasks/logged/logs?replica=9");
    expect([answer.status, answer.json()]).toEqual([404, { error: { code: "not_found", message: "no replica 9" } }]);
  });

  test("that fail later are cut off, so that nobody takes them for the whole", async () => {
    const slow = "x".repeat(64 * 1024);
    gate.provider.lines = Array.from({ length: 50 }, () => slow);
    gate.provider.logError = new Error("disk gone");
    const response = await gate.open("/tasks/logged/logs");
    const failed = new Promise((resolve) => response.once("error", resolve));
    response.resume();
    expect(await failed).toMatchObject({ code: "ECONNRESET" });
  });
});
