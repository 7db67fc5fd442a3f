import { describe, expect, test } from "vitest";
import { matchKey, OWNER_ONLY } from "../model/index.ts";
import { grantExposure, type Asking, type NameExposure } from "./grant-exposures.ts";
import { tableRules } from "./table-rules.ts";
import { makeService, OPTIONS } from "./testing/make.ts";

const RULES = tableRules({ ...OPTIONS, domains: ["apps.example.com"], pathHosts: ["dask.localhost"] });

function ask(exposure: NameExposure, asking: Partial<Asking> = {}): string {
  const service = makeService("web");
  const given = { provider: "k8s", service, access: OWNER_ONLY, ...asking };
  return matchKey(grantExposure(exposure, given, RULES));
}

const host = (label: string, domain?: string): NameExposure => ({
  by: "host",
  label,
  ...(domain !== undefined && { domain }),
});
const path = (prefix: string, on?: string): NameExposure => ({
  by: "path",
  prefix,
  strip: true,
  ...(on !== undefined && { host: on }),
});
const serverName = (name: string): NameExposure => ({ by: "serverName", name });
const headers = (...all: [string, string][]): NameExposure => ({ by: "headers", all });
const TLS: Partial<Asking> = { service: makeService("s", { protocol: "tls", guard: "self" }) };
const TCP: Partial<Asking> = { service: makeService("s", { protocol: "tcp" }) };

describe("hosts", () => {
  test("are given under the domain and those that config adds", () => {
    expect(ask(host("1a2b3c4d"))).toBe("host main 1a2b3c4d.localhost");
    expect(ask(host("1a2b3c4d", "apps.example.com"))).toBe("host main 1a2b3c4d.apps.example.com");
    expect(ask(host("x"), TCP)).toBe("host main x.localhost");
  });

  test.each([
    ...["taskgate", "paths", "dask", "tls", "", "A", "a.b", "-a", "a-", "a_b", "a b", "*", "x".repeat(64), "nb\n"].map(
      (l) => host(l),
    ),
    ...["web-nb-abcdefghijklmnop"].map((label) => host(label)),
    ...["example.com", "taskgate.localhost", "nb.localhost", "tls.localhost", "paths.localhost", "", "com"].map((d) =>
      host("x", d),
    ),
  ])("are refused: %o", (exposure) => {
    expect(() => ask(exposure)).toThrow(expect.objectContaining({ name: "Unusable" }));
  });

  test("are refused to services that are passed through", () => {
    expect(() => ask(host("x"), TLS)).toThrow(/serverName/);
  });

  test("the gate's is given to the gate alone", () => {
    expect(ask(host("taskgate"), { provider: "gate" })).toBe("host main taskgate.localhost");
    expect(() => ask(host("paths"), { provider: "gate" })).toThrow(/belongs to the gate/);
  });
});

