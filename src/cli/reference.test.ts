import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { EXIT } from "./failure.ts";
import { packageRoot } from "../platform/package-info.ts";
import { cliReference } from "./reference.ts";

test("docs/cli.md is what the commands say of themselves", async () => {
  await expect(cliReference()).toMatchFileSnapshot(join(packageRoot, "docs", "cli.md"));
});

test("docs/cli.md names every exit code", () => {
  const page = readFileSync(join(packageRoot, "docs", "cli.md"), "utf8");
  const named = [...page.matchAll(/^\| (\d+) +\|/gm)].map(([, code]) => Number(code));
  expect(named).toEqual(Object.values(EXIT));
});
