import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { processStart } from "../platform/process-identity.ts";
import { withStartLock } from "./start-lock.ts";
import { temporaryHome } from "./testing/fake-gate.ts";

const never = new AbortController().signal;

test("one at a time, and each gets its turn", async () => {
  using home = temporaryHome();
  let inside = 0;
  let most = 0;
  const turns = Array.from({ length: 5 }, () =>
    withStartLock(home, never, async () => {
      most = Math.max(most, ++inside);
      await new Promise((resolve) => setImmediate(resolve));
      inside--;
    }),
  );
  await Promise.all(turns);
  expect(most).toBe(1);
  expect(existsSync(join(home.directory, "start.lock"))).toBe(false);
});

test("a lock whose holder is dead, or that is no lock, holds nothing", async () => {
  using home = temporaryHome();
  for (const content of [`${process.pid} another-start`, "", "rubbish"]) {
    writeFileSync(join(home.directory, "start.lock"), content);
    await expect(withStartLock(home, never, () => Promise.resolve("done"))).resolves.toBe("done");
  }
});

test("a lock that is held is waited for until the signal aborts", async () => {
  using home = temporaryHome();
  const path = join(home.directory, "start.lock");
  writeFileSync(path, `${process.pid} ${processStart(process.pid) ?? ""}`);
  const signal = AbortSignal.timeout(200);
  await expect(withStartLock(home, signal, () => Promise.resolve("done"))).rejects.toThrow(/timeout/);
  expect(existsSync(path)).toBe(true);
});

test("work that throws gives the lock back", async () => {
  using home = temporaryHome();
  await expect(withStartLock(home, never, () => Promise.reject(new Error("no")))).rejects.toThrow("no");
  await expect(withStartLock(home, never, () => Promise.resolve("done"))).resolves.toBe("done");
});
