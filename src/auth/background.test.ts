import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { BACKGROUND, BackgroundRules } from "./background.ts";

const DOC = readFileSync(join(import.meta.dirname, "../../docs/culling.md"), "utf8");
const RECORDED = join(import.meta.dirname, "testdata/background");
const NOTHING_MORE = new BackgroundRules({});

/** What a page in a browser asked for: `idle`, while nobody touched it for a minute; `active`, as it was opened and used. */
interface Recorded {
  readonly program: string;
  readonly kind: string;
  readonly idle: readonly string[];
  readonly active: readonly string[];
}

function isBackground(kind: string, asked: string, rules = NOTHING_MORE): boolean {
  const [method = "", path = ""] = asked.split(" ");
  return rules.isBackground(kind, method, path);
}

describe.each(["jupyterlab", "tensorboard"])("%s", (name) => {
  const recorded = JSON.parse(readFileSync(join(RECORDED, `${name}.json`), "utf8")) as Recorded;

  test("asks for nothing that counts as use while nobody touches its page", () => {
    expect(recorded.idle.filter((asked) => !isBackground(recorded.kind, asked))).toEqual([]);
  });

  test("asks for what counts as use when it is opened and used", () => {
    for (const asked of recorded.active) expect(isBackground(recorded.kind, asked), asked).toBe(false);
  });
});

test("a configuration adds requests, for one kind or for all", () => {
  const rules = new BackgroundRules({ notebook: ["GET /poll/*/x?a=*"], "*": ["POST /beat"] });
  expect(isBackground("notebook", "GET /base/poll/1/x?a=5&b=/c?", rules)).toBe(true);
  expect(isBackground("notebook", "GET /poll/1/y?a=5", rules)).toBe(false);
  expect(isBackground("notebook", "POST /beat?1", rules)).toBe(true);
  expect(isBackground("anything", "POST /beat", rules)).toBe(true);
  expect(isBackground("anything", "POST /beats", rules)).toBe(false);
  expect(isBackground("constructor", "GET /", rules)).toBe(false);
});

test("docs/culling.md lists every rule", () => {
  for (const [kind, { requests, quietBytes }] of Object.entries(BACKGROUND)) {
    const row = DOC.split("\n").find((line) => line.startsWith(`| \`${kind}\``)) ?? "";
    for (const rule of requests) expect(row).toContain(`\`${rule}\``);
    expect(row).toContain(`${String(quietBytes ?? 16)} bytes`);
  }
});
