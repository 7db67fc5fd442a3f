import { describe, expect, test } from "vitest";
import { TokenRequest } from "../api/wire-tokens.ts";
import {
  parseDuration,
  parseForwards,
  parseLifetime,
  parsePolicy,
  parsePort,
  parseService,
  parseTarget,
} from "./arguments.ts";

test("a service has a name, a protocol and perhaps a port", () => {
  expect(parseService("web=http")).toEqual({ name: "web", protocol: "http" });
  expect(parseService("rpc=grpc:50051")).toEqual({ name: "rpc", protocol: "grpc", port: 50_051 });
});

describe("a service that is none", () => {
  test.each(["web", "=http", "web=", "web=htp", "Web=http", "web=http:0", "web=http:x", "web=http:8080:1", ""])(
    "%j is refused",
    (text) => {
      expect(() => parseService(text)).toThrow(/expected/);
    },
  );
});

test("a port is 1 to 65535", () => {
  expect(parsePort("65535", "PORT")).toBe(65_535);
  for (const text of ["0", "65536", "-1", "1e3", "80 ", "", "0x50"])
    expect(() => parsePort(text, "PORT")).toThrow("1 to 65535");
});

test("a duration has its unit", () => {
  expect([parseDuration("250ms", "x"), parseDuration("60s", "x"), parseDuration("2d", "x")]).toEqual([
    250, 60_000, 172_800_000,
  ]);
  for (const text of ["60", "1.5s", "s", "-1s", "1y"]) expect(() => parseDuration(text, "--wait")).toThrow(/^--wait: /);
});

test("a token is good for as long as the API takes", () => {
  for (const text of ["1s", "3650d"]) {
    const lifetimeMs = parseLifetime(text, "--for");
    expect(TokenRequest.parse({ name: "x", lifetimeMs })).toMatchObject({ lifetimeMs });
  }
  for (const text of ["0s", "999ms", "3651d"]) {
    expect(() => parseLifetime(text, "--for")).toThrow(`--for: "${text}" does not fit; expected 1s to 3650d`);
  }
});

test("a target is a task, a task and its service, or a whole key", () => {
  expect(parseTarget("nb")).toEqual({ task: "nb", service: undefined });
  expect(parseTarget("nb/web")).toEqual({ task: "nb", service: "web" });
  expect(parseTarget("local/nb-1/web")).toEqual({ task: "local/nb-1", service: "web" });
  for (const text of ["", "/", "nb/", "/web", "a/b/c/d"]) expect(() => parseTarget(text)).toThrow(/names no service/);
});

test("forwards are one name with its port, or pairs", () => {
  const db = { task: "db", service: undefined };
  expect(parseForwards(["db"])).toEqual([{ target: db, localPort: 0 }]);
  expect(parseForwards(["db", "0"])).toEqual([{ target: db, localPort: 0 }]);
  expect(parseForwards(["db", "5432"])).toEqual([{ target: db, localPort: 5432 }]);
  expect(parseForwards(["db:5432", "nb/web:8888", "x"])).toEqual([
    { target: db, localPort: 5432 },
    { target: { task: "nb", service: "web" }, localPort: 8888 },
    { target: { task: "x", service: undefined }, localPort: 0 },
  ]);
  for (const words of [["db", "70000"], ["db:"], [":80"], ["db:80:90"]])
    expect(() => parseForwards(words)).toThrow(/expected/);
});

test("a policy is a key and its value; what the value may be is the gate's to say", () => {
  expect(parsePolicy("authorization=app")).toEqual({ authorization: "app" });
  expect(parsePolicy("frame=https://a.example?x=y")).toEqual({ frame: "https://a.example?x=y" });
  expect(parsePolicy("allowedOrigins=http://a,http://b")).toEqual({ allowedOrigins: ["http://a", "http://b"] });
  for (const text of ["authorization", "authorization=", "cull=1h", "__proto__=x", "=x"]) {
    expect(() => parsePolicy(text)).toThrow(/--policy/);
  }
});
