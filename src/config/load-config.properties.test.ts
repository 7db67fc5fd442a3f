import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { CONFIG_KEYS } from "./config-keys.ts";
import { formatConfigProblems } from "./config-problem.ts";
import { layConfig, loadConfig, type Loaded } from "./load-config.ts";
import { readDocument } from "./read-document.ts";
import { Config } from "./schema.ts";

/** Right and wrong texts to start from. */
const SEEDS = [
  join(import.meta.dirname, "../../examples/config.yaml"),
  ...readdirSync(join(import.meta.dirname, "testdata"))
    .filter((name) => name.endsWith(".in.yaml"))
    .map((name) => join(import.meta.dirname, "testdata", name)),
].map((path) => readFileSync(path, "utf8"));

/** What breaks readers. */
const FRAGMENTS = [
  ..."\t\n:-?[]{}&*!|>'\"%@`#,~<= ".split(/(?:)/),
  ...["---\n", "...\n", "%YAML 1.1\n", "<<: *a", "&a ", "*a", "!!binary ", "!!set ", "!x ", "? ", "\r\n", "\u0000"],
  ...[
    "__proto__: ",
    "constructor: ",
    "null",
    "true",
    "yes",
    "0x1f",
    "1e999",
    ".nan",
    "-0",
    "\ud800",
    "\u202e",
    "\u2028",
  ],
  ...[
    '"\\u0000"',
    "[".repeat(50),
    "{a: ".repeat(50),
    "- ".repeat(50),
    "? ".repeat(50),
    "  ",
    "listen:\n",
    "files:\n  - ",
  ],
  ...CONFIG_KEYS.map((key) => `${key.path.at(-1) ?? ""}: `),
];

/** Any text, broken surrogate pairs included. */
const codeUnits = fc.uint16Array({ maxLength: 200 }).map((units) => String.fromCharCode(...units));

const mutated = fc
  .tuple(
    fc.constantFrom(...SEEDS),
    fc.array(fc.tuple(fc.nat(2000), fc.nat(12), fc.oneof(fc.constantFrom(...FRAGMENTS), codeUnits)), {
      minLength: 1,
      maxLength: 6,
    }),
  )
  .map(([seed, edits]) =>
    edits.reduce((text, [at, cut, put]) => {
      const start = at % (text.length + 1);
      return text.slice(0, start) + put + text.slice(start + cut);
    }, seed),
  );

/** A tree that has the shape of a configuration, with wrong things here and there, as JSON. */
const misshapen = fc
  .array(
    fc.tuple(fc.constantFrom(...CONFIG_KEYS), fc.oneof(fc.json(), fc.constantFrom('"1s"', '"x"', "0", "[]", "{}"))),
    {
      maxLength: 8,
    },
  )
  .map((entries) => {
    const root: Record<string, unknown> = {};
    for (const [key, json] of entries) {
      let at = root;
      for (const part of key.path.slice(0, -1)) {
        const next = at[part];
        at = (at[part] = typeof next === "object" && next !== null ? next : {}) as Record<string, unknown>;
      }
      at[key.path.at(-1) ?? ""] = JSON.parse(json);
    }
    return JSON.stringify(root);
  });

const hostile = fc.array(fc.constantFrom(...FRAGMENTS), { maxLength: 40 }).map((parts) => parts.join(""));

function load(text: string): Loaded {
  return layConfig(readDocument(text, "config.yaml"), { environment: {} });
}

/** Either a whole configuration, or problems with a place; never a throw. */
function mustAnswer(text: string): void {
  const { config, problems } = load(text);
  const errors = problems.filter((problem) => problem.severity === "error");
  if (config === null) expect(errors).not.toEqual([]);
  else {
    expect(errors).toEqual([]);
    expect(Object.keys(config).sort()).toEqual(expect.arrayContaining(DEFAULT_KEYS));
  }
  for (const { message, line, column } of problems) {
    expect(message).not.toBe("");
    expect(line === null || (line >= 1 && line <= text.split("\n").length)).toBe(true);
    expect(column === null || column >= 1).toBe(true);
  }
  // Nothing that steers a terminal or breaks a line gets out.
  expect(formatConfigProblems(problems).split("\n")).toHaveLength(Math.max(problems.length, 1));
  expect(formatConfigProblems(problems)).not.toMatch(/[^\n\P{Cc}]/u);
}

const DEFAULT_KEYS = Object.keys(Config.parse({})).sort();

test(
  "6,500 mutated, misshapen and hostile texts give a configuration or problems, never a crash",
  { timeout: 120_000 },
  () => {
    fc.assert(fc.property(mutated, mustAnswer), { numRuns: 3500 });
    fc.assert(fc.property(misshapen, mustAnswer), { numRuns: 1500 });
    fc.assert(fc.property(hostile, mustAnswer), { numRuns: 1000 });
    fc.assert(fc.property(codeUnits, mustAnswer), { numRuns: 500 });
  },
);

test("random environments and flags give a configuration or problems, never a crash", () => {
  const names = CONFIG_KEYS.flatMap((key) => (key.environment === null ? [] : [key.environment]));
  const name = fc.oneof(
    fc.constantFrom(...names),
    fc.string().map((text) => `TASKGATE_${text}`),
  );
  const key = fc.oneof(fc.constantFrom(...CONFIG_KEYS.map((one) => one.key)), fc.string());
  const value = fc.oneof(fc.string(), fc.constantFrom("1s", "true", "0", "127.0.0.1:0", "__proto__"));
  const property = fc.property(fc.dictionary(name, value), fc.dictionary(key, value), (environment, flags) => {
    const { config, problems } = loadConfig({ environment, flags });
    expect(config === null).toBe(problems.some((problem) => problem.severity === "error"));
  });
  fc.assert(property, { numRuns: 1000 });
});

test.each([
  ["brackets", "[".repeat(5_000)],
  ["braces", "{a: ".repeat(5_000)],
  ["dashes", "- ".repeat(5_000)],
  ["question marks", "? ".repeat(16_384)],
  ["indents", Array.from({ length: 300 }, (_, n) => `${" ".repeat(n)}a:\n`).join("")],
  ["keys", Array.from({ length: 5_000 }, (_, n) => `k${n}:\n`).join("")],
  ["one key", "k:\n".repeat(5_000)],
  ["aliases", `a: &a x\nb:\n${"- *a\n".repeat(5_000)}`],
  ["tags", "!!x ".repeat(10_000)],
  ["quotes", '"'.repeat(10_000)],
  ["documents", "---\n".repeat(10_000)],
])("very many %s are refused in time", { timeout: 60_000 }, (_what, text) => {
  mustAnswer(text);
  expect(load(text).config).toBeNull();
});
