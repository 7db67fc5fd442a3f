import fc from "fast-check";
import { expect, test } from "vitest";
import { parseHost } from "./parse-host.ts";

test.each([
  ["nb.localhost", "nb.localhost"],
  ["NB.Localhost:7080", "nb.localhost"],
  ["nb.localhost.", "nb.localhost"],
  ["nb.localhost.:80", "nb.localhost"],
  ["nb.localhost:", "nb.localhost"],
  ["127.0.0.1:80", "127.0.0.1"],
  ["[::1]:80", "[::1]"],
  ["under_score.localhost", "under_score.localhost"],
])("reads the host of %s", (authority, host) => {
  expect(parseHost(authority)).toBe(host);
});

test.each([
  ...[
    "",
    ":80",
    ".",
    "..",
    "a..b",
    "-a.localhost",
    "a b",
    "a,b",
    "a/b",
    "user@a",
    "a:b",
    "a:80:80",
    "a:99999",
    "[::1",
    "::1",
  ],
  ...["[zz]", "a\u0000b", "a\tb", "é.localhost", "a?b", "a#b", `${"a".repeat(64)}.localhost`, `${"a.".repeat(130)}a`],
])("takes %j for no host", (authority) => {
  expect(parseHost(authority)).toBeNull();
});

test("never throws, and what it takes for a host it takes for the same one again", () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.webAuthority(), fc.domain()), (text) => {
      const host = parseHost(text);
      if (host !== null) expect(parseHost(host)).toBe(host);
    }),
  );
});
