import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { IDENTITY_FAMILIES, IDENTITY_HEADERS } from "../model/index.ts";

const ROOT = join(import.meta.dirname, "../..");
const DOC = readFileSync(join(ROOT, "docs/security.md"), "utf8");

test("every test that docs/security.md names is there", () => {
  const named = [...DOC.matchAll(/`([\w./-]+\.(?:test|contract)\.ts)`/g)].map((match) => match[1] ?? "");
  expect(named.length).toBeGreaterThan(20);
  expect(named.filter((file) => !existsSync(join(ROOT, file)))).toEqual([]);
});

test("docs/security.md lists the headers that no job sees", () => {
  const listed = /<!-- headers -->\s+```\n([^`]*)```/.exec(DOC)?.[1]?.trim().split("\n");
  const families = IDENTITY_FAMILIES.map((family) => `${family}*`);
  expect(listed).toEqual([...IDENTITY_HEADERS, ...families, "proxy-authorization"].toSorted());
});
