import { expect, test } from "vitest";
import { parseTarget } from "./request-head.ts";

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
