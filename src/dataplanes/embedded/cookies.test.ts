import { expect, test } from "vitest";
import { translateSetCookie, underPrefix } from "./cookies.ts";

test.each([
  ["a=1; Domain=localhost"],
  ["a=1; domain = .localhost ; Path=/"],
  ["a=1; Domain=nb.localhost; Domain=localhost"],
  ["a=1;DOMAIN=LOCALHOST."],
  ['a=1; Domain="localhost"'],
  ["a=1; Domain=%6cocalhost"],
  ["a=1; Domain=\u00ef\u00bd\u008cocalhost"],
  ["a=1; Domain=example.com"],
  ["a=1; Domain=x.nb.localhost"],
  ["a=1; Domain=..nb.localhost"],
  ["a=1; \tDoMaIn\t=\tlocalhost"],
  ["a=1; Domain\0=nb.localhost"],
  ["a=1; x\r; Domain=localhost"],
  ["a\x7f=1"],
  ["taskgate-session-7080\0=1"],
  ["__Host-Taskgate-session=1; Path=/; Secure"],
  ["=__Host-taskgate-session=1"],
  ["taskgate=1"],
  ["TASKGATE_x=1"],
  ["__Host-taskgate=1"],
  ["__secure-taskgate=1"],
  [" taskgate=1"],
  ["=taskgate=1"],
  [" = taskgate=1"],
  ["taskgate"],
])("drops %j", (value) => {
  expect(translateSetCookie(value, "nb.localhost", null)).toBeNull();
});

test.each([
  ["a=1; Domain=nb.localhost; Path=/x", null, "a=1; Domain=nb.localhost; Path=/x"],
  ["a=taskgate; Domain=.NB.localhost.", null, "a=taskgate; Domain=.NB.localhost."],
  ["__Host-a=1; Path=/; Secure", null, "__Host-a=1; Path=/; Secure"],
  ["a=1; Domain=", null, "a=1; Domain="],
  ["a=1; Domain", null, "a=1; Domain"],
  ["a=1; Path=/x; HttpOnly", "/nb/", "a=1; Path=/nb/x; HttpOnly"],
  ["a=1; path=/", "/nb/", "a=1; path=/nb/"],
  ["a=1; path=/nb/x", "/nb/", "a=1; path=/nb/x"],
  ["a=1; path", "/nb/", "a=1; path"],
])("passes %j on with prefix %j", (value, prefix, expected) => {
  expect(translateSetCookie(value, "nb.localhost", prefix)).toBe(expected);
});

test("puts a path under a prefix once", () => {
  expect(["/x", "/", "/nb/x", "/nb", "/nbx", "x", "//other/x", ""].map((path) => underPrefix(path, "/nb/"))).toEqual([
    ...["/nb/x", "/nb/", "/nb/x", "/nb", "/nb/nbx", "x", "//other/x", ""],
  ]);
});
