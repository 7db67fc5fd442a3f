import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Claim, matchKey } from "../model/index.ts";
import { systemClock } from "../platform/clock.ts";
import { silentLogger } from "../platform/logger.ts";
import { startEmbeddedStore } from "../store/embedded/embedded-store.ts";
import { createClaimsBook, readClaims } from "./claims-book.ts";

const deps = { clock: systemClock, logger: silentLogger };
let folder: string;

beforeEach(() => (folder = mkdtempSync(join(tmpdir(), "tg-claims-"))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function claim(port: number, service: string): Claim {
  return { match: { by: "port", port }, service, since: 1 };
}

test("claims are there again after a restart: the latest holder of each, and none that was given up", async () => {
  const file = join(folder, "gate.db");
  {
    await using store = await startEmbeddedStore({ file, ...deps });
    await using book = createClaimsBook({ store, logger: silentLogger });
    book.write({ set: [claim(20_000, "local/a/db"), claim(20_001, "local/b/db")], removed: [] });
    book.write({ set: [claim(20_000, "local/c/db")], removed: [matchKey({ by: "port", port: 20_001 })] });
    book.write({ set: [], removed: ["never written"] });
  }
  await using store = await startEmbeddedStore({ file, ...deps });
  expect(await readClaims(store)).toEqual([claim(20_000, "local/c/db")]);
});
