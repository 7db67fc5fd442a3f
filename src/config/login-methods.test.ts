import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { checkConfig } from "./check-config.ts";
import { realmOfConfig } from "./login-methods.ts";
import { Config } from "./schema.ts";

const DOCS = readFileSync(join(import.meta.dirname, "../../docs/login.md"), "utf8");

test("every example of docs/login.md is a configuration", () => {
  const examples = [...DOCS.matchAll(/```yaml\n(.*?)```/gs)].map(([, text = ""]) => text);
  expect(examples.length).toBeGreaterThan(3);
  for (const text of examples) expect(Config.safeParse(parse(text)).error?.issues, text).toBeUndefined();
});

function problemsOf(methods: readonly object[]): readonly string[] {
  const parsed = Config.safeParse({ login: { methods } });
  if (!parsed.success) return parsed.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`);
  return checkConfig(parsed.data).map((finding) => `${finding.key}: ${finding.message}`);
}

const oidc = (more: object = {}) => ({
  ...{ type: "oidc", name: "corp", issuer: "https://id.example.com", clientId: "x" },
  ...more,
});

test("names and realms are nobody else's", () => {
  expect(problemsOf([oidc(), oidc({ name: "other" })])).toEqual([]);
  expect(problemsOf([oidc(), oidc()])[0]).toContain("login.methods[1].name: a method before it has the name corp");
  expect(problemsOf([oidc({ name: "local" })])).toHaveLength(1);
  expect(problemsOf([oidc({ realm: "link" })])).toHaveLength(1);
});

test("an issuer is an https URL, or one on this very machine", () => {
  for (const issuer of ["https://id.example.com/realms/x", "http://127.0.0.1:8080", "http://id.localhost:1"]) {
    expect(problemsOf([oidc({ issuer })]), issuer).toEqual([]);
  }
  for (const issuer of [
    "http://id.example.com",
    "https://a:b@id.example.com",
    "https://id.example.com/?x",
    "id",
    "ftp://x",
  ]) {
    expect(problemsOf([oidc({ issuer })]), issuer).toHaveLength(1);
  }
});

test("administrators are spelt as people are, and meant in the realm of the first method", () => {
  const admins = (names: readonly string[]) => Config.safeParse({ login: { admins: names } }).success;
  expect(admins(["alice", "group:ml", "corp/bob", "user:hub/x/y"])).toBe(true);
  expect(admins([""])).toBe(false);
  expect(admins(["UPPER/x"])).toBe(false);
  expect(realmOfConfig([])).toBe("local");
  expect(realmOfConfig(Config.parse({ login: { methods: [oidc({ realm: "staff" })] } }).login.methods)).toBe("staff");
});
