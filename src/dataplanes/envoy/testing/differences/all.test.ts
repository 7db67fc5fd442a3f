import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { DIFFERENCES } from "./all.ts";
import type { Way } from "./suites.ts";
import * as suites from "./suites.ts";

test("differences are those that the docs list, each in the docs' own words", () => {
  const docs = readFileSync("docs/envoy.md", "utf8");
  const [, section = ""] = docs.split("\n## Where it differs\n");
  const listed = section
    .split("\n## ")[0]
    ?.split("\n- ")
    .slice(1)
    .map((item) => item.replaceAll(/\s+/g, " "));
  const ways = Object.values(suites).flatMap((suite) => Object.values<Way>(suite));
  const reasons = [...new Set([...Object.values(DIFFERENCES), ...ways].map(({ why }) => why))];
  expect(reasons.filter((why) => !listed?.some((item) => item.startsWith(why)))).toEqual([]);
  expect(listed?.filter((item) => !reasons.some((why) => item.startsWith(why)))).toEqual([]);
});
