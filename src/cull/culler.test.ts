import { beforeEach, expect, test } from "vitest";
import type { AuditEntry, LastUse } from "../model/index.ts";
import { silentLogger as logger } from "../platform/logger.ts";
import { createManualClock, type ManualClock } from "../store/testing/manual-clock.ts";
import { Culler, type Idler } from "./culler.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const START = Date.UTC(2026, 0, 1);

let clock: ManualClock;
let idlers: Idler[];
let uses: Map<string, LastUse>;
let stopped: { readonly key: string; readonly why: string }[];
let audited: AuditEntry[];
let busy: boolean;
let changes: number;
let failing: boolean;

beforeEach(() => {
  clock = createManualClock(START);
  idlers = [idler()];
  uses = new Map();
  stopped = [];
  audited = [];
  busy = false;
  changes = 0;
  failing = false;
});

function idler(more: Partial<Idler> = {}): Idler {
  return { key: "local/nb", owner: "local/olga", startedAt: START, services: [["local/nb/lab", 2 * HOUR]], ...more };
}

function start(): Culler {
  return new Culler({
    ...{ clock, logger, warnBeforeMs: 10 * MINUTE, idlers: () => idlers, lastUse: () => uses },
    isBusy: () => Promise.resolve(busy),
    stop(key, why) {
      if (failing) return Promise.reject(new Error("it does not end"));
      stopped.push({ key, why });
      idlers = idlers.filter((each) => each.key !== key);
      return Promise.resolve();
    },
    audit: { record: (entry) => audited.push(entry) },
    changed: () => (changes += 1),
  });
}

/** Lets time pass in small steps, so that promises keep up. */
async function pass(ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= MINUTE) {
    clock.advance(Math.min(left, MINUTE));
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function use(at = clock.now(), by: string | null = "corp/alice"): void {
  uses.set("local/nb/lab", { at, by });
}

test("warns with the time, then stops what nobody used, and says why to its owner and to the audit", async () => {
  using culler = start();
  await pass(HOUR);
  use();
  await pass(HOUR + 49 * MINUTE);
  expect(culler.problems).toEqual([]);
  await pass(2 * MINUTE);
  const [warning] = culler.problems;
  expect(warning).toMatchObject({ subject: "local/nb", code: "idle_stop_soon" });
  expect(warning?.message).toContain("last used at 2026-01-01 01:00:00 UTC by corp/alice");
  expect(warning?.message).toContain("stopped at 2026-01-01 03:00:00 UTC");
  expect(changes).toBe(1);
  expect(stopped).toEqual([]);
  await pass(10 * MINUTE);
  const why = "stopped after 2 h without use; last used at 2026-01-01 01:00:00 UTC by corp/alice";
  expect(stopped).toEqual([{ key: "local/nb", why: expect.stringContaining(why.slice(0, 18)) as string }]);
  expect(stopped[0]?.why).toContain("last used at 2026-01-01 01:00:00 UTC by corp/alice");
  expect(audited).toMatchObject([
    { kind: "gate", operation: "cull", object: "local/nb", owner: "local/olga", outcome: "allowed" },
  ]);
  await pass(2 * MINUTE);
  expect(culler.problems).toEqual([]);
});

test("takes a warning back when somebody uses it", async () => {
  using culler = start();
  await pass(115 * MINUTE);
  expect(culler.problems).toHaveLength(1);
  use();
  await pass(MINUTE);
  expect(culler.problems).toEqual([]);
  expect(changes).toBe(2);
  await pass(100 * MINUTE);
  expect(stopped).toEqual([]);
});

test("counts from the start of what was never used", async () => {
  using culler = start();
  await pass(121 * MINUTE);
  expect(stopped).toHaveLength(1);
  expect(stopped[0]?.why).toContain("not used since it started");
  expect(culler.problems.length).toBeLessThanOrEqual(1);
});

test("warns for the whole time, also where a gate just started and the time is long over", async () => {
  uses.set("local/nb/lab", { at: START - 100 * HOUR, by: null });
  idlers = [idler({ startedAt: START - 200 * HOUR })];
  using culler = start();
  expect(culler.problems[0]?.message).toContain("stopped at 2026-01-01 00:10:00 UTC");
  await pass(9 * MINUTE);
  expect(stopped).toEqual([]);
  await pass(2 * MINUTE);
  expect(stopped).toHaveLength(1);
});

test("warns for half of a time that is shorter than the warning", async () => {
  idlers = [idler({ services: [["local/nb/lab", 4 * MINUTE]] })];
  using culler = start();
  await pass(MINUTE);
  expect(culler.problems).toEqual([]);
  await pass(2 * MINUTE);
  expect(culler.problems).toHaveLength(1);
});

test("keeps a task for as long as any of its services is used", async () => {
  idlers = [
    idler({
      services: [
        ["local/nb/lab", 2 * HOUR],
        ["local/nb/tb", 4 * HOUR],
      ],
    }),
  ];
  using culler = start();
  await pass(3 * HOUR);
  expect(stopped).toEqual([]);
  expect(culler.problems).toEqual([]);
  await pass(61 * MINUTE);
  expect(stopped).toHaveLength(1);
});

test("does not stop what works, and looks again", async () => {
  busy = true;
  using culler = start();
  await pass(3 * HOUR);
  expect(stopped).toEqual([]);
  busy = false;
  await pass(2 * MINUTE);
  expect(stopped).toHaveLength(1);
  expect(culler.problems).toEqual([]);
});

test("does not stop what somebody used while it was asked whether it works", async () => {
  using culler = start();
  await pass(119 * MINUTE);
  busy = false;
  clock.advance(MINUTE);
  use();
  await new Promise((resolve) => setImmediate(resolve));
  await pass(3 * MINUTE);
  expect(stopped).toEqual([]);
  expect(culler.problems).toEqual([]);
});

test("says that it could not be stopped, and tries again", async () => {
  failing = true;
  using culler = start();
  await pass(122 * MINUTE);
  expect(audited[0]).toMatchObject({ operation: "cull", outcome: "failed" });
  failing = false;
  await pass(2 * MINUTE);
  expect(stopped).toHaveLength(1);
  expect(culler.problems).toEqual([]);
});
