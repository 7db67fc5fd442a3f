// Plain JavaScript: from here on Node 24 runs everything, the TypeScript of a checkout included.
import { existsSync } from "node:fs";
import module from "node:module";
import { homedir } from "node:os";
import { isAbsolute, join } from "node:path";
import { fileURLToPath } from "node:url";

// Compiled code is kept in the user's own cache: in a shared or present folder somebody else could plant it.
function cacheFolder() {
  try {
    return [process.env.XDG_CACHE_HOME ?? "", join(homedir(), ".cache")].find(isAbsolute);
  } catch {
    return undefined; // a user that is on no list of users: it only starts more slowly
  }
}

const cache = cacheFolder();
const compiled = cache === undefined ? undefined : join(cache, "taskgate", "compile");
const inCheckout = existsSync(new URL("../src", import.meta.url));
const startsGate = ["up", "start"].includes(process.argv[2] ?? "");
if (compiled !== undefined && inCheckout && startsGate) {
  const { compileAhead } = await import("./compile-ahead.mjs");
  await compileAhead(compiled, fileURLToPath(new URL("../src", import.meta.url)));
}
if (compiled !== undefined) module.enableCompileCache(compiled);

const { main } = await import(inCheckout ? "../src/cli/main.ts" : "../dist/cli/main.js");
await main();
