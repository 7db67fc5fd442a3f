import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { isCode, type ErrorCode } from "../model/index.ts";
import type { Clock } from "../platform/clock.ts";
import { MAX_KEY_BYTES, MAX_VALUE_BYTES } from "./entry-limits.ts";
import type { Store, Versioned } from "./store.ts";
import { createManualClock, type ManualClock } from "./testing/manual-clock.ts";

/** Where one store's data is. Disposing removes it. */
export interface StorePlace extends AsyncDisposable {
  /** The same data every time. The suite disposes what it opened, before it opens again. */
  open(): Promise<Store>;
}

/** What every Store does. `start` makes an empty place, whose stores take the time from `clock`. */
export function describeStore(name: string, start: (clock: Clock) => Promise<StorePlace>): void {
  describe(`${name} store`, () => {
    let clock: ManualClock;
    let place: StorePlace;
    let store: Store;

    beforeEach(async () => {
      clock = createManualClock(1_800_000_000_000);
      place = await start(clock);
      store = await place.open();
    });
    afterEach(async () => {
      await store[Symbol.asyncDispose]();
      await place[Symbol.asyncDispose]();
    });
    const reopen = async (): Promise<void> => {
      await store[Symbol.asyncDispose]();
      store = await place.open();
    };
    const make = (key: string, value: unknown) => store.put("task", key, value, { version: null });
    const observe = (kind: string, from: string | null) => {
      const seen: (readonly [string, Versioned<unknown> | null])[] = [];
      return { seen, watch: store.watch(kind, from, (key, entry) => seen.push([key, entry])) };
    };

    describe("compare and swap", () => {
      test("makes an entry, and gives it back with its version", async () => {
        const version = await make("a", { n: 1 });
        expect(await store.get("task", "a")).toEqual({ value: { n: 1 }, version });
      });

      test("does not make what is there", async () => {
        await make("a", 1);
        await fails(make("a", 2), "conflict");
        expect((await store.get("task", "a"))?.value).toBe(1);
      });

      test("replaces the version that was read, under a new version", async () => {
        const first = await make("a", 1);
        const second = await store.put("task", "a", 2, { version: first });
        expect(second).not.toBe(first);
        expect(await store.get("task", "a")).toEqual({ value: 2, version: second });
      });

      test("gives a new version even to the same value", async () => {
        const first = await make("a", 1);
        expect(await store.put("task", "a", 1, { version: first })).not.toBe(first);
      });

      test("refuses a version that is no longer the entry's", async () => {
        const first = await make("a", 1);
        await store.put("task", "a", 2, { version: first });
        await fails(store.put("task", "a", 3, { version: first }), "conflict");
        await fails(store.remove("task", "a", first), "conflict");
        expect((await store.get("task", "a"))?.value).toBe(2);
      });

      test("replaces and removes nothing that is not there", async () => {
        const version = await make("a", 1);
        await store.remove("task", "a", version);
        await fails(store.remove("task", "a", version), "conflict");
        await fails(store.put("task", "a", 2, { version }), "conflict");
        await fails(store.put("task", "never", 2, { version }), "conflict");
        expect(await store.get("task", "a")).toBeNull();
      });

      test("does not take a version of an earlier life of the key", async () => {
        const first = await make("a", 1);
        await store.remove("task", "a", first);
        await make("a", 2);
        await fails(store.remove("task", "a", first), "conflict");
      });

      test("refuses text that is no version", async () => {
        await make("a", 1);
        for (const version of ["", "0", "-1", "NaN", "null", "1e3", "v".repeat(10_000)]) {
          await fails(store.put("task", "a", 2, { version }), "conflict");
        }
      });

      test("lets one of many parallel makers win", async () => {
        const results = await Promise.allSettled(Array.from({ length: 20 }, (_, n) => make("code", n)));
        const won = results.flatMap((result, n) => (result.status === "fulfilled" ? [n] : []));
        expect(won).toHaveLength(1);
        expect((await store.get("task", "code"))?.value).toBe(won[0]);
        for (const result of results) {
          if (result.status === "rejected") expect(isCode(result.reason, "conflict")).toBe(true);
        }
      });

      test("lets one of many parallel replacements win, and loses no count where they try again", async () => {
        await make("n", 0);
        const add = async (): Promise<void> => {
          for (;;) {
            const found = (await store.get<number>("task", "n"))!;
            try {
              await store.put("task", "n", found.value + 1, { version: found.version });
              return;
            } catch (error) {
              if (!isCode(error, "conflict")) throw error;
            }
          }
        };
        await Promise.all(Array.from({ length: 10 }, add));
        expect((await store.get("task", "n"))?.value).toBe(10);
      });
    });

    describe("values, kinds and keys", () => {
      const VALUES = [
        null,
        false,
        0,
        -1.5,
        "",
        "\u0000\u2028😀",
        [],
        {},
        [[{ a: [null] }]],
        JSON.parse('{"__proto__": {"x": 1}, "constructor": 2}') as unknown,
      ];

      test("keeps every JSON value as it is", async () => {
        for (const [n, value] of VALUES.entries()) await make(`v${n}`, value);
        await reopen();
        for (const [n, value] of VALUES.entries()) {
          expect(JSON.stringify((await store.get("task", `v${n}`))?.value)).toBe(JSON.stringify(value));
        }
      });

      test("refuses what JSON cannot hold", async () => {
        const circle: Record<string, unknown> = {};
        circle.self = circle;
        for (const value of [undefined, () => 1, Symbol("x"), 1n, circle]) await fails(make("a", value), "bad_request");
        expect(await store.get("task", "a")).toBeNull();
      });

      test("takes a value up to its bound, and refuses one byte more", async () => {
        const largest = "é".repeat((MAX_VALUE_BYTES - 2) / 2);
        await make("a", largest);
        expect((await store.get("task", "a"))?.value).toBe(largest);
        await fails(make("b", `${largest}x`), "too_large");
        expect(await store.get("task", "b")).toBeNull();
      });

      test("gives every reader a value of its own", async () => {
        const value = { list: [1] };
        await make("a", value);
        value.list.push(2);
        const read = (await store.get<{ list: number[] }>("task", "a"))!;
        read.value.list.push(3);
        (await store.list<{ list: number[] }>("task")).get("a")!.value.list.push(4);
        expect((await store.get("task", "a"))?.value).toEqual({ list: [1] });
      });

      test("keeps kinds apart", async () => {
        await store.put("task", "a", 1, { version: null });
        await store.put("token", "a", 2, { version: null });
        expect((await store.get("task", "a"))?.value).toBe(1);
        expect((await store.get("token", "a"))?.value).toBe(2);
        expect([...(await store.list("token")).keys()]).toEqual(["a"]);
        expect((await store.list("nothing")).size).toBe(0);
      });

      test("refuses what is no kind", async () => {
        for (const kind of ["", "Task", "a b", "a/b", "__proto__", "'; DROP TABLE entry", "k".repeat(64)]) {
          await fails(store.get(kind, "a"), "bad_request");
          await fails(store.list(kind), "bad_request");
          await fails(store.put(kind, "a", 1, { version: null }), "bad_request");
        }
      });

      test("takes any well-formed string as a key, and mixes none up", async () => {
        const keys = [
          "",
          " ",
          "a",
          "A",
          "a/b/c",
          "../a",
          "__proto__",
          "constructor",
          "toString",
          "a\u0000b",
          "a\u0000",
          "é",
          "e\u0301",
          "😀",
          "'",
          '"',
          "%",
          "_",
          "host http nb.localhost",
          "x".repeat(MAX_KEY_BYTES),
        ];
        for (const key of keys) await make(key, { key });
        await reopen();
        for (const key of keys) expect((await store.get("task", key))?.value).toEqual({ key });
        expect([...(await store.list("task")).keys()].sort()).toEqual([...keys].sort());
        for (const key of keys) await store.remove("task", key, (await store.get("task", key))!.version);
        expect((await store.list("task")).size).toBe(0);
      });

      test("refuses a key that is too long or half a character", async () => {
        await fails(make("x".repeat(MAX_KEY_BYTES + 1), 1), "too_large");
        await fails(store.get("task", "é".repeat(MAX_KEY_BYTES)), "too_large");
        await fails(make("\ud800", 1), "bad_request");
        expect((await store.list("task")).size).toBe(0);
      });

      test("refuses an expiry that is no whole number", async () => {
        for (const expiresAt of [NaN, Infinity, 1.5]) {
          await fails(store.put("task", "a", 1, { version: null, expiresAt }), "bad_request");
        }
      });
    });

    describe("expiry", () => {
      const make10s = (key: string) => store.put("code", key, key, { version: null, expiresAt: clock.now() + 10_000 });

      test("ends an entry for every reader at its time, not before", async () => {
        await make10s("a");
        clock.advance(9_999);
        expect((await store.get("code", "a"))?.value).toBe("a");
        clock.advance(1);
        expect(await store.get("code", "a")).toBeNull();
        expect((await store.list("code")).size).toBe(0);
        const { seen } = observe("code", null);
        await make10s("b");
        await vi.waitFor(() => expect(seen.map(([key]) => key)).toEqual(["b"]));
      });

      test("treats what expired as not there", async () => {
        const version = await make10s("a");
        clock.advance(10_000);
        await fails(store.put("code", "a", 2, { version }), "conflict");
        await fails(store.remove("code", "a", version), "conflict");
        await make10s("a");
        expect((await store.get("code", "a"))?.value).toBe("a");
      });

      test("tells watchers of it by itself", async () => {
        const { seen } = observe("code", null);
        await make10s("a");
        clock.advance(10_000);
        await vi.waitFor(() => expect(seen.map(([key, entry]) => [key, entry?.value])).toEqual([["a", "a"], ["a", undefined]])); // prettier-ignore
      });

      test("also holds for what expired while the store was closed", async () => {
        const version = await make10s("a");
        await store[Symbol.asyncDispose]();
        clock.advance(10_000);
        store = await place.open();
        expect(await store.get("code", "a")).toBeNull();
        const { seen } = observe("code", version);
        await vi.waitFor(() => expect(seen).toEqual([["a", null]]));
      });

      test("is taken back by a write without expiry", async () => {
        const version = await make10s("a");
        await store.put("code", "a", "kept", { version });
        clock.advance(1_000_000);
        expect((await store.get("code", "a"))?.value).toBe("kept");
      });

      test("waits for an entry that ends in a year without spending the time in between", async () => {
        await store.put("code", "a", 1, { version: null, expiresAt: clock.now() + 365 * 86_400_000 });
        clock.advance(364 * 86_400_000);
        expect((await store.get("code", "a"))?.value).toBe(1);
        const { seen } = observe("code", null);
        clock.advance(86_400_000);
        await vi.waitFor(() => expect(seen.at(-1)).toEqual(["a", null]));
      });
    });

    describe("watching", () => {
      test("tells what is there, then every change in order", async () => {
        const first = await make("a", 1);
        await store.put("token", "other kind", 1, { version: null });
        const { seen } = observe("task", null);
        const second = await store.put("task", "a", 2, { version: first });
        const b = await make("b", 3);
        await store.remove("task", "a", second);
        await vi.waitFor(() =>
          expect(seen).toEqual([
            ["a", { value: 1, version: first }],
            ["a", { value: 2, version: second }],
            ["b", { value: 3, version: b }],
            ["a", null],
          ]),
        );
      });

      test("tells nothing of writes that were refused", async () => {
        await make("a", 1);
        const { seen } = observe("task", null);
        await fails(make("a", 2), "conflict");
        await make("b", 3);
        await vi.waitFor(() => expect(seen.map(([key]) => key)).toEqual(["a", "b"]));
      });

      test("goes on from a version, removals included", async () => {
        const a = await make("a", 1);
        const b = await make("b", 1);
        const c = await make("c", 1);
        await store.remove("task", "a", a);
        const newer = await store.put("task", "b", 2, { version: b });
        const { seen } = observe("task", c);
        await vi.waitFor(() =>
          expect(seen).toEqual([
            ["a", null],
            ["b", { value: 2, version: newer }],
          ]),
        );
      });

      test("goes on from a version of before it was reopened", async () => {
        const a = await make("a", 1);
        const b = await make("b", 1);
        await store.remove("task", "a", a);
        await reopen();
        const { seen } = observe("task", b);
        const c = await make("c", 1);
        await vi.waitFor(() =>
          expect(seen).toEqual([
            ["a", null],
            ["c", { value: 1, version: c }],
          ]),
        );
      });

      test("refuses to go on from what is no version", () => {
        for (const from of ["", "x", "-1", "999999999999"]) throws(() => observe("task", from), "bad_request");
      });

      test("does not call within the caller's own turn", async () => {
        await make("a", 1);
        const { seen } = observe("task", null);
        expect(seen).toEqual([]);
        await vi.waitFor(() => expect(seen).toHaveLength(1));
      });

      test("stops when disposed, even with calls outstanding", async () => {
        await make("a", 1);
        const stopped = observe("task", null);
        stopped.watch[Symbol.dispose]();
        const other = observe("task", null);
        await make("b", 1);
        await vi.waitFor(() => expect(other.seen).toHaveLength(2));
        expect(stopped.seen).toEqual([]);
      });

      test("gives each watcher a value of its own, and all of them every change", async () => {
        store.watch<number[]>("task", null, (_key, entry) => entry?.value.push(99));
        store.watch("task", null, () => {
          throw new Error("a watcher fails");
        });
        const { seen } = observe("task", null);
        await make("a", [1]);
        await make("b", [2]);
        await vi.waitFor(() => expect(seen.map(([, entry]) => entry?.value)).toEqual([[1], [2]]));
      });

      test("keeps the order for everyone when a watcher writes", async () => {
        store.watch<number>("task", null, (_key, entry) => {
          if (entry !== null && entry.value < 5) {
            void store.put("task", "a", entry.value + 1, { version: entry.version });
          }
        });
        const { seen } = observe("task", null);
        await make("a", 0);
        await vi.waitFor(() => expect(seen.map(([, entry]) => entry?.value)).toEqual([0, 1, 2, 3, 4, 5]));
      });
    });

    describe("lifetime", () => {
      test("has everything after it was reopened", async () => {
        const versions = new Map<string, string>();
        for (let n = 0; n < 50; n += 1) versions.set(`k${n}`, await make(`k${n}`, { n }));
        await reopen();
        const list = await store.list<{ n: number }>("task");
        expect(list.size).toBe(50);
        for (const [key, version] of versions) expect(list.get(key)?.version).toBe(version);
      });

      test("finishes what was asked for before it was closed", async () => {
        const asked = make("a", 1);
        await reopen();
        await asked;
        expect((await store.get("task", "a"))?.value).toBe(1);
      });

      test("is unavailable when closed, and never says conflict then", async () => {
        const version = await make("a", 1);
        const { seen } = observe("task", version);
        await store[Symbol.asyncDispose]();
        await fails(store.get("task", "a"), "unavailable");
        await fails(store.list("task"), "unavailable");
        await fails(make("a", 2), "unavailable");
        await fails(store.put("task", "a", 2, { version: "stale" }), "unavailable");
        await fails(store.remove("task", "a", "stale"), "unavailable");
        throws(() => observe("task", null), "unavailable");
        await store[Symbol.asyncDispose]();
        expect(seen).toEqual([]);
      });
    });
  });
}

async function fails(work: Promise<unknown>, code: ErrorCode): Promise<void> {
  await expect(work).rejects.toMatchObject({ name: "GatewayError", code });
}

function throws(work: () => unknown, code: ErrorCode): void {
  expect(work).toThrow(expect.objectContaining({ name: "GatewayError", code }));
}
