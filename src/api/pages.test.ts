import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { GATE_PATH } from "../model/index.ts";
import { loadPages } from "./pages.ts";
import { UI_FOLDER } from "./testing/start-gate.ts";

const names = await readdir(UI_FOLDER);
const text = (name: string) => readFile(join(UI_FOLDER, name), "utf8");

describe("the files of the page", () => {
  test("are all served", async () => {
    const pages = await loadPages(UI_FOLDER);
    expect(pages.size).toBe(names.length);
    expect([...pages.keys()]).toEqual(expect.arrayContaining([GATE_PATH, `${GATE_PATH}login`]));
  });

  test.each(names.filter((name) => name.endsWith(".html")))(
    "%s has nothing inline and nothing from elsewhere",
    async (name) => {
      const html = await text(name);
      expect(html).not.toMatch(/<style|<script(?![^>]*\ssrc=)|\sstyle=|\son[a-z]+=/i);
      expect(html).not.toMatch(/(?:src|href)="(?!\/\.taskgate\/|#)/);
    },
  );

  test.each(names.filter((name) => name.endsWith(".html")))("%s asks only for what is there", async (name) => {
    const pages = await loadPages(UI_FOLDER);
    const asked = [...(await text(name)).matchAll(/(?:src|href)="(\/[^"]*)"/g)].map(([, path]) => path ?? "");
    expect(asked.length).toBeGreaterThan(1);
    expect(asked.filter((path) => !pages.has(path))).toEqual([]);
  });

  test.each(names.filter((name) => name.endsWith(".js")))(
    "%s writes no markup, runs no text, and imports only its neighbours",
    async (name) => {
      const code = await text(name);
      expect(code).not.toMatch(
        /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|\.style\b|document\.cookie/,
      );
      const imports = [...code.matchAll(/from "([^"]+)"/g)].map(([, from]) => from ?? "");
      expect(imports.filter((from) => !names.includes(from.replace("./", "")))).toEqual([]);
    },
  );
});
