import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** Collects all garbage, now: tens of milliseconds. For when a process has just come up; in between, the engine knows best. */
export function collectGarbage(): void {
  // Not as a flag of the process: compiled code is kept by flags, and what one process compiled would be of no use to the other.
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as NodeJS.GCFunction)({ type: "major", execution: "sync", flavor: "last-resort" });
}
