import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Access, Grant, Opening, SharedTask } from "../model/index.ts";
import { addAccess, grantRefusal, withinCeiling, type Ceiling } from "./access-ceiling.ts";
import { ANYONE } from "./read-access.ts";
import { change, makeService, makeState, makeTask, whole } from "./testing/make.ts";

const NOW = 1_000_000;
const ALICE = { realm: "main", name: "alice" };
const BOB: Grant = { to: { realm: "main", name: "bob" }, by: ALICE };
const LINK: Grant = { to: { link: "g-1" }, by: ALICE };

const IDENTITY = fc.record({ realm: fc.constantFrom("main", "corp"), name: fc.constantFrom("a", "b", "c") });
const GRANT: fc.Arbitrary<Grant> = fc.record(
  {
    to: fc.oneof(
      IDENTITY,
      IDENTITY.map((group) => ({ group })),
      fc.record({ link: fc.constantFrom("g-1", "g-2") }),
    ),
    by: fc.constant(ALICE),
    until: fc.integer({ min: NOW - 100, max: NOW + 1000 }),
  },
  { requiredKeys: ["to", "by"] },
);
const ANY = fc.constantFrom(...ANYONE);
const ACCESS: fc.Arbitrary<Access> = fc.record({ grants: fc.array(GRANT, { maxLength: 6 }), anyone: ANY });
const CEILING: fc.Arbitrary<Ceiling> = fc.record(
  {
    anyone: ANY,
    links: fc.boolean(),
    longestGrant: fc.integer({ min: 1, max: 1000 }),
    longestLink: fc.integer({ min: 1, max: 1000 }),
    realms: fc.subarray(["main", "corp"]),
    groups: fc.array(IDENTITY, { maxLength: 2 }),
  },
  { requiredKeys: ["anyone", "links"] },
);

function openness(access: Pick<Access, "anyone">): number {
  return ANYONE.indexOf(access.anyone);
}

const TASK: SharedTask = { instance: undefined, owner: ALICE };

function give(grant: Grant, service: string | null = null, task: Partial<SharedTask> = {}): Opening {
  return { task: { ...TASK, ...task }, service, access: { grants: [grant], anyone: "nobody" } };
}

describe("what is added to an access", () => {
  test("takes nothing away, and adds only what was given", () => {
    fc.assert(
      fc.property(ACCESS, fc.array(ACCESS, { maxLength: 4 }), (access, more) => {
        const sum = addAccess(access, more);
        const given = [access, ...more];
        expect(sum.grants).toEqual(given.flatMap((each) => each.grants));
        expect(openness(sum)).toBe(Math.max(...given.map(openness)));
      }),
    );
  });

  test("is nothing where nothing is added: the very same access", () => {
    const access: Access = { grants: [BOB], anyone: "authenticated" };
    expect(addAccess(access, [{ grants: [], anyone: "nobody" }])).toBe(access);
  });
});

describe("the ceiling", () => {
  test("is never exceeded, whatever is combined, and refuses with the key that says so", () => {
    fc.assert(
      fc.property(ACCESS, fc.array(ACCESS, { maxLength: 3 }), CEILING, (access, more, ceiling) => {
        const sum = addAccess(access, more);
        const bounded = withinCeiling(sum, ceiling, NOW);
        expect(openness(bounded.access)).toBe(Math.min(openness(sum), openness(ceiling)));
        for (const grant of bounded.access.grants) expect(grantRefusal(grant, ceiling, NOW)).toBeNull();
        const refused = sum.grants.filter((grant) => grantRefusal(grant, ceiling, NOW) !== null);
        expect(bounded.access.grants.length + refused.length).toBe(sum.grants.length);
        for (const refusal of bounded.refusals) expect(refusal).toMatch(/\(access\.\w+\)\. ?|\(access\.\w+\)$/);
        expect(bounded.refusals.length > 0).toBe(bounded.access !== sum);
      }),
    );
  });

  test("is what was bounded stays within when it is bounded again", () => {
    fc.assert(
      fc.property(ACCESS, CEILING, (access, ceiling) => {
        const { access: bounded } = withinCeiling(access, ceiling, NOW);
        expect(withinCeiling(bounded, ceiling, NOW).access).toBe(bounded);
      }),
    );
  });

  const OPEN: Ceiling = { anyone: "public", links: true };
  test.each<[string, Grant, Partial<Ceiling>, RegExp | null]>([
    ["links where there are none", LINK, { links: false }, /access\.links/],
    ["a link for ever", LINK, { longestLink: 3_600_000 }, /a link may last here is 1h \(access\.longestLink\)/],
    ["a link for as long as allowed", { ...LINK, until: NOW + 1000 }, { longestLink: 1000 }, null],
    ["a grant beyond its time", { ...BOB, until: NOW + 1001 }, { longestGrant: 1000 }, /1s \(access\.longestGrant\)/],
    ["a grant for ever beside a bound for links", BOB, { longestLink: 1000 }, null],
    ["another realm", BOB, { realms: ["corp"] }, /main\/bob is of realm main; .* corp alone \(access\.realms\)/],
    ["another group", { ...BOB, to: { group: ALICE } }, { groups: [] }, /expected nobody \(access\.groups\)/],
    ["a user where groups are bounded", BOB, { groups: [] }, null],
  ])("says what to do about %s", (_what, grant, ceiling, expected) => {
    const refusal = grantRefusal(grant, { ...OPEN, ...ceiling }, NOW);
    if (expected === null) expect(refusal).toBeNull();
    else expect(refusal).toMatch(expected);
  });
});

