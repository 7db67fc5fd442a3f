import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { inScope, isServicePattern, needWholeScope, type Scope, taskInScope } from "./scope.ts";

const scope = (actions: Scope["actions"], ...services: string[]): Scope => ({ actions, services });

describe("a scope", () => {
  test.each([
    ["nb", true],
    ["nb/web", true],
    ["local/nb/web", true],
    ["*/nb/*", true],
    ["n*", true],
    ["*b/w*b", true],
    ["*", true],
    ["nb/other", false],
    ["file/nb/web", false],
    ["nbx", false],
    ["b", false],
    ["local/nb", false],
    ["nb*nb", false],
  ])("of %s takes in local/nb/web: %s", (pattern, taken) => {
    expect(inScope(scope(["connect"], pattern), "connect", "local/nb/web")).toBe(taken);
  });

  test("takes in its actions alone; to manage is to read, too, and neither is to connect", () => {
    expect(inScope(scope(["connect"], "nb"), "manage", "local/nb/web")).toBe(false);
    expect(inScope(scope(["manage"], "nb"), "read", "local/nb/web")).toBe(true);
    expect(inScope(scope(["manage"], "nb"), "connect", "local/nb/web")).toBe(false);
    expect(inScope(scope([]), "connect", "local/nb/web")).toBe(false);
  });

  test("without services takes in all of them; none at all takes in everything", () => {
    expect(inScope({ actions: ["connect"] }, "connect", "local/nb/web")).toBe(true);
    expect(inScope(undefined, "manage", "local/nb/web")).toBe(true);
    expect(inScope(scope(["connect"]), "connect", "local/nb/web")).toBe(false);
  });

  test("of one service shows its task, and does not take in acting on the whole of it", () => {
    expect(taskInScope(scope(["manage"], "nb/web"), "read", "local/nb")).toBe(true);
    expect(taskInScope(scope(["manage"], "nb/web"), "manage", "local/nb")).toBe(false);
    expect(taskInScope(scope(["manage"], "nb"), "manage", "local/nb")).toBe(true);
    expect(taskInScope(scope(["read"], "nb"), "manage", "local/nb")).toBe(false);
    expect(taskInScope(scope(["read"], "other"), "read", "local/nb")).toBe(false);
    expect(taskInScope(undefined, "manage", "local/nb")).toBe(true);
  });

  test("of some services is not enough for what concerns all", () => {
    expect(() => needWholeScope(scope(["manage"], "*"), "manage")).toThrow(/scope/);
    expect(() => needWholeScope({ actions: ["read"] }, "manage")).toThrow(/scope/);
    expect(() => needWholeScope({ actions: ["manage"] }, "manage")).not.toThrow();
    expect(() => needWholeScope(undefined, "manage")).not.toThrow();
  });

  test("matches as the same expression would", () => {
    const part = fc.stringMatching(/^[ab*]{1,8}$/);
    fc.assert(
      fc.property(part, fc.stringMatching(/^[ab]{1,8}$/), (pattern, task) => {
        const expression = new RegExp(`^${pattern.replaceAll("*", ".*")}$`);
        expect(inScope(scope(["connect"], pattern), "connect", `p/${task}/s`)).toBe(expression.test(task));
      }),
    );
  });
});

test.each(["", "/", "a//b", "a/b/c/d", "a b", "a\n", "../x/%2f", "x".repeat(101)])("%j is no pattern", (text) => {
  expect(isServicePattern(text)).toBe(false);
});
