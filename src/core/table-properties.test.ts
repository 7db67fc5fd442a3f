import fc from "fast-check";
import { expect, test } from "vitest";
import { applyDiff, type TableCopy, matchKey, type Claim, type SourceUpdate } from "../model/index.ts";
import type { Built } from "./table-state.ts";
import { makeState, whole } from "./testing/make.ts";
import { content, Listing, OPTIONS, SOURCES, steps, tasks } from "./testing/world.ts";

class Followed {
  readonly state = makeState(OPTIONS);
  readonly listing = new Listing();
  readonly claims = new Map<string, Claim>();
  readonly copy: TableCopy = { routes: new Map(), upstreams: new Map(), endpoints: new Map(), problems: new Map() };

  constructor() {
    // Every source is heard from the start: what is not heard keeps claims, which a build from a listing cannot know.
    for (const source of SOURCES) this.tell(source, whole());
    this.build();
  }

  tell(source: string, told: SourceUpdate): void {
    this.state.update(source, told);
    this.listing.note(source, told);
  }

  build(): Built | null {
    const built = this.state.build(1);
    if (built === null) return null;
    applyDiff(this.copy, built.diff);
    for (const id of built.claims.removed) this.claims.delete(id);
    for (const claim of built.claims.set) this.claims.set(matchKey(claim.match), claim);
    return built;
  }
}

test("applying the diffs gives the table, and both are what a full build with the same claims gives", () => {
  fc.assert(
    fc.property(steps, (sequence) => {
      const followed = new Followed();
      for (const told of sequence) {
        for (const [source, one] of told) followed.tell(source, one);
        const before = followed.state.table.revision.seq;
        const built = followed.build();
        expect(followed.state.table.revision.seq).toBe(built === null ? before : before + 1);
        expect(content(followed.copy)).toEqual(content(followed.state.table));
        const full = followed.listing.build(followed.claims.values());
        expect(content(full.table)).toEqual(content(followed.state.table));
        expect([...full.tasks.keys()].sort()).toEqual([...followed.state.tasks.keys()].sort());
      }
    }),
    { numRuns: 150 },
  );
});

test("the order in which sources and their tasks are told never matters", () => {
  fc.assert(
    fc.property(tasks, tasks, fc.infiniteStream(fc.nat()), (local, k8s, random) => {
      const build = (first: (typeof SOURCES)[number], order: (list: readonly unknown[]) => readonly unknown[]) => {
        const state = makeState(OPTIONS);
        for (const source of first === "local" ? SOURCES : SOURCES.toReversed()) {
          state.update(source, whole(...order(source === "local" ? local : k8s)));
        }
        const built = state.build(1);
        const claims = built?.claims.set.map((claim) => `${matchKey(claim.match)} ${claim.service}`).sort();
        return [content(state.table), claims];
      };
      const shuffled = (list: readonly unknown[]) =>
        list.map((one) => [random.next().value ?? 0, one] as const).sort(([a], [b]) => a - b).map(([, one]) => one); // prettier-ignore
      expect(build("k8s", shuffled)).toEqual(build("local", (list) => list));
    }),
    { numRuns: 300 },
  );
});

test("whether changes are built one by one or together, an equal listing has equal tasks and endpoints", () => {
  fc.assert(
    fc.property(steps, (sequence) => {
      const [often, once] = [new Followed(), new Followed()];
      for (const told of sequence)
        for (const [source, one] of told) {
          often.tell(source, one);
          often.build();
          once.tell(source, one);
        }
      once.build();
      expect([...once.state.tasks]).toEqual(expect.arrayContaining([...often.state.tasks]));
      expect(once.state.tasks.size).toBe(often.state.tasks.size);
      expect(new Map(once.state.table.endpoints)).toEqual(new Map(often.state.table.endpoints));
      expect(new Map(once.state.table.upstreams)).toEqual(new Map(often.state.table.upstreams));
    }),
    { numRuns: 120 },
  );
});

test("an incumbent is never displaced while it wants what it has", () => {
  fc.assert(
    fc.property(steps, (sequence) => {
      const followed = new Followed();
      for (const told of sequence) {
        const before = new Map(followed.claims);
        for (const [source, one] of told) followed.tell(source, one);
        followed.build();
        for (const [id, { service: holder, match }] of before) {
          if (followed.claims.get(id)?.service === holder) continue;
          // It lost its claim, so on a gate of its own, with no one beside it, it must not want that name at all.
          const [source = "", taskId = ""] = holder.split("/");
          const listed = followed.listing.tasks.get(source)?.get(taskId);
          const alone = makeState(OPTIONS, [{ match, service: holder, since: 1 }]);
          alone.update(source, whole(...(listed === undefined ? [] : [listed])));
          alone.build(1);
          expect(alone.table.routes.get(id)?.service).not.toBe(holder);
        }
      }
    }),
    { numRuns: 150 },
  );
});

test("no two services ever share a match, and every claimed route has its claim", () => {
  fc.assert(
    fc.property(steps, (sequence) => {
      const followed = new Followed();
      for (const told of sequence) {
        for (const [source, one] of told) followed.tell(source, one);
        followed.build();
        for (const [id, route] of followed.state.table.routes) {
          expect(matchKey(route.match)).toBe(id);
          expect(followed.state.table.upstreams.has(route.upstream)).toBe(true);
          expect(followed.state.table.endpoints.has(route.upstream)).toBe(true);
          const isGenerated = /-[a-z2-7]{16}\.(tls\.)?localhost$/.test(id);
          expect(followed.claims.get(id)?.service).toBe(isGenerated ? undefined : route.service);
        }
      }
    }),
    { numRuns: 120 },
  );
});
