import { expect, test } from "vitest";
import { EXIT } from "./failure.ts";
import { cliReference } from "./reference.ts";

test("the reference names every exit code and every command, and no hidden one", () => {
  const page = cliReference();
  const codes = [...page.matchAll(/^\| (\d+) +\|/gm)].map(([, code]) => Number(code));
  expect(codes).toEqual(Object.values(EXIT));
  expect([...page.matchAll(/^### taskgate (.*)$/gm)].map(([, command]) => command)).toMatchInlineSnapshot(`
    [
      "up",
      "run",
      "attach",
      "ps",
      "stop",
      "restart",
      "rm",
      "open",
      "logs",
      "forward",
      "login",
      "logout",
      "whoami",
      "share",
      "unshare",
      "token create",
      "token list",
      "token revoke",
      "password",
      "sessions list",
      "sessions end",
      "keys list",
      "keys rotate",
      "audit",
      "envoy status",
      "envoy bootstrap",
      "reach",
      "check",
      "doctor",
      "version",
      "completion",
    ]
  `);
  expect(page).not.toContain("--detached");
});
