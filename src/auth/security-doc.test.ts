import { existsSync, readdirSync, readFileSync } from "node:fs";
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

test("every promise of docs/security.md names what shows it", () => {
  const promises = DOC.split("\n").filter((line) => /^\| [A-Z]/.test(line) && !/^\| (promise|what|where)/.test(line));
  expect(promises.length).toBeGreaterThan(40);
  expect(promises.filter((line) => !/`(?:src|test)\/[\w./-]+\.ts`/.test(line.split("|").at(-2) ?? ""))).toEqual([]);
  const files = [...DOC.matchAll(/`((?:src|test)\/[\w./-]+\.ts)`/g)].map((match) => match[1] ?? "");
  expect(files.filter((file) => !existsSync(join(ROOT, file)))).toEqual([]);
});

test("docs/security.md names every suite of attacks, and every test of what went wrong elsewhere", () => {
  const suites = readdirSync(join(ROOT, "test")).filter((name) => /^attacks.*\.test\.ts$/.test(name));
  expect(suites.length).toBeGreaterThan(5);
  expect(suites.filter((name) => !DOC.includes(`\`test/${name}\``))).toEqual([]);
  const suite = readFileSync(join(ROOT, "test/peer-defects.test.ts"), "utf8");
  const names = [...suite.matchAll(/^ {2}test\("([^"]+?): /gm)].map((match) => match[1] ?? "");
  expect(names.length).toBeGreaterThan(15);
  const rows = DOC.slice(DOC.indexOf("<!-- elsewhere -->"));
  expect(names.filter((name) => !rows.includes(`| ${name} `))).toEqual([]);
});

test("docs/security.md lists the headers that no job sees", () => {
  const listed = /<!-- headers -->\s+```\n([^`]*)```/.exec(DOC)?.[1]?.trim().split("\n");
  const families = IDENTITY_FAMILIES.map((family) => `${family}*`);
  expect(listed).toEqual([...IDENTITY_HEADERS, ...families, "proxy-authorization"].toSorted());
});
