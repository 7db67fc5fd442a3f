import { mkdtemp, readdir, readFile, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { silentLogger } from "../platform/logger.ts";
import { until } from "./testing/rig.ts";
import { openLineWriter, type LineWriterOptions } from "./line-writer.ts";

let folder: string;
let file: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "taskgate-log-"));
  file = join(folder, "access.log");
});

afterEach(() => rm(folder, { recursive: true }));

const open = (more: Partial<LineWriterOptions> = {}) =>
  openLineWriter({ file, bufferBytes: 1_000_000, rotation: null, logger: silentLogger, ...more });

test("has every line in the file by the time that it is closed, in order", async () => {
  const writer = await open();
  const lines = Array.from({ length: 5000 }, (_, at) => `line ${String(at)} ${"x".repeat(at % 100)}\n`);
  for (const line of lines) writer.write(line);
  await writer[Symbol.asyncDispose]();
  expect(await readFile(file, "utf8")).toBe(lines.join(""));
  expect(writer.dropped).toBe(0);
});

test("writes what few there are within moments", async () => {
  await using writer = await open();
  writer.write("one\n");
  await expect.poll(() => readFile(file, "utf8")).toBe("one\n");
});

test("drops and counts what is more than may wait, and never throws", async () => {
  const writer = await open({ bufferBytes: 1000 });
  for (let at = 0; at < 100; at += 1) writer.write(`${"x".repeat(99)}\n`);
  expect(writer.dropped).toBe(90);
  await writer[Symbol.asyncDispose]();
  expect((await readFile(file, "utf8")).split("\n")).toHaveLength(11);
  writer.write("late\n");
  expect(writer.dropped).toBe(91);
});

test("goes on in a new file once somebody has moved the old one", async () => {
  await using writer = await open();
  writer.write("before\n");
  await expect.poll(() => readFile(file, "utf8")).toBe("before\n");
  await rename(file, join(folder, "moved.log"));
  await expect
    .poll(
      async () => {
        writer.write("after\n");
        return readFile(file, "utf8").catch(() => "");
      },
      { timeout: 10_000, interval: 100 },
    )
    .toContain("after\n");
  expect(await readFile(join(folder, "moved.log"), "utf8")).toMatch(/^before\n(after\n)*$/);
});

test("moves a full file away, keeps as many as it may, and loses no line", async () => {
  const writer = await open({ rotation: { maxBytes: 1000, files: 3 } });
  let written = 0;
  for (let round = 0; round < 4; round += 1) {
    writer.write(`${String(written++).padStart(1999, "0")}\n`);
    const name = round === 0 ? file : `${file}.1`;
    await expect.poll(async () => (await readdir(folder)).length, { timeout: 5000 }).toBeGreaterThanOrEqual(1);
    await expect
      .poll(
        async () => {
          writer.write(`${String(written++).padStart(1999, "0")}\n`);
          return readFile(name, "utf8").then(
            () => true,
            () => false,
          );
        },
        { timeout: 10_000, interval: 300 },
      )
      .toBe(true);
  }
  await writer[Symbol.asyncDispose]();
  const names = (await readdir(folder)).sort();
  expect(names.every((name) => /^access\.log(\.[12])?$/.test(name))).toBe(true);
  expect(names.length).toBeGreaterThanOrEqual(2);
  expect(writer.dropped).toBe(0);
});

test("two that append to one file mix no lines", async () => {
  const [one, other] = [await open(), await open()];
  for (let at = 0; at < 3000; at += 1) {
    one.write(`one ${"x".repeat(80)}\n`);
    other.write(`other ${"y".repeat(80)}\n`);
  }
  await Promise.all([one[Symbol.asyncDispose](), other[Symbol.asyncDispose]()]);
  const lines = (await readFile(file, "utf8")).trimEnd().split("\n");
  expect(lines).toHaveLength(6000);
  expect(lines.every((line) => /^(one x{80}|other y{80})$/.test(line))).toBe(true);
});

test("says what is the matter where the file cannot be opened", async () => {
  await expect(open({ file: join(folder, "no", "such", "folder") })).rejects.toThrow(
    "accessLog.file cannot be opened: the system says ENOENT.",
  );
});

test("counts lines as dropped while the disk refuses them, and carries on", async () => {
  await using writer = await open({ file: "/dev/full" });
  writer.write("one\n");
  await until(() => writer.dropped === 1);
  writer.write("two\n");
  await until(() => writer.dropped === 2);
});
