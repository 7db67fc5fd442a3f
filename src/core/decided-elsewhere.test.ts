import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Changed, type Claim, GATE_PROVIDER, matchKey, type SourceUpdate } from "../model/index.ts";
import type { TableState } from "./table-state.ts";
import { change, makeService, makeState, makeTask, whole } from "./testing/make.ts";
import { content, OPTIONS, SOURCES, steps } from "./testing/world.ts";

const HERE: Changed<Claim> = { set: [], removed: [] };
const NB = "host main nb.localhost";
const FOLLOWING = { claims: "elsewhere" } as const;

function tell(state: TableState, update: SourceUpdate, source = "k8s"): void {
  state.update(source, update);
  state.build(1);
}

function decide(state: TableState, ...claims: readonly Claim[]): void {
  state.decide({ set: claims, removed: [] });
  state.build(1);
}

const claimOf = (host: string, service: string): Claim => ({
  match: { by: "host", listener: "main", host },
  service,
  since: 1,
});
const problems = (state: TableState) =>
  [...state.table.problems.values()].map(({ subject, code }) => `${subject} ${code}`);
const wantedText = ({ set, removed }: Changed<Claim>) => [
  ...set.map(({ match, service }) => `${matchKey(match)} ${service}`),
  ...removed.map((id) => `${id} -`),
];

describe("a table whose claims are decided elsewhere", () => {
  test("has no name that was not decided, but those by construction and the gate's own, and complains of none", () => {
    const state = makeState(FOLLOWING);
    const gate = makeTask("gate", {
      services: [makeService("api", { exposures: [{ by: "host", label: "taskgate" }] })],
    });
    state.addSource(GATE_PROVIDER);
    tell(state, whole(gate), GATE_PROVIDER);
    tell(state, whole(makeTask("nb")));
    const hosts = [...state.table.routes.keys()];
    expect(hosts.filter((id) => !/-[a-z2-7]{16}\.localhost$/.test(id))).toEqual(["host main taskgate.localhost"]);
    expect(hosts).toHaveLength(2);
    expect(problems(state)).toEqual([]);
    expect(wantedText(state.wanted())).toEqual([`${NB} k8s/nb/web`]);
  });

  test("has a name as soon as it was decided, and the others who wait for it are told", () => {
    const state = makeState(FOLLOWING);
    tell(state, whole(makeTask("a", { name: "nb" }), makeTask("b", { name: "nb" })));
    expect(wantedText(state.wanted())).toEqual([`${NB} k8s/a/web`]);
    decide(state, claimOf("nb.localhost", "k8s/b/web"));
    expect(state.table.routes.get(NB)?.service).toBe("k8s/b/web");
    expect(problems(state)).toEqual(["k8s/a/web name_taken"]);
    expect(state.wanted()).toEqual(HERE);
  });

  test("keeps a name for who left until it was decided that it is free, and lets the next have it then", () => {
    const state = makeState(FOLLOWING);
    tell(state, whole(makeTask("a", { name: "nb" }), makeTask("b", { name: "nb" })));
    decide(state, claimOf("nb.localhost", "k8s/a/web"));
    tell(state, change([], ["a"]));
    expect(state.table.routes.has(NB)).toBe(false);
    expect(wantedText(state.wanted())).toEqual([`${NB} k8s/b/web`]);
    tell(state, change([makeTask("a", { name: "nb" })]));
    expect(state.table.routes.get(NB)?.service).toBe("k8s/a/web");
    expect(state.wanted()).toEqual(HERE);
    tell(state, change([], ["a", "b"]));
    expect(wantedText(state.wanted())).toEqual([`${NB} -`]);
    state.decide({ set: [], removed: [NB] });
    state.build(1);
    expect(state.wanted()).toEqual(HERE);
  });

  test("knows a claim before the service that has it, and gives it up only where its source was heard", () => {
    const state = makeState(FOLLOWING);
    decide(state, claimOf("nb.localhost", "k8s/nb/web"));
    expect(state.wanted()).toEqual(HERE);
    tell(state, whole(makeTask("other", { name: "nb" })));
    expect(wantedText(state.wanted())).toEqual([`${NB} k8s/other/web`]);
    tell(state, change([makeTask("nb")]));
    expect(state.table.routes.get(NB)?.service).toBe("k8s/nb/web");
  });

  test("has the very port that was decided, whichever it would have taken itself", () => {
    const tcp = makeTask("db", {
      services: [
        makeService("sql", { protocol: "tcp", exposures: [{ by: "port" }], access: { grants: [], anyone: "public" } }),
      ],
    });
    const state = makeState(FOLLOWING);
    tell(state, whole(tcp));
    const own = state.wanted().set.find(({ match }) => match.by === "port");
    expect(own).toMatchObject({ service: "k8s/db/sql", match: { by: "port" } });
    const other = own?.match.by === "port" && own.match.port === 20_001 ? 20_002 : 20_001;
    expect([...state.table.routes.keys()].filter((id) => id.startsWith("port"))).toEqual([]);
    decide(state, { match: { by: "port", port: other }, service: "k8s/db/sql", since: 1 });
    expect([...state.table.routes.keys()].filter((id) => id.startsWith("port"))).toEqual([`port ${String(other)}`]);
    expect(state.wanted().set.filter(({ match }) => match.by === "port")).toEqual([]);
    state.decide({ set: [], removed: [`port ${String(other)}`] });
    state.build(1);
    expect([...state.table.routes.keys()].filter((id) => id.startsWith("port"))).toEqual([]);
    expect(state.wanted().set.filter(({ match }) => match.by === "port")).toHaveLength(1);
    expect(problems(state)).toEqual([]);
  });
});

