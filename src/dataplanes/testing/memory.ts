import { garbageCollector } from "../../platform/garbage-collector.ts";

const collect = garbageCollector();

/** Bytes of buffers that are really held: garbage is collected first. */
export function heldBytes(): number {
  collect();
  collect(); // the first one's buffers are swept while it returns
  return process.memoryUsage().arrayBuffers;
}
