import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { extname, join } from "node:path";
import type { OpenAPIHono } from "@hono/zod-openapi";
import { GATE_PATH } from "../model/index.ts";
import type { ApiEnv } from "./api-env.ts";

export interface Page {
  readonly type: string;
  readonly body: Uint8Array<ArrayBuffer>;
  readonly etag: string;
}

/** By path, as requested. */
export type Pages = ReadonlyMap<string, Page>;

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
};

/** Reads the files of `folder` (not those of its folders) that a browser may have, once. */
export async function loadPages(folder: string): Promise<Pages> {
  const names = (await readdir(folder)).filter((name) => extname(name) in TYPES).sort();
  return new Map(await Promise.all(names.map(async (name) => [pathOf(name), await loadPage(folder, name)] as const)));
}

/** Where providers send browsers back to: the login page takes it from there. */
const CALLBACK = `${GATE_PATH}login/:method/callback`;

/** Serves the pages; everything else there is the gate's front door, which leads to the first of them. */
export function addPages(app: OpenAPIHono<ApiEnv>, pages: Pages): void {
  const login = pages.get(`${GATE_PATH}login`);
  for (const [path, page] of login === undefined ? pages : [...pages, [CALLBACK, login] as const]) {
    app.get(path, (c) => {
      const headers = { "content-type": page.type, etag: page.etag, "cache-control": "no-cache" };
      const known = c.req.header("if-none-match")?.split(",") ?? [];
      const unchanged = known.some((tag) => tag.trim().replace(/^W\//, "") === page.etag);
      return unchanged ? c.body(null, 304, headers) : c.body(page.body, 200, headers);
    });
  }
  for (const path of ["/", GATE_PATH.slice(0, -1)]) app.get(path, (c) => c.redirect(GATE_PATH));
}

function pathOf(name: string): string {
  if (name === "index.html") return GATE_PATH;
  if (name.endsWith(".html")) return `${GATE_PATH}${name.slice(0, -".html".length)}`;
  return `${GATE_PATH}ui/${name}`;
}

async function loadPage(folder: string, name: string): Promise<Page> {
  const body = new Uint8Array(await readFile(join(folder, name)));
  const etag = `"${createHash("sha256").update(body).digest("base64url").slice(0, 27)}"`;
  return { type: TYPES[extname(name)] ?? "application/octet-stream", body, etag };
}
