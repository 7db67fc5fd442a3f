import { expect, test } from "vitest";
import { checkDomain } from "./domain-check.ts";

test.each([
  ["localhost", "ok"],
  ["github.io", "ok"],
  ["co.uk", "ok"],
  ["apps.example.com", "warn"],
  ["example.com", "warn"],
  ["someone.github.io", "warn"],
  ["apps.corp.internal", "warn"],
])("of the domain %s says %s", (domain, level) => {
  const finding = checkDomain(domain);
  expect([finding.name, finding.level]).toEqual(["domain", level]);
  expect(finding.message).toContain(domain);
  expect(finding.remedy === null).toBe(level === "ok");
});
