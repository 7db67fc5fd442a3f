import { appendFile, chmod, mkdir, mkdtemp, readFile, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { AuditConfig } from "../config/audit-config.ts";
import type { AuditEntry, AuditLine } from "../model/index.ts";
import { systemClock } from "../platform/clock.ts";
import { silentLogger as logger } from "../platform/logger.ts";
import { createManualClock } from "../store/testing/manual-clock.ts";
import { type Audit, startAudit } from "./audit.ts";
import { fileAt, listFiles } from "./audit-files.ts";
import { openAuditWriter } from "./audit-writer.ts";
import type { AuditFilter } from "./read-audit.ts";

const never = new AbortController().signal;
const START = Date.UTC(2026, 0, 1);

let folder: string;
beforeEach(async () => {
  folder = join(await mkdtemp(join(tmpdir(), "tg-audit-")), "audit");
});
afterEach(() => rm(join(folder, ".."), { recursive: true, force: true }));

function start(config: Partial<AuditConfig> = {}, clock = systemClock): Promise<Audit> {
  return startAudit({ config: { ...AuditConfig.parse({}), ...config }, folder, clock, logger });
}

function entry(more: Partial<AuditEntry> = {}): AuditEntry {
  return { kind: "api", event: "once", outcome: "allowed", operation: "stopTask", ...more };
}

async function lines(audit: Audit, filter: AuditFilter = {}): Promise<AuditLine[]> {
  const found: AuditLine[] = [];
  for await (const text of audit.read(filter, { follow: false }, never)) found.push(JSON.parse(text) as AuditLine);
  return found;
}

async function operations(audit: Audit, filter: AuditFilter = {}): Promise<(string | undefined)[]> {
  return (await lines(audit, filter)).map((line) => line.operation);
}

/** Writes entries in a life of a gate of their own. */
async function keep(...entries: readonly AuditEntry[]): Promise<void> {
  await using audit = await start();
  for (const each of entries) audit.sink.record(each);
}

test("keeps what it is told, through the lives of a gate, in files that are their owner's alone", async () => {
  await keep(entry({ operation: "one" }));
  await keep(entry({ operation: "two" }));
  await using audit = await start();
  const kept = ["start", "one", "stop", "start", "two", "stop"];
  expect(await operations(audit)).toEqual(kept);
  expect((await stat(fileAt(folder, 1))).mode & 0o777).toBe(0o600);
  expect((await stat(folder)).mode & 0o777).toBe(0o700);
  expect(await audit.verify(never)).toMatchObject({ lines: kept.length, broken: [] });
});

test("escapes everything that steers a terminal or breaks a line, and keeps no text that is endless", async () => {
  await keep(
    entry({ user: "a\nb\u001b[2J\u202e\u2028\u009b31m", path: "/x".repeat(10_000), after: "y".repeat(50_000) }),
  );
  const text = await readFile(fileAt(folder, 1), "utf8");
  expect(text.split("\n")).toHaveLength(4);
  expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028-\u202e]/);
  expect(text.length).toBeLessThan(5_000);
  await using audit = await start();
  expect((await lines(audit))[1]).toMatchObject({ user: "a\nb\u001b[2J\u202e\u2028\u009b31m" });
});

test("finds a line that was changed, taken out or put in, and what followed", async () => {
  await keep(entry({ operation: "one" }), entry({ operation: "two" }), entry({ operation: "three" }));
  const whole = await readFile(fileAt(folder, 1), "utf8");
  const rows = whole.split("\n");
  const check = async (text: string) => {
    await writeFile(fileAt(folder, 1), text);
    await using audit = await start();
    return (await audit.verify(never)).broken.map(({ line }) => line);
  };
  expect(await check(whole.replace("two", "six"))).toEqual([3]);
  expect(await check(rows.toSpliced(2, 1).join("\n"))).toEqual([3]);
  expect(await check(rows.toSpliced(2, 0, rows[1] ?? "").join("\n"))).toEqual([3]);
  expect(await check(whole)).toEqual([]);
});

test("cuts off what a crash left of a line, and goes on from the last whole one", async () => {
  await keep(entry({ operation: "one" }));
  await appendFile(fileAt(folder, 1), '{"time":"2026');
  await using audit = await start();
  audit.sink.record(entry({ operation: "two" }));
  await audit[Symbol.asyncDispose]();
  await using again = await start();
  expect(await operations(again)).toEqual(["start", "one", "stop", "start", "two", "stop"]);
  expect((await again.verify(never)).broken).toEqual([]);
});

test("begins a new file by size, keeps so many, and reads across them", async () => {
  for (let round = 0; round < 6; round += 1) {
    await using audit = await start({ maxBytes: 300, files: 3 });
    audit.sink.record(entry({ operation: `round-${String(round)}` }));
  }
  await using audit = await start({ maxBytes: 300, files: 3 });
  expect((await listFiles(folder)).length).toBeLessThanOrEqual(3);
  expect(await operations(audit)).toContain("round-5");
  expect(await operations(audit)).not.toContain("round-0");
  expect((await audit.verify(never)).broken).toEqual([]);
});

