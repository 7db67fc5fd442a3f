import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdtemp, open, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { systemClock } from "../../platform/clock.ts";
import { silentLogger } from "../../platform/logger.ts";
import { openDatabase } from "./database.ts";
import { startEmbeddedStore } from "./embedded-store.ts";
import { MIGRATIONS } from "./migrations.ts";

const WRITE_LOOP = fileURLToPath(new URL("testing/write-loop.ts", import.meta.url));

let folder: string;
let file: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "taskgate-database-"));
  file = join(folder, "gate.db");
});
afterEach(() => rm(folder, { recursive: true }));

const openStore = () => startEmbeddedStore({ file, clock: systemClock, logger: silentLogger });

/** A gate's process that holds the file, once it has written something. */
async function startHolder(): Promise<ChildProcess> {
  const child = spawn(process.execPath, [WRITE_LOOP, file, "0"], { stdio: ["ignore", "pipe", "inherit"] });
  await once(child.stdout, "data");
  child.stdout.resume();
  return child;
}

async function modes(): Promise<Record<string, string>> {
  const names = await readdir(folder);
  const found = await Promise.all(names.map(async (name) => (await stat(join(folder, name))).mode & 0o777));
  return Object.fromEntries(names.map((name, n) => [name, (found[n] ?? 0).toString(8)]));
}

test("makes files that only their owner can read, whatever the umask", async () => {
  const before = process.umask(0);
  try {
    await using store = await openStore();
    await store.put("token", "a", 1, { version: null });
    expect(await modes()).toEqual({ "gate.db": "600", "gate.db-wal": "600", "gate.db.pid": "600" });
  } finally {
    process.umask(before);
  }
});

test("takes the rights of others away from files that it finds", async () => {
  const holder = await startHolder();
  holder.kill("SIGKILL");
  await once(holder, "close");
  for (const name of await readdir(folder)) await chmod(join(folder, name), 0o666);
  await using store = await openStore();
  expect((await store.list("crash")).size).toBeGreaterThan(0);
  expect(await modes()).toMatchObject({ "gate.db": "600", "gate.db-wal": "600" });
});

test("commits to the disk before a write resolves", async () => {
  await using database = await openDatabase(file);
  expect(database.connection.prepare("PRAGMA journal_mode").get()).toEqual({ journal_mode: "wal" });
  expect(database.connection.prepare("PRAGMA synchronous").get()).toEqual({ synchronous: 2 });
});

test("refuses a file that another process has, names that process, and has it when that is killed", async () => {
  const holder = await startHolder();
  try {
    await expect(openStore()).rejects.toMatchObject({
      code: "conflict",
      message: expect.stringMatching(`database ${file} is in use by process ${holder.pid}: one gate runs`) as string,
    });
  } finally {
    holder.kill("SIGKILL");
    await once(holder, "close");
  }
  await using store = await openStore();
  expect((await store.list("crash")).size).toBeGreaterThan(0);
  expect(await readFile(`${file}.pid`, "utf8")).toMatch(`${process.pid} `);
});

test("refuses a file that this process has, and leaves the first one's lock as it is", async () => {
  const first = await openStore();
  await expect(openStore()).rejects.toMatchObject({ code: "conflict" });
  // The lock must still keep others out: the refused attempt must not have dropped it.
  const child = spawn(process.execPath, [WRITE_LOOP, file, "0"], { stdio: ["ignore", "ignore", "pipe"] });
  const [said] = (await once(child.stderr.setEncoding("utf8"), "data")) as [string];
  await once(child, "close");
  expect(child.exitCode).not.toBe(0);
  expect(said).toContain("database.ts");
  await first.put("task", "a", 1, { version: null });
  await first[Symbol.asyncDispose]();
  await using second = await openStore();
  expect((await second.get("task", "a"))?.value).toBe(1);
});

test("leaves one file behind when closed", async () => {
  const store = await openStore();
  await store.put("task", "a", 1, { version: null });
  await store[Symbol.asyncDispose]();
  expect(await readdir(folder)).toEqual(["gate.db"]);
});

