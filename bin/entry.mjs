// Plain JavaScript: from here on Node 24 runs everything, the TypeScript of a checkout included.
import { existsSync } from "node:fs";
import module from "node:module";
import { homedir } from "node:os";
import { join } from "node:path";

// Compiled code is kept in the user's own cache: in a shared temporary folder somebody else could plant it.
module.enableCompileCache(join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "taskgate", "compile"));

const inCheckout = existsSync(new URL("../src", import.meta.url));
const { main } = await import(inCheckout ? "../src/cli/main.ts" : "../dist/cli/main.js");
await main();
