import { flushCompileCache } from "node:module";
import type { SupervisorOptions } from "./spec.ts";
import { supervise } from "./supervise.ts";

// Entry of a supervisor process: `node main.ts OPTIONS` in the task's folder. Its standard output and error are a file there.
const running = supervise(JSON.parse(process.argv[2] ?? "") as SupervisorOptions);
// At once, not at the end that may be days away: the next supervisor then starts from it, and needs 18 MB less.
flushCompileCache();
await running;
