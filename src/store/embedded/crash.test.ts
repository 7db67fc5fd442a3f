import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { z } from "zod";
import { systemClock } from "../../platform/clock.ts";
import { silentLogger } from "../../platform/logger.ts";
import { startEmbeddedStore } from "./embedded-store.ts";

const WRITE_LOOP = fileURLToPath(new URL("testing/write-loop.ts", import.meta.url));
const ROUNDS = 24;
const Acknowledged = z.strictObject({ key: z.string(), value: z.json(), version: z.string() });
const Failed = z.strictObject({ failed: z.string(), entries: z.int() });

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "taskgate-crash-"));
});
afterEach(() => rm(folder, { recursive: true }));

const openStore = (file: string) => startEmbeddedStore({ file, clock: systemClock, logger: silentLogger });

/** Kills the loop some while after its `lines`th line; gives the lines that were whole. */
async function killAfter(file: string, round: number, lines: number): Promise<string[]> {
  const child = spawn(process.execPath, [WRITE_LOOP, file, String(round)], { stdio: ["ignore", "pipe", "inherit"] });
  const said: string[] = [];
  // The time after the line lets the kill land anywhere within a write, not only just behind one.
  const kill = (): void => void setTimeout(() => child.kill("SIGKILL"), Math.random() * 8);
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    const whole = (text + chunk).split("\n");
    text = whole.pop() ?? "";
    for (const line of whole) if (said.push(line) === lines) kill();
  });
  const [, signal] = (await once(child, "close")) as [number | null, NodeJS.Signals | null];
  expect(signal).toBe("SIGKILL");
  return said;
}

test(`keeps every acknowledged write over ${ROUNDS} kills at random moments`, { timeout: 120_000 }, async () => {
  const file = join(folder, "gate.db");
  const expected = new Map<string, unknown>();
  let newest = 0;
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const line of await killAfter(file, round, 1 + Math.floor(Math.random() * 60))) {
      const { key, value, version } = Acknowledged.parse(JSON.parse(line));
      if (value === null) expected.delete(key);
      else expected.set(key, value);
      newest = Math.max(newest, Number(version));
    }
    // Opening checks the whole file, and takes a lock that the killed process must have lost.
    await using store = await openStore(file);
    const found = await store.list("crash");
    for (const [key, value] of expected) {
      // The write after the last line may have been done too: then the key holds what follows in its life.
      const now = found.get(key)?.value ?? null;
      if (JSON.stringify(now) !== JSON.stringify(value)) {
        expect(now, `${key} must be what was acknowledged, or what followed`).toEqual(followerOf(value));
        if (now === null) expected.delete(key);
        else expected.set(key, now);
      }
    }
    const next = await store.put("after", String(round), round, { version: null });
    expect(Number(next)).toBeGreaterThan(newest);
    expect((await store.list("after")).size).toBe(round + 1);
  }
});

/** What the loop does to a key next; the value itself if that was the last. */
function followerOf(value: unknown): unknown {
  const { n } = z.object({ n: z.int() }).parse(value);
  if (n > 0) return n % 3 === 0 ? value : { n: -n };
  return n % 3 === -2 ? null : value;
}

test("says unavailable on a full disk, and has all that it acknowledged", async () => {
  const file = join(folder, "gate.db");
  // A bound on file size stands in for the disk: SQLite meets EFBIG where it would meet ENOSPC. The unit is 1,024 bytes.
  const child = spawn("bash", ["-c", `ulimit -f 400; exec "$0" "$@"`, process.execPath, WRITE_LOOP, file, "0"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const lines: string[] = [];
  for await (const line of createInterface(child.stdout)) lines.push(line);
  const { failed, entries } = Failed.parse(JSON.parse(lines.pop() ?? ""));
  expect(failed).toBe("unavailable");

  const expected = new Map<string, unknown>();
  for (const line of lines) {
    const { key, value } = Acknowledged.parse(JSON.parse(line));
    if (value === null) expected.delete(key);
    else expected.set(key, value);
  }
  expect(entries).toBeGreaterThanOrEqual(expected.size);
  await using store = await openStore(file);
  const found = await store.list("crash");
  for (const [key, value] of expected) expect(found.get(key)?.value).toEqual(value);
  await store.put("after", "a", 1, { version: null });
});
