import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test, vi } from "vitest";
import type { LastUse } from "../model/index.ts";
import { systemClock } from "../platform/clock.ts";
import { silentLogger } from "../platform/logger.ts";
import { startEmbeddedStore } from "../store/embedded/embedded-store.ts";
import type { Store } from "../store/store.ts";
import { createManualClock } from "../store/testing/manual-clock.ts";
import { startKeptUse } from "./kept-use.ts";

const SERVICE = "local/nb/web";
const MINUTE_MS = 60_000;
const at = (when: number): LastUse => ({ at: when, by: "main/alice" });

async function gateOn(store: Store) {
  const clock = createManualClock(Date.now());
  const seen = new Map<string, LastUse>();
  const kept = await startKeptUse({ store, last: () => seen, clock, logger: silentLogger });
  onTestFinished(() => kept[Symbol.asyncDispose]());
  return { seen, last: () => kept.last.get(SERVICE)?.at, write: () => clock.advance(MINUTE_MS) };
}

test("what was used at one gate counts at the other, whoever of them saw it last", async () => {
  const folder = mkdtempSync(join(tmpdir(), "tg-use-"));
  const store = await startEmbeddedStore({ file: join(folder, "gate.db"), clock: systemClock, logger: silentLogger });
  onTestFinished(async () => {
    await store[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true });
  });
  const [one, two] = [await gateOn(store), await gateOn(store)];
  for (const [when, who, other] of [
    [1000, one, two],
    [2000, two, one],
    [3000, one, two],
  ] as const) {
    who.seen.set(SERVICE, at(when));
    who.write();
    await vi.waitFor(() => expect([who.last(), other.last()]).toEqual([when, when]));
  }
});