test("begins a new file by age, and removes those that are too old", async () => {
  const clock = createManualClock(START);
  const config = { ...AuditConfig.parse({}), rotate: 60_000, keep: 3_600_000 };
  await using writer = await openAuditWriter({ config, folder, clock, logger });
  for (let round = 0; round < 3; round += 1) {
    writer.record(entry());
    clock.advance(600);
    await expect.poll(() => writer.figures.written).toBe(round + 1);
    clock.advance(61_000);
  }
  expect(await listFiles(folder)).toEqual([1, 2, 3]);
});

test("gives those that are asked for, and to each what they may see", async () => {
  const at = { service: "local/nb/web", task: "local/nb", owner: "local/olga" };
  await keep(
    entry({ kind: "http", operation: "a", realm: "local", user: "alice", ...at }),
    entry({ kind: "websocket", operation: "b", realm: "corp", user: "alice", outcome: "refused", ...at }),
    entry({ operation: "c", realm: "corp", user: "bob" }),
  );
  await using audit = await start();
  expect(await operations(audit, { user: { name: "alice" } })).toEqual(["a", "b"]);
  expect(await operations(audit, { user: { realm: "corp", name: "alice" } })).toEqual(["b"]);
  expect(await operations(audit, { task: "nb", kind: "http" })).toEqual(["a"]);
  expect(await operations(audit, { task: "b" })).toEqual([]);
  expect(await operations(audit, { service: "nb/web", outcome: "refused" })).toEqual(["b"]);
  expect(await operations(audit, { until: START })).toEqual([]);
  expect(await operations(audit, { since: Date.now() + 60_000 })).toEqual([]);
  expect(await operations(audit, { visibleTo: { realm: "corp", name: "bob" } })).toEqual(["c"]);
  expect(await operations(audit, { visibleTo: { realm: "local", name: "olga" } })).toEqual(["a", "b"]);
});

test("follows what comes, from one file to the next", async () => {
  await using audit = await start({ maxBytes: 400 });
  const ending = new AbortController();
  const seen: (string | undefined)[] = [];
  const following = (async () => {
    for await (const text of audit.read({ kind: "api" }, { follow: true }, ending.signal)) {
      seen.push((JSON.parse(text) as AuditLine).operation);
    }
  })();
  const told = ["1", "2", "3", "4", "5", "6"];
  for (const operation of told) {
    audit.sink.record(entry({ operation, reason: "x".repeat(200) }));
    await expect.poll(() => seen.at(-1), { timeout: 5_000 }).toBe(operation);
  }
  expect(seen).toEqual(told);
  expect((await listFiles(folder)).length).toBeGreaterThan(2);
  ending.abort();
  await following;
});

/** A log whose file takes nothing more: its handle is of a file that is open for reading alone. */
async function failing(config: Partial<AuditConfig>) {
  const clock = createManualClock(START);
  const all = { ...AuditConfig.parse({}), ...config };
  const writer = await openAuditWriter({ config: { ...all, rotate: 60_000 }, folder, clock, logger });
  writer.record(entry({ operation: "before" }));
  clock.advance(1000);
  await expect.poll(() => writer.figures.written).toBe(1);
  // The next file cannot be begun: a folder has its name.
  await mkdir(fileAt(folder, 2));
  clock.advance(61_000);
  return { clock, writer };
}

test("goes on where the disk takes nothing, keeps what waits within bounds, and tells what was lost", async () => {
  const { clock, writer } = await failing({ bufferBytes: 2_000 });
  for (let at = 0; at < 100; at += 1) writer.record(entry({ operation: `late-${String(at)}` }));
  clock.advance(1000);
  await expect.poll(() => writer.figures.failing).toBe(true);
  expect(writer.blocked).toBe(false);
  expect(writer.figures.lost).toBeGreaterThan(50);
  await rm(fileAt(folder, 2), { recursive: true });
  const again = () => {
    clock.advance(1000);
    return writer.figures.failing;
  };
  await expect.poll(again).toBe(false);
  await writer[Symbol.asyncDispose]();
  const text = await readFile(fileAt(folder, 2), "utf8");
  expect(text).toContain("late-0");
  expect(text).toContain(`${String(writer.figures.lost)} entries were lost`);
  await using audit = await start();
  expect((await audit.verify(never)).broken).toEqual([]);
});

test("says that nobody new is to be let in, where it is required and cannot be written", async () => {
  const { clock, writer } = await failing({ required: true });
  writer.record(entry());
  clock.advance(1000);
  await expect.poll(() => writer.blocked).toBe(true);
  await rm(fileAt(folder, 2), { recursive: true });
  const again = () => {
    clock.advance(1000);
    return writer.blocked;
  };
  await expect.poll(again).toBe(false);
  await writer[Symbol.asyncDispose]();
});

test("says why it cannot be opened", async () => {
  await writeFile(folder, "");
  await expect(start()).rejects.toThrow(/audit log in .* cannot be opened \(EEXIST|ENOTDIR/);
});

test("passes over lines that are none of its own", async () => {
  await keep(entry({ operation: "one" }));
  await truncate(fileAt(folder, 1), 0);
  await appendFile(fileAt(folder, 1), `nonsense\n${"z".repeat(600_000)}\n`);
  await chmod(fileAt(folder, 1), 0o600);
  await using audit = await start();
  audit.sink.record(entry({ operation: "two" }));
  await expect.poll(() => operations(audit), { timeout: 5_000 }).toEqual(["start", "two"]);
});
