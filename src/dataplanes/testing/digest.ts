import { createHash } from "node:crypto";
import type { Readable } from "node:stream";

/** Rests of a slow reader, in which everything before it fills. */
export interface Rests {
  readonly everyBytes: number;
  readonly ms: number;
}

/** SHA-256, in hex, of all that comes up to the end. `rests` null: read as fast as it comes. */
export async function digest(stream: Readable, rests: Rests | null): Promise<string> {
  const hash = createHash("sha256");
  let since = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    hash.update(chunk);
    since += chunk.length;
    if (rests === null || since < rests.everyBytes) continue;
    since = 0;
    await new Promise((resolve) => setTimeout(resolve, rests.ms));
  }
  return hash.digest("hex");
}
