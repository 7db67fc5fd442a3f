import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { createTableState } from "../core/create-table-state.ts";
import { makeTask, OPTIONS, whole } from "../core/testing/make.ts";
import { type Claim, matchKey } from "../model/index.ts";
import { systemClock } from "../platform/clock.ts";
import { silentLogger } from "../platform/logger.ts";
import { startEmbeddedStore } from "../store/embedded/embedded-store.ts";
import { startSoleLeadership } from "../store/embedded/sole-leadership.ts";
import type { Store } from "../store/store.ts";
import { openClaimsBook } from "./claims-book.ts";

const deps = { clock: systemClock, logger: silentLogger };
let folder: string;

beforeEach(() => (folder = mkdtempSync(join(tmpdir(), "tg-claims-"))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function claim(port: number, service: string): Claim {
  return { match: { by: "port", port }, service, since: 1 };
}

const openBook = (store: Store, isShared = false) =>
  openClaimsBook({ store, leadership: startSoleLeadership({ store, ...deps }), isShared, ...deps });
const NOTHING = { decide: () => undefined, wanted: () => ({ set: [], removed: [] }) };
const IDLE = { touch: () => undefined };

test("claims are there again after a restart: the latest holder of each, and none that was given up", async () => {
  const file = join(folder, "gate.db");
  {
    await using store = await startEmbeddedStore({ file, ...deps });
    await using book = await openBook(store);
    book.published({ claims: { set: [claim(20_000, "local/a/db"), claim(20_001, "local/b/db")], removed: [] } });
    book.follow(NOTHING, IDLE);
    const removed = [matchKey({ by: "port", port: 20_001 })];
    book.published({ claims: { set: [claim(20_000, "local/c/db")], removed } });
    book.published({ claims: { set: [], removed: ["never written"] } });
  }
  await using store = await startEmbeddedStore({ file, ...deps });
  expect((await openBook(store)).first).toEqual([claim(20_000, "local/c/db")]);
});

test("many claims made at once are few entries, and all of them are there again", async () => {
  const file = join(folder, "gate.db");
  const all = Array.from({ length: 5000 }, (_none, at) => claim(at + 1, `local/t${String(at)}/db`));
  {
    await using store = await startEmbeddedStore({ file, ...deps });
    await using book = await openBook(store);
    book.follow(NOTHING, IDLE);
    book.published({ claims: { set: all, removed: [] } });
  }
  await using store = await startEmbeddedStore({ file, ...deps });
  const entries = await store.list("claim-pages");
  expect(entries.size).toBeLessThanOrEqual(512);
  expect((await openBook(store)).first).toHaveLength(all.length);
  expect(new Set((await openBook(store)).first.map(({ service }) => service)).size).toBe(all.length);
});

/** A gate's table and its part of the book. Each that comes after another is elected in its place, and that one is not told. */
async function openGate(store: Store) {
  const book = await openBook(store, true);
  const table = createTableState({ ...OPTIONS, claims: "elsewhere" }, book.first);
  for (const source of ["local", "k8s"]) table.addSource(source);
  const touch = (): void => queueMicrotask(() => tell());
  const tell = (): void => {
    const built = table.build(1);
    if (built !== null) book.published(built);
  };
  book.follow(table, { touch });
  return {
    table,
    list(...names: readonly string[]) {
      table.update("k8s", whole(...names.map((name) => makeTask(name, { name: "nb" }))));
      tell();
    },
    holder: () => table.table.routes.get("host main nb.localhost")?.service,
    [Symbol.asyncDispose]: () => book[Symbol.asyncDispose](),
  };
}

test("gates of one store have what the one that leads wrote; one that was followed and goes on writes nothing", async () => {
  await using store = await startEmbeddedStore({ file: join(folder, "gate.db"), ...deps });
  await using former = await openGate(store);
  former.list("a");
  await vi.waitFor(() => expect(former.holder()).toBe("k8s/a/web"));
  await using leader = await openGate(store);
  leader.list("b");
  await vi.waitFor(() => expect(leader.holder()).toBe("k8s/b/web"));
  await vi.waitFor(() => expect(former.holder()).toBeUndefined());
  former.list("a", "b");
  await vi.waitFor(() => expect(former.holder()).toBe("k8s/b/web"));
  former.list("a");
  expect(former.table.wanted().set.map(({ service }) => service)).toEqual(["k8s/a/web"]);
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(leader.holder()).toBe("k8s/b/web");
  leader.list("a");
  await vi.waitFor(() => expect([former.holder(), leader.holder()]).toEqual(["k8s/a/web", "k8s/a/web"]));
});
