import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/**
 * The engine's own collector, to be called: it takes tens of milliseconds. For when a process has just come up, and for measurements; in
 * between, the engine knows best.
 */
export function garbageCollector(): NodeJS.GCFunction {
  // Not as a flag of the process: compiled code is kept by flags, and what one process compiled would be of no use to the other.
  setFlagsFromString("--expose-gc");
  return runInNewContext("gc") as NodeJS.GCFunction;
}
