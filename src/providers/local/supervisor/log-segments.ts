import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";

/** One file of a replica's log: `log.REPLICA.SEQUENCE`. Sequences rise and are never used again, so a reader cannot mistake one for another. */
export interface LogSegment {
  readonly sequence: number;
  readonly bytes: number;
}

/** Path of a segment. */
export function segmentFile(folder: string, replica: string, sequence: number): string {
  return join(folder, `log.${replica}.${String(sequence)}`);
}

/** Oldest first. Empty where there is no log or no folder. */
export function listSegments(folder: string, replica: string): readonly LogSegment[] {
  const prefix = `log.${replica}.`;
  return namesIn(folder)
    .filter((name) => name.startsWith(prefix) && /^\d+$/.test(name.slice(prefix.length)))
    .map((name) => ({ sequence: Number(name.slice(prefix.length)), bytes: sizeOf(join(folder, name)) }))
    .sort((a, b) => a.sequence - b.sequence);
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

/** 0 for a file that was rotated away meanwhile: whoever opens it finds out. */
function sizeOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0;
}
