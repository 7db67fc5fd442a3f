import { describe, expect, test } from "vitest";
import { checkConfig } from "../config/check-config.ts";
import { Config } from "../config/schema.ts";
import { accessOptions, ceilingOf } from "./access-options.ts";

const LOGIN = { methods: [{ type: "basic", name: "corp", passwordFile: "/p" }] };

function configOf(access: unknown): Config {
  return Config.parse({ access, login: LOGIN });
}

test("names without a realm are of the first login method, in bounds and rules", () => {
  const config = configOf({
    ...{ ceiling: "authenticated", longestGrant: "7d", realms: ["corp", "lab"], groups: ["group:ml"] },
    rules: [
      { name: "demo-*", with: ["bob", "group:lab/x"], until: "2027-01-31T18:00:00Z" },
      { anyone: "authenticated" },
    ],
  });
  expect(ceilingOf(config)).toEqual({
    ...{ anyone: "authenticated", links: true, longestLink: 30 * 86_400_000, longestGrant: 7 * 86_400_000 },
    ...{ realms: ["corp", "lab"], groups: [{ realm: "corp", name: "ml" }] },
  });
  const until = Date.UTC(2027, 0, 31, 18);
  const by = { realm: "config", name: "access.rules" };
  expect(accessOptions(config).accessRules).toEqual([
    {
      name: "demo-*",
      access: {
        grants: [
          { to: { realm: "corp", name: "bob" }, until, by },
          { to: { group: { realm: "lab", name: "x" } }, until, by },
        ],
        anyone: "nobody",
      },
    },
    { access: { grants: [], anyone: "authenticated" } },
  ]);
});

describe("a configuration is refused", () => {
  test.each([
    [{ ceiling: "authenticated", rules: [{ anyone: "public" }] }, "access.rules[0].anyone", /access\.ceiling/],
    [{ realms: ["lab"], rules: [{ with: ["bob"] }] }, "access.rules[0].with", /access\.realms does not name/],
    [{ groups: ["group:ml"], rules: [{ with: ["group:x"] }] }, "access.rules[0].with", /access\.groups names/],
  ])("whose rules are above its own ceiling: %j", (access, key, message) => {
    expect(checkConfig(configOf(access))).toEqual([
      expect.objectContaining({ key, message: expect.stringMatching(message) as string }),
    ]);
  });

  test.each([
    { rules: [{ with: ["link/g-x"] }] },
    { rules: [{ with: ["Corp Realm/x"] }] },
    { rules: [{ anyone: "public", until: "2027-01-31T18:00:00Z" }] },
    { rules: [{ until: "soon", with: ["bob"] }] },
    { realms: ["link"] },
    { groups: ["bob"] },
    { longestLink: "forever" },
  ])("that makes no sense: %j", (access) => {
    expect(Config.safeParse({ access, login: LOGIN }).success).toBe(false);
  });

  test("and rules within it are taken", () => {
    const access = { realms: ["corp"], groups: ["group:ml"], rules: [{ with: ["bob", "group:corp/ml"] }] };
    expect(checkConfig(configOf(access))).toEqual([]);
  });
});
