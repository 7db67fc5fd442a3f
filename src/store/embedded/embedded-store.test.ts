import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLogger } from "../../platform/logger.ts";
import { describeStore } from "../store.contract.ts";
import { startEmbeddedStore } from "./embedded-store.ts";

describeStore("embedded", async (clock) => {
  const folder = await mkdtemp(join(tmpdir(), "taskgate-store-"));
  return {
    open: () => startEmbeddedStore({ file: join(folder, "gate.db"), clock, logger: silentLogger }),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true }),
  };
});
