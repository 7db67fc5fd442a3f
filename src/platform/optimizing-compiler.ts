import { setFlagsFromString } from "node:v8";

/**
 * Flags for a process that is to come up without the engine's optimising compilers: loading modules is enough work to wake them, and they
 * take 5 MiB of memory. `bin/compile-ahead.mjs` has the same: what is compiled is kept by these flags.
 */
export const WITHOUT_OPTIMIZING: readonly string[] = ["--no-maglev", "--no-opt"];

/** From now on what is called often is optimised. For a process that began without, once it is up. */
export function startOptimizing(): void {
  setFlagsFromString("--opt");
  setFlagsFromString("--maglev");
}
