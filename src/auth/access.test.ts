import fc from "fast-check";
import { expect, test } from "vitest";
import { LINK_REALM, type Access, type Grant, type Principal } from "../model/index.ts";
import { currentOf, isManager, mayUse } from "./access.ts";
import { hostRoute, OWNER, START } from "./testing/auth-kit.ts";

const BOB: Principal = { realm: "local", name: "bob", groups: [{ realm: "local", name: "ml" }], admin: false };
const by = OWNER;

function verdict(access: Partial<Access>, principal = BOB, now = START) {
  const route = hostRoute("nb.localhost", "local/nb/web", { access: { grants: [], anyone: "nobody", ...access } });
  return mayUse(route, principal, now);
}

test("lets the owner and administrators in, and nobody else by default", () => {
  expect(verdict({}, { ...OWNER, admin: false })).toBe("allowed");
  expect(verdict({}, { ...BOB, admin: true })).toBe("allowed");
  expect(verdict({})).toBe("refused");
});

test("does not take an owner's name of another realm for the owner", () => {
  expect(verdict({}, { ...BOB, realm: "oidc", name: OWNER.name })).toBe("refused");
});

test("lets nobody own a route without owner", () => {
  const route = hostRoute("nb.localhost", "local/nb/web", { owner: null });
  expect(mayUse(route, BOB, START)).toBe("refused");
  expect(mayUse(route, { ...BOB, admin: true }, START)).toBe("allowed");
});

test("lets in whom a grant names, in its realm, to the letter", () => {
  expect(verdict({ grants: [{ to: { realm: "local", name: "bob" }, by }] })).toBe("allowed");
  expect(verdict({ grants: [{ to: { realm: "oidc", name: "bob" }, by }] })).toBe("refused");
  expect(verdict({ grants: [{ to: { realm: "local", name: "Bob" }, by }] })).toBe("refused");
});

test("lets in the members of a group that a grant names", () => {
  expect(verdict({ grants: [{ to: { group: { realm: "local", name: "ml" } }, by }] })).toBe("allowed");
  expect(verdict({ grants: [{ to: { group: { realm: "oidc", name: "ml" } }, by }] })).toBe("refused");
  expect(verdict({ grants: [{ to: { realm: "local", name: "ml" }, by }] })).toBe("refused");
});

test("ends a grant at its end", () => {
  const grants = [{ to: { realm: "local", name: "bob" }, by, until: START + 1000 }];
  expect(verdict({ grants }, BOB, START + 999)).toBe("allowed");
  expect(verdict({ grants }, BOB, START + 1000)).toBe("refused");
});

test("lets in by a link whoever came by that very link, and nobody who is called like it", () => {
  const visitor: Principal = { realm: LINK_REALM, name: "g-1", groups: [], admin: false };
  expect(verdict({ grants: [{ to: { link: "g-1" }, by }] }, visitor)).toBe("allowed");
  expect(verdict({ grants: [{ to: { link: "g-1" }, by, until: START }] }, visitor)).toBe("refused");
  expect(verdict({ grants: [{ to: { link: "g-2" }, by }] }, visitor)).toBe("refused");
  expect(verdict({ grants: [{ to: { link: "bob" }, by }] })).toBe("refused");
  expect(verdict({ grants: [{ to: { realm: "local", name: "g-1" }, by }] }, visitor)).toBe("refused");
  expect(verdict({ anyone: "authenticated" }, visitor)).toBe("refused");
  expect(verdict({ anyone: "public" }, visitor)).toBe("allowed");
  const authority = { name: "a", resource: "r", action: "read", epoch: "1" };
  expect(verdict({ authority }, visitor)).toBe("refused");
});

test("never refuses because of a grant whom it let in without", () => {
  const identity = fc.record({ realm: fc.constantFrom("local", "link"), name: fc.constantFrom("a", "g-1") });
  const to = fc.oneof(
    identity,
    identity.map((group) => ({ group })),
    fc.record({ link: fc.constantFrom("g-1", "a") }),
  );
  const grant: fc.Arbitrary<Grant> = fc.record(
    { to, by: fc.constant(by), until: fc.integer({ min: START - 1, max: START + 1 }) },
    { requiredKeys: ["to", "by"] },
  );
  const access = fc.record({
    grants: fc.array(grant, { maxLength: 3 }),
    anyone: fc.constantFrom("nobody", "authenticated", "public"),
  });
  const principal = fc
    .record({ who: identity, groups: fc.array(identity, { maxLength: 2 }) })
    .map(({ who, groups }): Principal => ({ ...who, groups, admin: false }));
  fc.assert(
    fc.property(access, grant, principal, (before, more, who) => {
      const after = { ...before, grants: [...before.grants, more] };
      if (verdict(before, who) === "allowed") expect(verdict(after, who)).toBe("allowed");
      expect(verdict({ ...before, grants: before.grants.toReversed() }, who)).toBe(verdict(before, who));
    }),
  );
});

test("lets in anybody who is logged in where access says so", () => {
  expect(verdict({ anyone: "authenticated" })).toBe("allowed");
  expect(verdict({ anyone: "public" })).toBe("allowed");
});

test("leaves to an authority what nothing else allows", () => {
  const authority = { name: "a", resource: "r", action: "read", epoch: "1" };
  expect(verdict({ authority })).toBe("authority");
  expect(verdict({ authority }, { ...BOB, admin: true })).toBe("allowed");
  expect(verdict({ authority, anyone: "authenticated" })).toBe("allowed");
});

test("lets nobody do more than the scope of what they showed, not even the owner, not even where anybody may", () => {
  const limited: Principal = { ...OWNER, scope: { actions: ["connect"], services: ["nb"] } };
  const route = (service: string) => hostRoute("nb.localhost", service, { access: { grants: [], anyone: "public" } });
  expect(mayUse(route("local/nb/web"), limited, START)).toBe("allowed");
  expect(mayUse(route("local/other/web"), limited, START)).toBe("refused");
  expect(mayUse(route("local/nb/web"), { ...limited, scope: { actions: ["read"] } }, START)).toBe("refused");
  expect(isManager(route("local/nb/web"), OWNER)).toBe(true);
  expect(isManager(route("local/nb/web"), limited)).toBe(false);
  expect(currentOf(OWNER, limited)).toEqual(limited);
});