describe("paths", () => {
  test("are its owner's alone: who shares a service shares no origin with others of the owner", () => {
    const by = { realm: "local", name: "olga" };
    for (const access of [
      { grants: [], anyone: "public" },
      { grants: [], anyone: "authenticated" },
      { grants: [{ to: { realm: "oidc", name: "bob" }, by }], anyone: "nobody" },
      { grants: [{ to: { link: "abc" }, by }], anyone: "nobody" },
      { grants: [], anyone: "nobody", authority: { name: "yt", resource: "r", action: "read", epoch: "1" } },
    ] as const) {
      expect(() => ask(path("/nb/"), { access })).toThrow(/origin.*Use the service's own host/s);
    }
    expect(ask(path("/nb/"))).toBe("path main paths.localhost /nb/");
  });

  test("start and end with a slash, on the path host or one that config adds", () => {
    for (const prefix of ["nb", "/nb", "nb/", "/nb/"]) expect(ask(path(prefix))).toBe("path main paths.localhost /nb/");
    expect(ask(path("/clusters/a.1/", "dask.localhost"))).toBe("path main dask.localhost /clusters/a.1/");
    expect(ask(path("/a/b/c:d@e/"))).toBe("path main paths.localhost /a/b/c:d@e/");
  });

  test.each([
    ...[
      "",
      "/",
      "//",
      "a//b",
      "..",
      "/a/../b/",
      "/./",
      "a/.",
      "%2e%2e",
      "/a%2fb/",
      "a?b",
      "a#b",
      "a\\b",
      "a b",
      "é",
      "///a",
    ].map((p) => path(p)),
    ...["/.taskgate/", ".taskgate", "/.TaskGate/api/", "/nb/.taskgate/", "/nb/.taskgate/", "/a/.TASKGATE/b/"].map((p) =>
      path(p),
    ),
    ...["taskgate.localhost", "nb.localhost", "localhost", "", "PATHS.localhost"].map((on) => path("/nb/", on)),
  ])("are refused: %o", (exposure) => {
    expect(() => ask(exposure)).toThrow(expect.objectContaining({ name: "Unusable" }));
  });

  test("are for http and grpc", () => {
    expect(() => ask(path("/nb/"), TCP)).toThrow(/only http and grpc/);
  });
});

describe("server names", () => {
  test("are given outside of the gate's own names, and under tls", () => {
    expect(ask(serverName("daskgateway-abc"), TLS)).toBe("serverName main daskgateway-abc");
    expect(ask(serverName("x.tls.localhost"), TLS)).toBe("serverName main x.tls.localhost");
    expect(ask(serverName("db.example.org"), TLS)).toBe("serverName main db.example.org");
  });

  test.each(
    [
      ...[
        "localhost",
        "nb.localhost",
        "taskgate.localhost",
        "a.taskgate.localhost",
        "tls.localhost",
        "a.b.tls.localhost",
      ],
      ...["apps.example.com", "x.apps.example.com", "paths.localhost", "", "UPPER", "a..b", "*.example.org", "a b"],
      ...["s-nb-abcdefghijklmnop.tls.localhost"],
    ].map(serverName),
  )("are refused: %o", (exposure) => {
    expect(() => ask(exposure, TLS)).toThrow(expect.objectContaining({ name: "Unusable" }));
  });

  test("are only for tls, and only where nobody has to log in", () => {
    expect(() => ask(serverName("x"), {})).toThrow(/only tls/);
    const gated = makeService("s", { protocol: "tls" });
    expect(() => ask(serverName("x"), { service: gated })).toThrow(/no login/);
    expect(ask(serverName("x"), { service: gated, access: { grants: [], anyone: "public" } })).toBe(
      "serverName main x",
    );
  });
});

describe("headers", () => {
  test("are one set whatever their order and the case of their names", () => {
    const one = ask(headers(["X-Yt-Taskproxy-Id", "1a2b"], ["a", "b"]));
    expect(one).toBe(ask(headers(["a", "b"], ["x-yt-taskproxy-id", "1a2b"])));
    expect(one).toBe('headers main [["a","b"],["x-yt-taskproxy-id","1a2b"]]');
    expect(one).not.toBe(ask(headers(["a", "b"])));
  });

  test.each(
    [
      ...["host", "Authorization", "cookie", "Connection", "te", "upgrade", "Transfer-Encoding", "proxy-authorization"],
      ...["x-taskgate-authorization", ":authority", "a b", "a:", "", "é"],
    ].map((name) => headers([name, "v"])),
  )("are refused: %o", (exposure) => {
    expect(() => ask(exposure)).toThrow(expect.objectContaining({ name: "Unusable" }));
  });

  test("are refused where a request could never have them", () => {
    for (const exposure of [
      headers(),
      headers(["a", ""]),
      headers(["a", " x"]),
      headers(["a", "x\r\ny"]),
      headers(["a", "é"]),
    ]) {
      expect(() => ask(exposure)).toThrow(expect.objectContaining({ name: "Unusable" }));
    }
    expect(() => ask(headers(["a", "1"], ["A", "2"]))).toThrow(/twice/);
  });
});
