import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { homeAt, makeHome } from "../config/home.ts";
import { systemClock } from "../platform/clock.ts";
import { silentLogger } from "../platform/logger.ts";
import { startEmbeddedStore } from "../store/embedded/embedded-store.ts";
import { keepSealer } from "./keep-sealer.ts";

let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), "tg-sealer-"))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** What two gates of one store seal, each with a state folder of its own, and whether the second opens what the first one sealed. */
async function sealedByTheOther(isShared: boolean): Promise<string | null> {
  await using store = await startEmbeddedStore({
    file: join(folder, "gate.db"),
    clock: systemClock,
    logger: silentLogger,
  });
  const sealers = ["one", "two"].map((name) => {
    const home = homeAt({ TASKGATE_HOME: join(folder, name) });
    makeHome(home);
    return keepSealer({ store, isShared }, home);
  });
  const [one, two] = await Promise.all(sealers);
  return two?.open(one?.seal("a refresh token", "login") ?? "", "login") ?? null;
}

test("gates of one store open what one of them sealed", async () => {
  expect(await sealedByTheOther(true)).toBe("a refresh token");
});

test("a gate with a store of its own has a key beside it that no other has", async () => {
  expect(await sealedByTheOther(false)).toBeNull();
});
