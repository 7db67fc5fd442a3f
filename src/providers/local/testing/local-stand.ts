import { mkdtempSync, rmSync } from "node:fs";
import { enableCompileCache } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, vi } from "vitest";
import { homeAt, makeHome, type Home } from "../../../config/home.ts";
import { LocalConfig } from "../../../config/schema.ts";
import type { RunSpec, Task } from "../../../model/index.ts";
import { systemClock } from "../../../platform/clock.ts";
import { packageRoot } from "../../../platform/package-info.ts";
import { silentLogger } from "../../../platform/logger.ts";
import type { Store } from "../../../store/store.ts";
import { startEmbeddedStore } from "../../../store/embedded/embedded-store.ts";
import { recordSource, type SourceRecord } from "../../provider.contract.ts";
import { createDiscover } from "../discover/discover.ts";
import { createLocalProvider, type LocalDeps, type LocalProvider } from "../local-provider.ts";

// As a gate does: otherwise every supervisor of a test would compile its code anew.
enableCompileCache(join(packageRoot, "node_modules", ".cache", "taskgate", "compile"));

/** Long enough for a slow, busy machine; a condition is met long before. */
export const WAIT = { timeout: 15_000, interval: 20 };

/** Who owns the tasks of a stand. */
export const OWNER = { realm: "local", name: "tester" };

const NEVER = new AbortController().signal;

/** A state folder of its own, for its owner alone. */
export function temporaryHome(): Home & Disposable {
  const home = homeAt({ TASKGATE_HOME: mkdtempSync(join(tmpdir(), "tg-")) });
  makeHome(home);
  return { ...home, [Symbol.dispose]: () => rmSync(home.directory, { recursive: true, force: true, maxRetries: 5 }) };
}

export function openStore(home: Home): Promise<Store> {
  return startEmbeddedStore({ file: home.database, clock: systemClock, logger: silentLogger });
}

/** A provider, not started. */
export function createLocal(home: Home, store: Store, changed: Partial<LocalDeps> = {}): LocalProvider {
  return createLocalProvider({
    home,
    store,
    config: LocalConfig.parse({ stopGrace: "1s" }),
    owner: OWNER,
    ownPorts: () => new Set(),
    discover: createDiscover({ logger: silentLogger }),
    clock: systemClock,
    logger: silentLogger,
    ...changed,
  });
}

/** A provider over its store, as a gate has it, and what it publishes. */
export interface LocalStand extends AsyncDisposable {
  readonly home: Home;
  readonly provider: LocalProvider;
  readonly record: SourceRecord;
  /** Starts a command; what is not said is the least. Returns its name. */
  run(command: readonly string[], spec?: Partial<RunSpec>): Promise<string>;
  task(name: string): Task | undefined;
  /** Settles when the task looks like that. */
  until(name: string, look: Partial<Task> | ((task: Task) => void)): Promise<Task>;
  logs(name: string, tail?: number): Promise<readonly string[]>;
  /** Stops and forgets everything: what a test that ends leaves running would run for ever. */
  removeAll(): Promise<void>;
}

/** Like a gate that starts: takes over what is in the home. Disposing is like a gate that ends: tasks go on. */
export async function startLocalStand(home: Home, changed: Partial<LocalDeps> = {}): Promise<LocalStand> {
  const scope = new AsyncDisposableStack();
  const provider = createLocal(home, scope.use(await openStore(home)), changed);
  const record = recordSource();
  scope.use(await provider.start(record.publish, NEVER));
  return {
    home,
    provider,
    record,
    run: (command, spec) => provider.runner.run(runSpec(command, spec), NEVER),
    task: (name) => record.tasks.get(name),
    until: (name, look) => until(record, name, look),
    logs: (name, tail) =>
      linesOf(provider.control.logs(name, { follow: false, ...(tail === undefined ? {} : { tail }) }, NEVER)),
    async removeAll() {
      await Promise.all([...record.tasks.keys()].map((name) => provider.control.remove(name, NEVER)));
    },
    [Symbol.asyncDispose]: () => scope.disposeAsync(),
  };
}

/** A home, a stand in it, and both away with all tasks at the end. */
export async function startWholeStand(changed: Partial<LocalDeps> = {}): Promise<LocalStand> {
  const home = temporaryHome();
  const stand = await startLocalStand(home, changed);
  return {
    ...stand,
    async [Symbol.asyncDispose]() {
      await stand.removeAll();
      await stand[Symbol.asyncDispose]();
      home[Symbol.dispose]();
    },
  };
}

export function runSpec(command: readonly string[], spec: Partial<RunSpec> = {}): RunSpec {
  return {
    command,
    directory: tmpdir(),
    environment: { PATH: process.env.PATH ?? "", HOME: tmpdir() },
    services: [],
    replicas: 1,
    restart: "no",
    anyone: "nobody",
    ...spec,
  };
}

/** A command that serves HTTP on each port given by these expressions of JavaScript (`process.env.PORT`). */
export function serve(...ports: readonly string[]): readonly string[] {
  const listen = ports.map(
    (port) => `http.createServer((q, s) => s.end("hello")).listen(Number(${port}), "127.0.0.1");`,
  );
  return [process.execPath, "-e", `const http = require("node:http"); ${listen.join(" ")}`];
}

export async function linesOf(lines: AsyncIterable<string>): Promise<readonly string[]> {
  return await Array.fromAsync(lines);
}

async function until(record: SourceRecord, name: string, look: Partial<Task> | ((task: Task) => void)): Promise<Task> {
  return await vi.waitFor(() => {
    const task = record.tasks.get(name);
    if (task === undefined) throw new Error(`there is no task ${name}`);
    if (typeof look === "function") look(task);
    else expect(task).toMatchObject(look);
    return task;
  }, WAIT);
}
