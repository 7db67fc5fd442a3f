import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

/** Bytes of buffers that are really held: garbage is collected first. */
export function heldBytes(): number {
  collect();
  collect(); // the first one's buffers are swept while it returns
  return process.memoryUsage().arrayBuffers;
}
