import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Leadership } from "./leadership.ts";
import type { Store } from "./store.ts";

/** Where the gates of one leadership meet. Disposing removes it. */
export interface LeadershipPlace extends AsyncDisposable {
  /** What a gate that starts there gets; the suite ends it before it opens the next. */
  open(): Promise<{ readonly leadership: Leadership; readonly store: Store } & AsyncDisposable>;
}

/** Elections over a network take their time on a busy machine. */
const WAIT = { timeout: 10_000, interval: 5 };

type Work = Parameters<Leadership["lead"]>[1];

/** What every Leadership does, on the system's clock. */
export function describeLeadership(name: string, start: () => Promise<LeadershipPlace>): void {
  describe(`${name} leadership`, () => {
    let place: LeadershipPlace;
    let gate: Awaited<ReturnType<LeadershipPlace["open"]>>;

    beforeEach(async () => {
      place = await start();
      gate = await place.open();
    });
    afterEach(async () => {
      await gate[Symbol.asyncDispose]();
      await place[Symbol.asyncDispose]();
    });

    /** Works until its signal aborts. */
    const steady = (fences: number[]): Work => {
      return async (signal, fence) => {
        fences.push(fence);
        await aborted(signal);
      };
    };
    const leadOnce = async (lead: string): Promise<number> => {
      const fences: number[] = [];
      const place = gate.leadership.lead(lead, steady(fences));
      await vi.waitFor(() => expect(fences).toHaveLength(1), WAIT);
      await place[Symbol.asyncDispose]();
      return fences[0]!;
    };

    test("elects somebody, with a whole number as fence", async () => {
      expect(await leadOnce("writer")).toSatisfy(Number.isSafeInteger);
    });

    test("raises the fence with every election, also by a gate that starts later", async () => {
      const first = await leadOnce("writer");
      const second = await leadOnce("writer");
      await gate[Symbol.asyncDispose]();
      gate = await place.open();
      const third = await leadOnce("writer");
      expect(second).toBeGreaterThan(first);
      expect(third).toBeGreaterThan(second);
    });

    test("refuses every write by who led before, and takes those of who was elected last", async () => {
      const [former, latest] = [await leadOnce("writer"), await leadOnce("writer")];
      const by = (fence: number) => ({ fence: { lead: "writer", fence } });
      const { store } = gate;
      const refused = { name: "GatewayError", code: "conflict" };
      await expect(store.put("task", "a", 1, { version: null, ...by(former) })).rejects.toMatchObject(refused);
      const version = await store.put("task", "a", 2, { version: null, ...by(latest) });
      await expect(store.put("task", "a", 3, { version, ...by(former) })).rejects.toMatchObject(refused);
      await expect(store.remove("task", "a", version, by(former))).rejects.toMatchObject(refused);
      await expect(store.put("task", "a", 3, { version, ...by(latest + 1) })).rejects.toMatchObject(refused);
      expect((await store.get("task", "a"))?.value).toBe(2);
      await store.remove("task", "a", version, by(latest));
      expect(await store.get("task", "a")).toBeNull();
    });

    test("refuses writes by a lead that nobody was elected for", async () => {
      const fence = { lead: "nobody", fence: 1 };
      const write = gate.store.put("task", "a", 1, { version: null, fence });
      await expect(write).rejects.toMatchObject({ code: "conflict" });
    });

    test("starts work that throws again, with a higher fence each time", async () => {
      const fences: number[] = [];
      await using scope = new AsyncDisposableStack();
      const work: Work = async (signal, fence) => {
        fences.push(fence);
        if (fences.length < 3) throw new Error("work fails");
        await aborted(signal);
      };
      scope.use(gate.leadership.lead("writer", work));
      await vi.waitFor(() => expect(fences).toHaveLength(3), WAIT);
      expect(fences).toEqual([...new Set(fences)].sort((a, b) => a - b));
    });

    test("starts work that throws at once, before it is asynchronous, again", async () => {
      let calls = 0;
      await using scope = new AsyncDisposableStack();
      const work: Work = () => {
        calls += 1;
        if (calls === 1) throw new Error("work fails");
        return Promise.resolve();
      };
      scope.use(gate.leadership.lead("writer", work));
      await vi.waitFor(() => expect(calls).toBeGreaterThan(1), WAIT);
    });

    test("starts work that returns again", async () => {
      let calls = 0;
      await using scope = new AsyncDisposableStack();
      const work: Work = () => {
        calls += 1;
        return Promise.resolve();
      };
      scope.use(gate.leadership.lead("writer", work));
      await vi.waitFor(() => expect(calls).toBeGreaterThan(1), WAIT);
    });

    test("never runs two works of a name at once", async () => {
      let running = 0;
      let most = 0;
      let calls = 0;
      await using scope = new AsyncDisposableStack();
      const work: Work = async () => {
        calls += 1;
        running += 1;
        most = Math.max(most, running);
        await new Promise((resolve) => setImmediate(resolve));
        running -= 1;
      };
      scope.use(gate.leadership.lead("writer", work));
      await vi.waitFor(() => expect(calls).toBeGreaterThan(2), WAIT);
      expect(most).toBe(1);
    });

    test("aborts the work when disposed, and waits for its end", async () => {
      let ended = false;
      let started = false;
      const lead = gate.leadership.lead("writer", async (signal) => {
        started = true;
        await aborted(signal);
        await new Promise((resolve) => setTimeout(resolve, 20));
        ended = true;
      });
      await vi.waitFor(() => expect(started).toBe(true), WAIT);
      await lead[Symbol.asyncDispose]();
      expect(ended).toBe(true);
    });

    test("is disposed without complaint when the work throws as it is aborted", async () => {
      let started = false;
      const lead = gate.leadership.lead("writer", async (signal) => {
        started = true;
        await aborted(signal);
        signal.throwIfAborted();
      });
      await vi.waitFor(() => expect(started).toBe(true), WAIT);
      await lead[Symbol.asyncDispose]();
    });

    test("does not start work any more once disposed, even between two attempts", async () => {
      let calls = 0;
      const lead = gate.leadership.lead("writer", () => {
        calls += 1;
        return Promise.reject(new Error("work fails"));
      });
      await vi.waitFor(() => expect(calls).toBe(1), WAIT);
      await lead[Symbol.asyncDispose]();
      const before = calls;
      await leadOnce("writer");
      expect(calls).toBe(before);
    });

    test("may be disposed at once and twice", async () => {
      const lead = gate.leadership.lead("writer", steady([]));
      await Promise.all([lead[Symbol.asyncDispose](), lead[Symbol.asyncDispose]()]);
      await leadOnce("writer");
    });

    test("leads names apart", async () => {
      const fences: number[] = [];
      await using scope = new AsyncDisposableStack();
      scope.use(gate.leadership.lead("a", steady(fences)));
      await leadOnce("b");
      await leadOnce("b");
      await vi.waitFor(() => expect(fences).toHaveLength(1), WAIT);
    });

    test("refuses a name that this gate leads already", async () => {
      await using scope = new AsyncDisposableStack();
      scope.use(gate.leadership.lead("writer", steady([])));
      expect(() => gate.leadership.lead("writer", steady([]))).toThrow(expect.objectContaining({ code: "conflict" }));
    });
  });
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
}
