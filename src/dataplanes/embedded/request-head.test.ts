import fc from "fast-check";
import { expect, test } from "vitest";
import { parseHost, parseTarget } from "./request-head.ts";

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

test("reads targets in origin, absolute and asterisk form, and refuses what could be read in two ways", () => {
  const fields = ["Host", "A.localhost:80"];
  const host = "a.localhost:80";
  expect(parseTarget("GET", "/x?y", fields)).toEqual({ ok: true, host, path: "/x?y" });
  expect(parseTarget("GET", "http://a.localhost:80/x", fields)).toEqual({ ok: true, host, path: "/x" });
  expect(parseTarget("GET", "http://a.localhost:80?x", fields)).toEqual({ ok: true, host, path: "/?x" });
  expect(parseTarget("OPTIONS", "*", fields)).toEqual({ ok: true, host, path: "*" });
  for (const [method, target] of [
    ["GET", "*"],
    ["GET", "http://b.localhost:80/x"],
    ["GET", "http://u@a.localhost:80/x"],
    ["GET", "ftp://a.localhost:80/x"],
    ["GET", "x"],
    ["GET", ""],
    ["GET", "/x#y"],
  ] as const) {
    expect(parseTarget(method, target, fields).ok, target).toBe(false);
  }
  expect(parseTarget("GET", "/", []).ok).toBe(false);
  expect(parseTarget("GET", "/", ["Host", "a", "host", "a"]).ok).toBe(false);
});
