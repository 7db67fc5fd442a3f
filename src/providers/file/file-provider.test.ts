import { mkdir, mkdtemp, rename, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { stringify } from "yaml";
import { systemClock } from "../../platform/clock.ts";
import { silentLogger } from "../../platform/logger.ts";
import { describeProvider, recordSource } from "../provider.contract.ts";
import { createFileProvider, type FileProviderDeps } from "./file-provider.ts";

const OWNER = { realm: "local", name: "alice" };
const WAIT = { timeout: 15_000, interval: 20 };

async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "taskgate-file-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

function provider(path: string, more: Partial<FileProviderDeps> = {}) {
  return createFileProvider({ name: "file", path, owner: OWNER, clock: systemClock, logger: silentLogger, ...more });
}

/** As good editors save. */
async function save(path: string, text: string): Promise<void> {
  await writeFile(`${path}.new`, text);
  await rename(`${path}.new`, path);
}

function entry(name: string, port = 80) {
  return { name, kind: "notebook", services: [{ name: "web", endpoints: [`10.0.0.5:${port}`] }] };
}

describeProvider("file", async () => {
  const folder = await mkdtemp(join(tmpdir(), "taskgate-file-"));
  const path = join(folder, "tasks.yaml");
  const tasks = new Map<string, unknown>();
  const write = () => save(path, stringify({ tasks: [...tasks.values()] }));
  await write();
  return {
    provider: provider(path),
    add(name) {
      tasks.set(name, entry(name));
      return write();
    },
    change(name) {
      tasks.set(name, entry(name, 81));
      return write();
    },
    remove(name) {
      tasks.delete(name);
      return write();
    },
    addBad() {
      tasks.set("bad", { name: "Bad Name", services: "none" });
      return write();
    },
    fail: () => save(path, "tasks: [\n"),
    mend: write,
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
});

describe("file provider on a real file system", () => {
  async function watch(path: string, more: Partial<FileProviderDeps> = {}) {
    const record = recordSource();
    const stop = new AbortController();
    const watching = await provider(path, more).start(record.publish, stop.signal);
    onTestFinished(() => watching[Symbol.asyncDispose]());
    return record;
  }

  test("is stale from the start where there is no file, and whole once it comes, folder and all", async () => {
    const folder = join(await temporaryFolder(), "later");
    const path = join(folder, "tasks.yaml");
    const record = await watch(path);
    expect(record.updates).toMatchObject([{ kind: "stale", error: { message: `${path}: is not there` } }]);
    await mkdir(folder);
    await save(path, stringify({ tasks: [entry("one")] }));
    await vi.waitFor(() => expect(record.updates.at(-1)).toMatchObject({ kind: "whole" }), WAIT);
    expect(record.names()).toEqual(["one"]);
  });

  test("goes stale when the file is deleted, keeps its tasks, and takes it up again", async () => {
    const path = join(await temporaryFolder(), "tasks.yaml");
    await save(path, stringify({ tasks: [entry("one")] }));
    const record = await watch(path);
    await rm(path);
    await vi.waitFor(() => expect(record.stale).toBe(true), WAIT);
    expect(record.names()).toEqual(["one"]);
    await save(path, stringify({ tasks: [entry("one"), entry("two")] }));
    await vi.waitFor(() => expect(record.names()).toEqual(["one", "two"]), WAIT);
    expect(record.updates.map((update) => update.kind)).toEqual(["whole", "stale", "change"]);
  });

  test("sees a swapped folder behind links, as Kubernetes updates a ConfigMap", async () => {
    const folder = await temporaryFolder();
    const version = async (name: string, task: string) => {
      await mkdir(join(folder, name));
      await writeFile(join(folder, name, "tasks.yaml"), stringify({ tasks: [entry(task)] }));
      await symlink(name, join(folder, "..data.new"));
      await rename(join(folder, "..data.new"), join(folder, "..data"));
    };
    await version("..v1", "one");
    const path = join(folder, "tasks.yaml");
    await symlink("..data/tasks.yaml", path);
    const record = await watch(path);
    expect(record.names()).toEqual(["one"]);
    await version("..v2", "two");
    await rm(join(folder, "..v1"), { recursive: true });
    await vi.waitFor(() => expect(record.names()).toEqual(["two"]), WAIT);
  });

  test("sees a file written in place, also from a folder that it cannot watch by name", async () => {
    const folder = await temporaryFolder();
    await mkdir(join(folder, "elsewhere"));
    const real = join(folder, "elsewhere", "real.yaml");
    await writeFile(real, stringify({ tasks: [entry("one")] }));
    await mkdir(join(folder, "here"));
    const path = join(folder, "here", "tasks.yaml");
    await symlink(real, path);
    const record = await watch(path);
    await writeFile(real, stringify({ tasks: [entry("one"), entry("two")] }));
    await vi.waitFor(() => expect(record.names()).toEqual(["one", "two"]), WAIT);
  });

  test("takes an emptied file for a save in progress, not for no tasks", async () => {
    const path = join(await temporaryFolder(), "tasks.yaml");
    await save(path, stringify({ tasks: [entry("one")] }));
    const record = await watch(path);
    await truncate(path, 0);
    await vi.waitFor(() => expect(record.stale).toBe(true), WAIT);
    expect(record.names()).toEqual(["one"]);
  });

  test("publishes nothing where the content means the same", async () => {
    const path = join(await temporaryFolder(), "tasks.yaml");
    await save(path, stringify({ tasks: [entry("one")] }));
    const record = await watch(path);
    await save(path, `# a comment\n${stringify({ tasks: [entry("one")] })}`);
    await save(path, stringify({ tasks: [entry("one"), entry("two")] }));
    await vi.waitFor(() => expect(record.names()).toEqual(["one", "two"]), WAIT);
    expect(record.updates).toMatchObject([{ kind: "whole" }, { kind: "change", set: [{ id: "two" }], removed: [] }]);
  });

  test.each([
    ["a folder", (path: string) => mkdir(path), "is no regular file"],
    [
      "larger than it may be",
      (path: string) => writeFile(path, `tasks: []\n#${"x".repeat(4 * 1024 * 1024)}`),
      "larger than 4 MiB",
    ],
    ["not UTF-8", (path: string) => writeFile(path, Buffer.from([0x74, 0xff, 0xfe])), "is not UTF-8"],
  ])("is stale where the file is %s", async (_what, make, message) => {
    const path = join(await temporaryFolder(), "tasks.yaml");
    await make(path);
    const record = await watch(path);
    const [update] = record.updates;
    expect(update?.kind === "stale" && update.error.message).toContain(message);
  });

  test("refuses loopback unless it is allowed, and the gate's own ports always", async () => {
    const path = join(await temporaryFolder(), "tasks.yaml");
    const endpoints = ["127.0.0.1:8888", "127.0.0.1:7080", "10.0.0.5:7080"];
    await save(path, stringify({ tasks: [{ name: "nb", services: [{ name: "web", endpoints }] }] }));
    const ownPorts = () => new Set([7080]);
    const closed = await watch(path, { ownPorts });
    const open = await watch(path, { ownPorts, allowLoopback: true });
    const ports = (record: typeof closed) =>
      record.tasks
        .get("nb")!
        .endpoints.web!.map(({ address }) => ("port" in address ? `${address.ip}:${address.port}` : ""));
    expect(ports(closed)).toEqual(["10.0.0.5:7080"]);
    expect(ports(open)).toEqual(["127.0.0.1:8888", "10.0.0.5:7080"]);
    expect(closed.problems.map((problem) => problem.subject)).toEqual([`${path}:6`, `${path}:7`]);
    expect(open.problems).toMatchObject([{ subject: `${path}:7`, code: "endpoint_invalid" }]);
  });
});
