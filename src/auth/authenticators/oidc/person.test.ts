import { expect, test } from "vitest";
import { personOf, type PersonRules } from "./person.ts";

const RULES: PersonRules = {
  ...{ name: "corp", nameClaim: "sub", groupsClaim: "groups", adminGroups: [], realm: undefined },
  allow: { users: [], groups: [], emailDomains: [] },
};

test("groups may be nested, named with dots, or one text; what is no text is left out", () => {
  const groups = (groupsClaim: string, claims: object) =>
    personOf({ ...RULES, groupsClaim }, { sub: "a", ...claims }).groups.map((group) => group.name);
  expect(groups("realm_access.roles", { realm_access: { roles: ["x", "y"] } })).toEqual(["x", "y"]);
  expect(groups("https://example.com/groups", { "https://example.com/groups": ["x"] })).toEqual(["x"]);
  expect(groups("groups", { groups: "one" })).toEqual(["one"]);
  expect(groups("groups", { groups: [1, null, { x: 1 }, "y", "bad\nname"] })).toEqual(["y"]);
  expect(groups("constructor.name", {})).toEqual([]);
});

test("a name that cannot be used is nobody's: no other realm, no line break, no trick of text", () => {
  for (const sub of ["", " alice", "a\nb", "a\u202eb", "x".repeat(300)]) {
    expect(() => personOf(RULES, { sub }), JSON.stringify(sub)).toThrow(expect.objectContaining({ code: "denied" }));
  }
  expect(personOf(RULES, { sub: "local/olga" })).toMatchObject({ realm: "corp", name: "local/olga" });
  expect(() => personOf(RULES, { sub: 7 })).toThrow(expect.objectContaining({ code: "unauthenticated" }));
});

test("an address that nobody verified is nobody's name, and of no domain", () => {
  const email = "alice@example.com";
  expect(() => personOf({ ...RULES, nameClaim: "email" }, { sub: "a", email })).toThrow(
    expect.objectContaining({ code: "denied" }),
  );
  const allow = { users: [], groups: [], emailDomains: ["example.com"] };
  const ask = (claims: object) => () => personOf({ ...RULES, allow }, { sub: "a", email_verified: true, ...claims });
  expect(ask({ email })).not.toThrow();
  for (const claims of [
    { email, email_verified: "true" },
    { email: "a@example.com.evil.org" },
    { email: "@example.com" },
    { email: "a@evil.org@xexample.com" },
  ]) {
    expect(ask(claims), JSON.stringify(claims)).toThrow(expect.objectContaining({ code: "denied" }));
  }
});
