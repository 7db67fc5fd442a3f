import { systemClock } from "../../../platform/clock.ts";
import { silentLogger } from "../../../platform/logger.ts";
import { isCode } from "../../../model/index.ts";
import { startEmbeddedStore } from "../embedded-store.ts";

/**
 * A process that is meant to die: `node write-loop.ts FILE ROUND` makes, replaces and removes entries without end, a few at a time, and
 * writes a line of JSON for each that the store acknowledged: what the key holds from then on, and its version. A store that fails ends
 * it, with a line that says the code.
 */
const [file = "", round = ""] = process.argv.slice(2);
const store = await startEmbeddedStore({ file, clock: systemClock, logger: silentLogger });

const say = (line: unknown): Promise<void> =>
  new Promise((resolve) => {
    process.stdout.write(`${JSON.stringify(line)}\n`, () => resolve());
  });

async function writeOn(lane: number): Promise<never> {
  for (let n = 0; ; n += 1) {
    const key = `${round}/${lane}/${n}`;
    const made = { n, pad: "x".repeat(n % 2000) };
    const first = await store.put("crash", key, made, { version: null });
    await say({ key, value: made, version: first });
    if (n % 3 === 0) continue;
    const replaced = { n: -n };
    const second = await store.put("crash", key, replaced, { version: first });
    await say({ key, value: replaced, version: second });
    if (n % 3 === 1) continue;
    await store.remove("crash", key, second);
    await say({ key, value: null, version: second });
  }
}

try {
  await Promise.all([0, 1, 2].map(writeOn));
} catch (error) {
  await say({
    failed: isCode(error, "unavailable") ? "unavailable" : String(error),
    entries: (await store.list("crash")).size,
  });
  await store[Symbol.asyncDispose]();
}
