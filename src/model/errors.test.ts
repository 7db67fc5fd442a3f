import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { ERROR_CODES, GatewayError, isCode } from "./errors.ts";

const ROOT = join(import.meta.dirname, "../..");

/** Rows of the table under a heading of docs/errors.md: its cells, the code without its quotes first. */
function tableOf(heading: string): string[][] {
  const text = readFileSync(join(ROOT, "docs/errors.md"), "utf8");
  const section = text.split(/^## /m).find((part) => part.startsWith(`${heading}\n`)) ?? "";
  const rows = section.split("\n").filter((line) => line.startsWith("| `"));
  return rows.map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim().replaceAll(/^`|`$/g, ""))); // prettier-ignore
}

const codesOf = (heading: string): string[] => tableOf(heading).map(([code = ""]) => code);

/** Product sources in a folder, or the one file, by path. */
function sourcesIn(path: string): string[] {
  if (path.endsWith(".ts")) return [readFileSync(join(ROOT, path), "utf8")];
  return readdirSync(join(ROOT, path), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts") && !/\.(test|contract)\.ts$|(^|\/)testing\//.test(name))
    .map((name) => readFileSync(join(ROOT, path, name), "utf8"));
}

const found = (sources: readonly string[], pattern: RegExp): string[] => [
  ...new Set(sources.flatMap((text) => [...text.matchAll(pattern)].map(([, code = ""]) => code))),
];
const isErrorCode = (code: string): boolean => (ERROR_CODES as readonly string[]).includes(code);

const ERRORS = "Errors of operations";
const PROBLEMS = "Problems of objects";
const ADVICE = "Advice on reaches";
const ANSWERS = "Answers in a job's place";

describe("docs/errors.md", () => {
  test("has every error code with its status, and no other", () => {
    const documented = Object.fromEntries(tableOf(ERRORS).map(([code = "", status]) => [code, status]));
    const actual = ERROR_CODES.map((code) => [code, String(new GatewayError(code, "").httpStatus)]);
    expect(documented).toEqual(Object.fromEntries(actual));
  });

  test("has every problem code, and no other", () => {
    // Whatever in the core, and beside it where problems are made, is spelt as a code and is no error code.
    const sources = [
      ...sourcesIn("src/core"),
      ...["src/providers", "src/dataplanes", "src/reach", "src/fronts", "src/cull"]
        .flatMap(sourcesIn)
        .filter((text) => /\bProblem\b/.test(text)),
    ];
    const codes = found(sources, /"([a-z]+(?:_[a-z]+)+)"/g).filter((code) => !isErrorCode(code));
    expect(codesOf(PROBLEMS).sort()).toEqual(codes.sort());
  });

  test("has every code that the gate answers with in a job's place, and no other", () => {
    const sources = ["src/dataplanes", "src/api/explain.ts", "src/auth/gatekeeper.ts"].flatMap(sourcesIn);
    const codes = found(sources, /\bcode: "([a-z_]+)"/g).filter((code) => !isErrorCode(code));
    expect(codesOf(ANSWERS).sort()).toEqual(codes.filter((code) => !codesOf(PROBLEMS).includes(code)).sort());
  });

  test("has every code of advice on reaches, and no other", () => {
    const sources = sourcesIn("src/reach").filter((text) => /\bReachAdvice\b/.test(text));
    const codes = found(sources, /\bcode: "([a-z_]+)"/g);
    expect(codesOf(ADVICE).sort()).toEqual(codes.sort());
  });

  test("gives no code two meanings, and fills every cell", () => {
    const rows = [ERRORS, PROBLEMS, ANSWERS, ADVICE].flatMap(tableOf);
    const codes = rows.map(([code]) => code);
    expect(codes).toEqual([...new Set(codes)]);
    for (const cells of rows) for (const cell of cells) expect(cell).not.toBe("");
  });
});

test("an error is told by its code, whatever else is thrown", () => {
  const error = new GatewayError("conflict", "taken", { cause: new Error("why") });
  expect(isCode(error, "conflict")).toBe(true);
  expect(isCode(error, "denied")).toBe(false);
  expect(isCode(Object.assign(new Error("x"), { code: "conflict" }), "conflict")).toBe(false);
  expect(isCode(null, "conflict")).toBe(false);
});
