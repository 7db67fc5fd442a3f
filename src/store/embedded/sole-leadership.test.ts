import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test, vi } from "vitest";
import { systemClock } from "../../platform/clock.ts";
import { silentLogger } from "../../platform/logger.ts";
import { describeLeadership } from "../leadership.contract.ts";
import { startEmbeddedStore } from "./embedded-store.ts";
import { startSoleLeadership } from "./sole-leadership.ts";

const folders: string[] = [];
afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true });
});

async function openSole(folder: string) {
  const deps = { clock: systemClock, logger: silentLogger };
  const store = await startEmbeddedStore({ ...deps, file: join(folder, "gate.db") });
  return {
    store,
    leadership: startSoleLeadership({ ...deps, store }),
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
}

async function makeFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "taskgate-leadership-"));
  folders.push(folder);
  return folder;
}

describeLeadership("sole", async () => {
  const folder = await makeFolder();
  return { open: () => openSole(folder), [Symbol.asyncDispose]: () => Promise.resolve() };
});

test("waits for a store that cannot be written, and can be disposed while it does", async () => {
  await using gate = await openSole(await makeFolder());
  await gate.store[Symbol.asyncDispose]();
  let calls = 0;
  const lead = gate.leadership.lead("writer", () => {
    calls += 1;
    return Promise.resolve();
  });
  await new Promise((resolve) => setImmediate(resolve));
  await lead[Symbol.asyncDispose]();
  expect(calls).toBe(0);
});

test("takes a fence that was raised behind its back as one of its own", async () => {
  await using gate = await openSole(await makeFolder());
  await gate.store.put("fence", "writer", 41, { version: null });
  const fences: number[] = [];
  await using scope = new AsyncDisposableStack();
  const work = (_signal: AbortSignal, fence: number) => {
    fences.push(fence);
    return Promise.resolve();
  };
  scope.use(gate.leadership.lead("writer", work));
  await vi.waitFor(() => expect(fences[0]).toBe(42));
});
