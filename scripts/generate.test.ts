import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { checkGenerated, generateInto } from "./generate.ts";

let folder: string;
beforeEach(() => {
  folder = join(mkdtempSync(join(tmpdir(), "taskgate-generate-")), "generated");
});
afterEach(() => rmSync(join(folder, ".."), { recursive: true }));

const GENERATORS = [
  { file: "a.md", generate: () => "a\n" },
  { file: "b.json", generate: () => Promise.resolve("{}\n") },
];

test("writes what is missing or different, removes what nothing makes, and leaves the rest alone", async () => {
  expect(await generateInto(folder, GENERATORS)).toEqual(["a.md", "b.json"]);
  expect(await generateInto(folder, GENERATORS)).toEqual([]);
  writeFileSync(join(folder, "a.md"), "edited\n");
  writeFileSync(join(folder, "left-over.md"), "");
  expect(await generateInto(folder, GENERATORS)).toEqual(["a.md", "left-over.md"]);
  expect(await checkGenerated(folder, GENERATORS)).toEqual([]);
  expect(readFileSync(join(folder, "a.md"), "utf8")).toBe("a\n");
});

test("finds every drift, and changes nothing to check", async () => {
  expect(await checkGenerated(folder, GENERATORS)).toEqual(["a.md", "b.json"]);
  await generateInto(folder, GENERATORS);
  writeFileSync(join(folder, "b.json"), "{ }\n");
  writeFileSync(join(folder, "left-over.md"), "");
  expect(await checkGenerated(folder, GENERATORS)).toEqual(["b.json", "left-over.md"]);
  expect(readFileSync(join(folder, "b.json"), "utf8")).toBe("{ }\n");
});

test("what is committed is what the code says", () => {
  const script = join(import.meta.dirname, "generate.ts");
  expect(execFileSync(process.execPath, [script, "--check"], { encoding: "utf8" })).toBe("");
});