/** Tables of several gates that hear of the same in an order of their own, and of what one of them decides. */
class Gates {
  readonly states = [0, 1, 2].map(() => makeState({ ...OPTIONS, claims: "elsewhere" }));
  readonly written = new Map<string, Claim>();
  /** What each was told of that. */
  readonly heard = this.states.map(() => new Map<string, Claim>());
  readonly #unheard: Changed<Claim>[][] = this.states.map(() => []);

  constructor() {
    for (const state of this.states) {
      for (const source of SOURCES) state.update(source, whole());
      state.build(1);
    }
  }

  decide(leader: number): boolean {
    const wanted = this.states[leader]?.wanted() ?? HERE;
    for (const id of wanted.removed) this.written.delete(id);
    for (const claim of wanted.set) this.written.set(matchKey(claim.match), claim);
    for (const unheard of this.#unheard) unheard.push(wanted);
    return wanted.set.length + wanted.removed.length > 0;
  }

  hear(at: number): void {
    const state = this.states[at];
    for (const decided of this.#unheard[at]?.splice(0) ?? []) {
      state?.decide(decided);
      for (const id of decided.removed) this.heard[at]?.delete(id);
      for (const claim of decided.set) this.heard[at]?.set(matchKey(claim.match), claim);
    }
    state?.build(1);
  }

  /** Whatever it serves by claim it was told. */
  expectDecided(at: number): void {
    for (const [id, { service }] of this.states[at]?.table.routes ?? []) {
      const isGenerated = /-[a-z2-7]{16}\.(tls\.)?localhost$/.test(id);
      expect(this.heard[at]?.get(id)?.service).toBe(isGenerated ? undefined : service);
    }
  }

  settle(leader: number): void {
    for (let rounds = 0; this.decide(leader); rounds += 1) {
      if (rounds > 20) throw new Error("they never come to an end");
      this.states.forEach((_state, at) => this.hear(at));
    }
  }
}

test("gates that hear of things in another order have the same table in the end, and only what was decided at any time", () => {
  fc.assert(
    fc.property(steps, fc.infiniteStream(fc.nat()), (sequence, random) => {
      const pick = (count: number): number => (random.next().value ?? 0) % count;
      const gates = new Gates();
      const behind = gates.states.map(() => [...sequence.flat()]);
      while (behind.some((left) => left.length > 0)) {
        const at = pick(3);
        const [source, update] = behind[at]?.shift() ?? [];
        if (source !== undefined && update !== undefined) gates.states[at]?.update(source, update);
        if (pick(2) === 0) gates.hear(at);
        if (pick(3) === 0) gates.decide(pick(3));
        gates.expectDecided(at);
      }
      gates.states.forEach((_state, at) => gates.hear(at));
      gates.settle(pick(3));
      const [first, ...others] = gates.states.map(({ table }) => content(table));
      for (const other of others) expect(other).toEqual(first);
      expect([...(gates.heard[0] ?? [])]).toEqual(expect.arrayContaining([...gates.written]));
      gates.expectDecided(0);
    }),
    { numRuns: 80 },
  );
});