test("refuses a newer schema, and says which file, what it found and what it knows", async () => {
  await (await openStore())[Symbol.asyncDispose]();
  const newer = MIGRATIONS.length + 1;
  withRaw((raw) => raw.exec(`PRAGMA user_version = ${newer}`));
  await expect(openStore()).rejects.toMatchObject({
    code: "unsupported",
    message:
      `the database ${file} has schema version ${newer}, and this taskgate knows up to ${MIGRATIONS.length}: ` +
      "it was written by a newer taskgate; use that one, or another state folder",
  });
  withRaw((raw) => expect(raw.prepare("PRAGMA user_version").get()).toEqual({ user_version: newer }));
});

test("leaves a database that is not its own alone", async () => {
  withRaw((raw) => raw.exec("CREATE TABLE photo (name TEXT)"));
  await expect(openStore()).rejects.toMatchObject({
    code: "unsupported",
    message: expect.stringContaining(`${file} is a database, but not one of taskgate`) as string,
  });
  withRaw((raw) => expect(raw.prepare("SELECT name FROM sqlite_schema").all()).toEqual([{ name: "photo" }]));
});

test("brings an empty file, and one that was interrupted before its first step, up to date", async () => {
  await writeFile(file, "");
  await (await openStore())[Symbol.asyncDispose]();
  withRaw((raw) => expect(raw.prepare("PRAGMA user_version").get()).toEqual({ user_version: MIGRATIONS.length }));
});

const DAMAGED = (path: string) => ({
  code: "internal",
  message: expect.stringMatching(
    `database ${path} is damaged, or no database. Put a copy back in its place; or move it .* away and start again`,
  ) as string,
});

test("names a file that is no database, and what to do", async () => {
  await writeFile(file, "this is not SQLite\n".repeat(1000));
  await expect(openStore()).rejects.toMatchObject(DAMAGED(file));
});

test("names a file whose pages are damaged, and what to do", async () => {
  const store = await openStore();
  await Promise.all(
    Array.from({ length: 500 }, (_, n) => store.put("task", `k${n}`, "x".repeat(500), { version: null })),
  );
  await store[Symbol.asyncDispose]();
  const { size } = await stat(file);
  const raw = await open(file, "r+");
  for (let at = 4096; at < size; at += 4096) await raw.write(Buffer.alloc(512, 0xa5), 0, 512, at);
  await raw.close();
  await expect(openStore()).rejects.toMatchObject(DAMAGED(file));
});

test("names a file whose end is missing, and what to do", async () => {
  const store = await openStore();
  await store.put("task", "a", "x".repeat(50_000), { version: null });
  await store[Symbol.asyncDispose]();
  const raw = await open(file, "r+");
  await raw.truncate(8192);
  await raw.close();
  await expect(openStore()).rejects.toMatchObject(DAMAGED(file));
});

test("says that it cannot open a file in a folder that is not there, or one that is a folder", async () => {
  file = join(folder, "none", "gate.db");
  await expect(openStore()).rejects.toMatchObject({
    code: "unavailable",
    message: `cannot open the database ${file} (ENOENT): its folder must exist, be writable and have space left`,
  });
  file = folder;
  await expect(openStore()).rejects.toMatchObject({ code: "unavailable" });
});

test("forgets removals of long ago, and says so to a watch that would miss them", { timeout: 60_000 }, async () => {
  await using store = await openStore();
  const kept = await store.put("task", "kept", 1, { version: null });
  const gone = await store.put("task", "gone", 1, { version: null });
  await store.remove("task", "gone", gone);
  const recent = await store.put("task", "recent", 1, { version: null });
  for (let batch = 0; batch < 10; batch += 1) {
    const all = Array.from({ length: 1000 }, (_, n) => store.put("other", `${batch}/${n}`, 1, { version: null }));
    await Promise.all(all);
  }
  expect(() => store.watch("task", kept, () => undefined)).toThrow(expect.objectContaining({ code: "conflict" }));
  const seen: string[] = [];
  store.watch("task", recent, (key) => seen.push(key));
  const last = await store.put("task", "last", 1, { version: null });
  await store.remove("task", "last", last);
  expect(seen).toEqual(["last", "last"]);
});

function withRaw(work: (raw: DatabaseSync) => void): void {
  const raw = new DatabaseSync(file);
  try {
    work(raw);
  } finally {
    raw.close();
  }
}
