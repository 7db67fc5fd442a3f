import { once } from "node:events";
import { connect } from "node:net";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { OWNER_ONLY, type Address, type Endpoint, type SourceUpdate, type Task, type Told } from "../model/index.ts";
import type { Provider, TaskControl } from "../providers/provider.ts";
import type { Reach, ReachContext } from "./reach.ts";

/** A reach, and a place with tasks that it is for. */
export interface ReachStand extends AsyncDisposable {
  readonly reach: Reach;
  readonly context: ReachContext;
  /** Starts a TCP server that greets whoever connects with `greeting`, where tasks of this reach run; where it is, as a provider tells it. */
  listen(greeting: string): Promise<Pick<Endpoint, "address" | "pod">>;
}

const WAIT = { timeout: 15_000, interval: 20 };

/** A provider that says what the test tells it to. */
interface ScriptedProvider extends Provider {
  say(update: SourceUpdate): void;
  /** Watchers that were started and not disposed. */
  readonly watching: number;
  readonly told: readonly Told[];
}

function scriptProvider(name: string): ScriptedProvider {
  const sinks = new Set<(update: SourceUpdate) => void>();
  const told: Told[] = [];
  const control: TaskControl = {
    isOwn: () => true,
    stop: () => Promise.resolve(),
    remove: () => Promise.resolve(),
    async *logs() {
      yield await Promise.resolve("a line");
    },
  };
  return {
    name,
    control,
    told,
    get watching() {
      return sinks.size;
    },
    say(update) {
      for (const sink of sinks) sink(update);
    },
    tell: (changed) => void told.push(changed),
    async start(publish, signal) {
      await Promise.resolve();
      signal.throwIfAborted();
      sinks.add(publish);
      return {
        [Symbol.asyncDispose]() {
          sinks.delete(publish);
          return Promise.resolve();
        },
      };
    },
  };
}

function taskAt(id: string, at: Pick<Endpoint, "address" | "pod"> | null, labels: Record<string, string> = {}): Task {
  return {
    id,
    name: id,
    kind: "notebook",
    owner: { realm: "local", name: "alice" },
    namespace: "team",
    labels,
    state: "running",
    services: [{ name: "web", protocol: "tcp", guard: "self", exposures: [], policy: {} }],
    endpoints: { web: at === null ? [] : [{ ...at, replica: "0", weight: 1, health: "unknown" }] },
    access: OWNER_ONLY,
  };
}

/** Dials an address from here; what the server says first. */
async function dial(address: Address): Promise<string> {
  const socket = connect("unix" in address ? { path: address.unix } : { host: address.ip, port: address.port });
  socket.setEncoding("utf8");
  try {
    const [greeting] = (await once(socket, "data")) as [string];
    return greeting;
  } finally {
    socket.destroy();
  }
}

/** A task as it was published last. */
function publishedTask(updates: readonly SourceUpdate[], id: string): Task | undefined {
  const tasks = updates.flatMap((update) =>
    update.kind === "whole" ? update.tasks : update.kind === "change" ? update.set : [],
  );
  return tasks.findLast((task) => task.id === id);
}

/** What every Reach does. `start` makes a fresh place with no tasks. */
export function describeReach(name: string, start: () => Promise<ReachStand>): void {
  describe(`${name} reach`, () => {
    let stand: ReachStand;
    let inner: ScriptedProvider;
    let reached: Provider;
    let stop: AbortController;
    let scope: AsyncDisposableStack;
    const updates: SourceUpdate[] = [];

    beforeEach(async () => {
      updates.length = 0;
      scope = new AsyncDisposableStack();
      stand = scope.use(await start());
      inner = scriptProvider("far");
      reached = stand.reach(inner, stand.context);
      stop = new AbortController();
    });
    afterEach(async () => {
      stop.abort();
      await scope.disposeAsync();
    });

    const watch = () => reached.start((update) => updates.push(update), stop.signal);
    const heard = (count: number) => vi.waitFor(() => expect(updates.length).toBeGreaterThanOrEqual(count), WAIT);

    test("has the name of the provider that it wraps, and what that provider can do", () => {
      expect(reached.name).toBe("far");
      expect(reached.control).toBe(inner.control);
      const status = { tasks: new Map([["one", { services: {}, problems: [] }]]), problems: [] };
      reached.tell?.(status, stop.signal);
      expect(inner.told).toEqual([status]);
    });

    test("passes tasks on, with endpoints that can be dialled from here", async () => {
      scope.use(await watch());
      const [one, two] = [await stand.listen("I am one\n"), await stand.listen("I am two\n")];
      inner.say({ kind: "whole", tasks: [taskAt("one", one), taskAt("two", two)], problems: [] });
      await heard(1);
      const first = updates[0]!;
      if (first.kind !== "whole") throw new Error(`the first update is ${first.kind}`);
      expect(first.tasks.map((task) => [task.id, task.kind, task.owner?.name])).toEqual([
        ["one", "notebook", "alice"],
        ["two", "notebook", "alice"],
      ]);
      // What has to be made in the cluster for it comes later.
      for (const id of ["one", "two"]) {
        const published = () => publishedTask(updates, id)?.endpoints.web ?? [];
        await vi.waitFor(() => expect(published()).toHaveLength(1), WAIT);
        expect(await dial(published()[0]!.address)).toBe(`I am ${id}\n`);
      }
    });

    test("passes changes on in the order in which they came", async () => {
      scope.use(await watch());
      const address = await stand.listen("hello\n");
      inner.say({ kind: "whole", tasks: [taskAt("one", address)], problems: [] });
      for (let turn = 1; turn <= 20; turn += 1) {
        inner.say({ kind: "change", set: [taskAt("one", address, { turn: String(turn) })], removed: [], problems: [] });
      }
      inner.say({ kind: "change", set: [], removed: ["one"], problems: [] });
      await vi.waitFor(() => expect(updates.at(-1)).toMatchObject({ kind: "change", removed: ["one"] }), WAIT);
      const turns = updates
        .flatMap((update) => (update.kind === "change" ? update.set : []))
        .map((task) => Number(task.labels.turn));
      expect(turns).toEqual(turns.toSorted((a, b) => a - b));
      expect(turns.at(-1)).toBe(20);
      expect(updates[0]?.kind).toBe("whole");
    });

    test("passes problems and staleness on, and recovers with the provider", async () => {
      scope.use(await watch());
      const problem = { subject: "far/one", code: "task_invalid", message: "It is not usable." };
      inner.say({ kind: "whole", tasks: [taskAt("one", null)], problems: [problem] });
      inner.say({ kind: "stale", since: 17, error: new Error("it is away") });
      inner.say({ kind: "change", set: [], removed: [], problems: [] });
      await heard(3);
      expect(updates[0]).toMatchObject({ kind: "whole", problems: [problem] });
      expect(updates[1]).toMatchObject({ kind: "stale", since: 17, error: { message: "it is away" } });
      expect(updates.at(-1)).toMatchObject({ kind: "change", problems: [] });
    });

    test("passes on that the provider cannot start", async () => {
      await expect(reached.start(() => undefined, AbortSignal.abort(new Error("called off")))).rejects.toThrow();
      expect(inner.watching).toBe(0);
    });

    test("stops the provider when it is disposed, and publishes nothing after that", async () => {
      const watching = await watch();
      inner.say({ kind: "whole", tasks: [], problems: [] });
      await heard(1);
      await watching[Symbol.asyncDispose]();
      expect(inner.watching).toBe(0);
      inner.say({ kind: "change", set: [taskAt("late", null)], removed: [], problems: [] });
      expect(updates).toHaveLength(1);
    });
  });
}
