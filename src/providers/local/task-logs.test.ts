import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test, vi } from "vitest";
import { LocalConfig } from "../../config/schema.ts";
import { systemClock } from "../../platform/clock.ts";
import { listSegments } from "./supervisor/log-segments.ts";
import { LogWriter } from "./supervisor/log-writer.ts";
import { readLog } from "./task-logs.ts";
import { startWholeStand, WAIT } from "./testing/local-stand.ts";

const NEVER = new AbortController().signal;

/** A log of replica 0 in a folder of its own. */
function startLog(logBytes: number, logFiles: number) {
  const folder = mkdtempSync(join(tmpdir(), "tg-log-"));
  const writer = new LogWriter({ folder, replica: "0", logBytes, logFiles });
  onTestFinished(() => {
    writer.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const state = { ended: true };
  const log = { folder, replica: "0", clock: systemClock, ended: () => state.ended };
  return {
    folder,
    state,
    write: (...lines: readonly string[]) => writer.write(lines.map((line) => Buffer.from(line))),
    read: (tail: number | null = null, follow = false, signal = NEVER) => readLog(log, { tail, follow }, signal),
  };
}

const numbered = (from: number, to: number): readonly string[] =>
  Array.from({ length: to - from }, (_, index) => `line ${String(from + index)}`);

test("keeps as many files as it was told, the newest lines, in order", async () => {
  const log = startLog(100, 3);
  for (const line of numbered(0, 200)) log.write(line);
  const lines = await Array.fromAsync(log.read());
  expect(listSegments(log.folder, "0")).toHaveLength(3);
  expect(lines).toEqual(numbered(200 - lines.length, 200));
  expect(lines.length).toBeGreaterThan(20);
});

test.each([0, 1, 2, 5, 11, 12, 13, 24, 25, 26, 1000])("gives the last %i lines across files", async (tail) => {
  const log = startLog(100, 100);
  for (const line of numbered(0, 60)) log.write(line);
  expect(await Array.fromAsync(log.read(tail))).toEqual(numbered(Math.max(0, 60 - tail), 60));
});

test("finds the last lines of a file that is larger than what is read at once", async () => {
  const log = startLog(10_000_000, 2);
  log.write(...numbered(0, 30_000));
  expect(await Array.fromAsync(log.read(20_000))).toEqual(numbered(10_000, 30_000));
});

test("has no lines where nothing was written, and goes on from there", async () => {
  const log = startLog(100, 3);
  expect(await Array.fromAsync(log.read(5))).toEqual([]);
  log.state.ended = false;
  const lines: string[] = [];
  const reading = (async () => {
    for await (const line of log.read(5, true)) lines.push(line);
  })();
  log.write("first");
  await vi.waitFor(() => expect(lines).toEqual(["first"]), WAIT);
  log.state.ended = true;
  await reading;
});

test("follows over files without losing or repeating a line, and ends when the task has", async () => {
  const log = startLog(500, 1000);
  log.state.ended = false;
  log.write(...numbered(0, 10));
  const reading = Array.fromAsync(log.read(3, true));
  for (let from = 10; from < 3000; from += 10) {
    log.write(...numbered(from, from + 10));
    if (from % 500 === 0) await new Promise((resolve) => setTimeout(resolve, 20));
  }
  log.state.ended = true;
  expect(await reading).toEqual(numbered(7, 3000));
  expect(listSegments(log.folder, "0").length).toBeGreaterThan(10);
});

test("says so where lines were rotated away before they were read", async () => {
  const log = startLog(100, 2);
  log.state.ended = false;
  log.write("first");
  const reading = log.read(null, true);
  expect((await reading.next()).value).toBe("first");
  for (const line of numbered(0, 100)) log.write(line);
  log.state.ended = true;
  const rest = await Array.fromAsync(reading);
  expect(rest).toContain("[taskgate: lines were rotated away before they were read]");
  expect(rest.at(-1)).toBe("line 99");
});

test("stops following when it is told, without an error", async () => {
  const log = startLog(100, 2);
  log.state.ended = false;
  const stop = new AbortController();
  const reading = Array.fromAsync(log.read(null, true, stop.signal));
  stop.abort();
  expect(await reading).toEqual([]);
});

test("without following ends where the log ended when it began", async () => {
  const log = startLog(1000, 1000);
  log.write(...numbered(0, 200));
  const lines: string[] = [];
  for await (const line of log.read()) {
    lines.push(line);
    log.write("more");
  }
  expect(lines).toEqual(numbered(0, 200));
});

test("gives what a hostile file holds in bounded pieces", async () => {
  const log = startLog(1000, 3);
  writeFileSync(join(log.folder, "log.0.1"), Buffer.alloc(1_000_000, 0x61));
  const lines = await Array.fromAsync(log.read());
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThan(70_000);
});

test("goes on when it can be written again, and notes how much was lost", async () => {
  const folder = mkdtempSync(join(tmpdir(), "tg-log-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const options = { folder, replica: "0", logBytes: 1000, logFiles: 3 };
  const writer = new LogWriter(options);
  // Without its folder it is refused, as on a full disk.
  rmSync(folder, { recursive: true, force: true });
  writer.write([Buffer.from("lost"), Buffer.from("lost")]);
  mkdirSync(folder);
  writer.write([Buffer.from("two")]);
  writer.close();
  const log = { folder, replica: "0", clock: systemClock, ended: () => true };
  expect(await Array.fromAsync(readLog(log, { tail: null, follow: false }, NEVER))).toEqual([
    "[taskgate: 2 lines lost]",
    "two",
  ]);
});

test("a task's output is followed over its rotations to its end, whole", async () => {
  const config = LocalConfig.parse({ logBytes: "4KiB", logFiles: 100 });
  await using stand = await startWholeStand({ config });
  const script = "i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done; printf end";
  const name = await stand.run(["sh", "-c", script], { name: "chatty" });
  const lines = await Array.fromAsync(stand.provider.control.logs(name, { follow: true }, NEVER));
  expect(lines).toEqual([...numbered(0, 3000), "end"]);
  await expect(
    Array.fromAsync(stand.provider.control.logs(name, { follow: false, replica: "../../x" }, NEVER)),
  ).rejects.toMatchObject({ code: "not_found" });
});
