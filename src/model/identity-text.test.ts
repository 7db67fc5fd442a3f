import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isRealm, parseUser, parseWho, whoText, type Who } from "./identity-text.ts";

const NAME = fc
  .string({ minLength: 1, maxLength: 256 })
  .filter((name) => name === name.trim() && !/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u.test(name));
const REALM = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?$/);
const IDENTITY = fc.record({ realm: REALM, name: NAME });
const WHO: fc.Arbitrary<Who> = fc.oneof(
  IDENTITY,
  IDENTITY.map((group) => ({ group })),
);

describe("parseWho", () => {
  test.each([
    ["alice", { realm: "local", name: "alice" }],
    ["user:alice", { realm: "local", name: "alice" }],
    ["corp/alice", { realm: "corp", name: "alice" }],
    ["user:corp/alice", { realm: "corp", name: "alice" }],
    ["group:ml", { group: { realm: "local", name: "ml" } }],
    ["group:corp/ml", { group: { realm: "corp", name: "ml" } }],
    ["group:corp/teams/ml", { group: { realm: "corp", name: "teams/ml" } }],
    ["corp/user:x", { realm: "corp", name: "user:x" }],
    ["alice@example.org", { realm: "local", name: "alice@example.org" }],
  ])("reads %s", (text, who) => {
    expect(parseWho(text, "local")).toEqual(who);
  });

  test.each([
    "",
    "user:",
    "group:",
    "corp/",
    "/alice",
    "link/g-abc",
    "Corp/alice",
    "a b/alice",
    " alice",
    "alice\n",
    "a\u202eb",
    "-x/alice",
    "x".repeat(257),
  ])("refuses %j and says what was expected", (text) => {
    expect(() => parseWho(text, "local")).toThrow(expect.objectContaining({ code: "bad_request" }));
    expect(() => parseWho(text, "local")).toThrow(/expected/);
  });

  test("reads what whoText writes as the same again, whoever reads it", () => {
    fc.assert(
      fc.property(WHO, REALM, REALM, (who, writer, reader) => {
        expect(parseWho(whoText(who), reader)).toEqual(who);
        expect(parseWho(whoText(who, writer), writer)).toEqual(who);
      }),
    );
  });
});

test("a group is no user", () => {
  expect(parseUser("user:corp/alice", "local")).toEqual({ realm: "corp", name: "alice" });
  expect(() => parseUser("group:ml", "local")).toThrow(/a group, where one user is meant/);
});

test("a realm is named like a part of a host name", () => {
  expect(["local", "corp", "hub-1", "a"].every(isRealm)).toBe(true);
  expect(["", "Corp", "a/b", "-a", "a-", "a.b", "user:a"].some(isRealm)).toBe(false);
});
