import { open, type FileHandle } from "node:fs/promises";
import type { Clock } from "../../platform/clock.ts";
import { pause } from "../../platform/pause.ts";
import { CUT_NOTE, LINE_BYTES, LineSplitter } from "./supervisor/line-splitter.ts";
import { listSegments, segmentFile } from "./supervisor/log-segments.ts";

const CHUNK_BYTES = 64 * 1024;
const LOOK_AGAIN_MS = 150;

/** The log of one replica. */
export interface TaskLog {
  readonly folder: string;
  readonly replica: string;
  readonly clock: Clock;
  /** Nothing more will be written. */
  readonly ended: () => boolean;
}

interface Place {
  readonly sequence: number;
  readonly offset: number;
}

/**
 * The lines of a replica's log across its files: the last `tail` of those that are there (null: all that are kept), then, if `follow`,
 * what comes until the task has ended. Holds one line and one chunk at a time. Ends, without an error, when the signal aborts.
 */
export async function* readLog(
  log: TaskLog,
  options: { readonly tail: number | null; readonly follow: boolean },
  signal: AbortSignal,
): AsyncGenerator<string> {
  const { folder, replica } = log;
  // A chatty task must not make a read without `follow` endless: it ends where the log ended when it began.
  const last = options.follow ? null : (listSegments(folder, replica).at(-1) ?? null);
  let place = options.tail === null ? START : await findTail(folder, replica, options.tail);
  const lines = new LineSplitter(LINE_BYTES + CUT_NOTE.length);
  while (!signal.aborted) {
    // Asked before reading: what was written before the end is then read for sure.
    const over = !options.follow || log.ended();
    for await (const piece of readOn(log, place, last, signal)) {
      if (piece.note !== null) yield piece.note;
      place = piece.place;
      for (const line of lines.push(piece.bytes)) yield line.toString();
    }
    if (over) break;
    await pause(log.clock, LOOK_AGAIN_MS, signal);
  }
  const rest = signal.aborted ? null : lines.flush();
  if (rest !== null) yield rest.toString();
}

const START: Place = { sequence: 0, offset: 0 };

interface Piece {
  readonly bytes: Buffer;
  readonly place: Place;
  readonly note: string | null;
}

/** All that is there from `from` on, file after file. */
async function* readOn(
  { folder, replica }: TaskLog,
  from: Place,
  last: { readonly sequence: number; readonly bytes: number } | null,
  signal: AbortSignal,
): AsyncGenerator<Piece> {
  let place = from;
  while (!signal.aborted) {
    // A file is done with only if a later one was there before it was read to its end.
    const later = listSegments(folder, replica).find((segment) => segment.sequence > place.sequence);
    const until = last?.sequence === place.sequence ? last.bytes : Infinity;
    for await (const bytes of readFrom(segmentFile(folder, replica, place.sequence), place.offset, until, signal)) {
      place = { ...place, offset: place.offset + bytes.length };
      yield { bytes, place, note: null };
    }
    if (later === undefined || (last !== null && later.sequence > last.sequence)) return;
    const missed = place.sequence > 0 && later.sequence > place.sequence + 1;
    place = { sequence: later.sequence, offset: 0 };
    yield { bytes: EMPTY, place, note: missed ? "[taskgate: lines were rotated away before they were read]" : null };
  }
}

const EMPTY = Buffer.alloc(0);

/** The file's bytes from `offset` to `until`; nothing where it is not there (any more). */
async function* readFrom(file: string, offset: number, until: number, signal: AbortSignal): AsyncGenerator<Buffer> {
  const handle = await openIfThere(file);
  if (handle === null) return;
  try {
    const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
    for (let at = offset; at < until && !signal.aborted;) {
      const { bytesRead } = await handle.read(chunk, 0, Math.min(CHUNK_BYTES, until - at), at);
      if (bytesRead === 0) return;
      at += bytesRead;
      yield chunk.subarray(0, bytesRead);
    }
  } finally {
    await handle.close();
  }
}

/** Where the last `tail` lines begin: from the newest file back, a chunk at a time. */
async function findTail(folder: string, replica: string, tail: number): Promise<Place> {
  const segments = listSegments(folder, replica).toReversed();
  const newest = segments[0];
  if (newest === undefined) return START;
  if (tail <= 0) return { sequence: newest.sequence, offset: newest.bytes };
  let left = tail;
  for (const { sequence, bytes } of segments) {
    const found = await findBack(segmentFile(folder, replica, sequence), bytes, left);
    if (found.offset !== null) return { sequence, offset: found.offset };
    left -= found.lines;
  }
  return START;
}

/** Where the last `lines` lines of a file begin; null with how many it has where it has fewer. */
async function findBack(
  file: string,
  size: number,
  lines: number,
): Promise<{ readonly offset: number | null; readonly lines: number }> {
  const handle = await openIfThere(file);
  if (handle === null) return { offset: null, lines: 0 };
  try {
    const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
    let ends = 0;
    for (let end = size; end > 0;) {
      const start = Math.max(0, end - CHUNK_BYTES);
      const { bytesRead } = await handle.read(chunk, 0, end - start, start);
      for (let at = chunk.subarray(0, bytesRead).lastIndexOf(10); at >= 0; at = lastNewlineBefore(chunk, at)) {
        // The line end at the very end of the file begins no line.
        if (start + at + 1 === size) continue;
        ends += 1;
        if (ends === lines) return { offset: start + at + 1, lines };
      }
      end = start;
    }
    const held = size === 0 ? 0 : ends + 1;
    return held === lines ? { offset: 0, lines } : { offset: null, lines: held };
  } finally {
    await handle.close();
  }
}

function lastNewlineBefore(chunk: Buffer, at: number): number {
  return at === 0 ? -1 : chunk.lastIndexOf(10, at - 1);
}

async function openIfThere(file: string): Promise<FileHandle | null> {
  try {
    return await open(file, "r");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
}