describe("what is given to a task", () => {
  const two = () => makeTask("nb", { services: [makeService("web"), makeService("api")], endpoints: {} });

  test("shows in the routes of that service alone, and the others stay the objects that they were", () => {
    const state = makeState();
    state.update("local", whole(two(), makeTask("other")));
    state.build(1);
    const before = new Map(state.table.routes);
    state.share("local/nb", [give(BOB, "api")]);
    const built = state.build(2);
    expect(built?.tasks.set).toEqual(["local/nb"]);
    expect(built?.diff.routes.set.map((route) => route.service)).toEqual(
      state.routesOf("local/nb/api").map(() => "local/nb/api"),
    );
    for (const route of state.table.routes.values()) {
      if (route.service === "local/nb/api") expect(route.access.grants).toEqual([BOB]);
      else expect(route).toBe(before.get(route.id));
    }
    state.share("local/nb", []);
    state.build(3);
    expect(state.routesOf("local/nb/api")[0]?.access.grants).toEqual([]);
    expect(state.build(4)).toBeNull();
  });

  test("is there from the first moment where it was given before the task is known", () => {
    const state = makeState();
    state.share("local/nb", [give(BOB)]);
    state.update("local", whole(two()));
    state.build(1);
    expect(state.routesOf("local/nb/web")[0]?.access.grants).toEqual([BOB]);
    expect(state.routesOf("local/nb/api")[0]?.access.grants).toEqual([BOB]);
  });

  test.each<[string, Partial<SharedTask>]>([
    ["a later task of the same id", { instance: "2" }],
    ["a task of another owner", { owner: { realm: "main", name: "carol" } }],
    ["a task of nobody", { owner: null }],
  ])("is nothing to %s", (_what, more) => {
    const state = makeState();
    state.share("local/nb", [give(BOB, null, { instance: "1", ...more })]);
    state.update("local", whole({ ...two(), instance: "1" }));
    state.build(1);
    expect(state.routesOf("local/nb/web")[0]?.access.grants).toEqual([]);
  });

  test("goes when the task is replaced, in the very build that replaces it", () => {
    const state = makeState();
    state.share("local/nb", [give(BOB, null, { instance: "1" })]);
    state.update("local", whole({ ...two(), instance: "1" }));
    state.build(1);
    state.update("local", change([{ ...two(), instance: "2" }]));
    state.build(2);
    expect(state.routesOf("local/nb/web")[0]?.access.grants).toEqual([]);
  });

  test("is left out above the ceiling, with a problem that names the key", () => {
    const state = makeState({ ceiling: "authenticated", grantBounds: { links: false } });
    const opening: Opening = { task: TASK, service: "web", access: { grants: [LINK, BOB], anyone: "public" } };
    state.share("local/nb", [opening]);
    state.update("local", whole(two()));
    state.build(1);
    expect(state.routesOf("local/nb/web")[0]?.access).toEqual({ grants: [BOB], anyone: "authenticated" });
    const problems = [...state.table.problems.values()].map(({ code, message }) => `${code} ${message}`);
    expect(problems).toEqual([
      expect.stringMatching(/^access_above_ceiling .*access\.ceiling/),
      expect.stringMatching(/^access_above_ceiling .*access\.links/),
    ]);
  });

  test("adds to what the provider says, which stays", () => {
    const state = makeState();
    const carol: Grant = { to: { realm: "main", name: "carol" }, by: ALICE };
    state.update("local", whole(makeTask("nb", { access: { grants: [carol], anyone: "nobody" } })));
    state.share("local/nb", [give(BOB)]);
    state.build(1);
    expect(state.routesOf("local/nb/web")[0]?.access.grants).toEqual([carol, BOB]);
  });
});

describe("rules of the administrator", () => {
  test("give to every task that all of their patterns fit", () => {
    const rules = [
      { provider: "local", kind: "note*", access: { grants: [BOB], anyone: "nobody" } },
      { name: "a.c", service: "web", access: { grants: [], anyone: "public" } },
    ] as const;
    const state = makeState({ accessRules: rules });
    const tasks = [makeTask("nb", { kind: "notebook" }), makeTask("a.c"), makeTask("abc", { kind: "xnote" })];
    state.update("local", whole(...tasks));
    state.update("k8s", whole(makeTask("far", { kind: "notebook" })));
    state.build(1);
    const access = (key: string) => state.routesOf(`${key}/web`)[0]?.access;
    expect(access("local/nb")).toEqual({ grants: [BOB], anyone: "nobody" });
    expect(access("local/a.c")).toEqual({ grants: [], anyone: "public" });
    expect(access("local/abc")).toEqual({ grants: [], anyone: "nobody" });
    expect(access("k8s/far")).toEqual({ grants: [], anyone: "nobody" });
  });

  test("say by themselves until when they hold, and are bounded like the rest in all else", () => {
    const rules = [{ access: { grants: [BOB, LINK], anyone: "public" } }] as const;
    const grantBounds = { links: false, longestGrant: 1000 };
    const state = makeState({ accessRules: rules, ceiling: "authenticated", grantBounds });
    state.update("local", whole(makeTask("nb")));
    state.build(1);
    expect(state.routesOf("local/nb/web")[0]?.access).toEqual({ grants: [BOB], anyone: "authenticated" });
  });
});

test("a task may come back while its source lists it, or was not heard yet", () => {
  const state = makeState();
  expect(state.mayList("local/nb")).toBe(true);
  expect(state.mayList("gone/nb")).toBe(false);
  state.update("local", whole(makeTask("nb"), { id: "odd" }));
  state.build(1);
  expect(["local/nb", "local/odd", "local/other"].map((key) => state.mayList(key))).toEqual([true, true, false]);
});
