import { type FileHandle, mkdir, open, readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { CHAIN_START, readLink } from "./audit-line.ts";

/** For its owner alone: it says who visits what. */
const FILE_MODE = 0o600;
const FOLDER_MODE = 0o700;
const NAME = /^audit-(\d{6,12})\.jsonl$/;
/** Of the end of a file; no line is longer. */
const TAIL_BYTES = 262_144;

/** Numbers of the files of the log, the oldest first. Files are never renamed: who reads one finds the next by its number. */
export async function listFiles(folder: string): Promise<readonly number[]> {
  const names = await readdir(folder).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  });
  return names
    .flatMap((name) => NAME.exec(name)?.[1] ?? [])
    .map(Number)
    .toSorted((a, b) => a - b);
}

export function fileAt(folder: string, number: number): string {
  return join(folder, `audit-${String(number).padStart(6, "0")}.jsonl`);
}

/** A file of the log that is open for appending. */
export interface OpenFile {
  readonly number: number;
  readonly handle: FileHandle;
  /** Bytes that are whole lines. */
  size: number;
  /** When its first line was written, epoch ms; of an empty file, now. */
  readonly since: number;
}

/** The last file, or a first one, with the link of its last line. `torn`: bytes of an unfinished line that a crash left; they are cut off. */
export async function openLast(
  folder: string,
  now: number,
): Promise<{ readonly file: OpenFile; readonly chain: string; readonly torn: number }> {
  await mkdir(folder, { recursive: true, mode: FOLDER_MODE });
  const numbers = await listFiles(folder);
  const last = numbers.at(-1);
  if (last === undefined) return { file: await openNumber(folder, 1, now), chain: CHAIN_START, torn: 0 };
  const file = await openNumber(folder, last, now);
  const { chain, whole } = await readTail(file.handle, file.size);
  const torn = file.size - whole;
  if (torn > 0) await file.handle.truncate(whole);
  file.size = whole;
  // A file that was begun and never written to goes on from the one before.
  const before = chain ?? (await chainBefore(folder, numbers.slice(0, -1)));
  return { file, chain: before, torn };
}

export async function openNumber(folder: string, number: number, now: number): Promise<OpenFile> {
  const handle = await open(fileAt(folder, number), "a+", FILE_MODE);
  const { size, birthtimeMs, mtimeMs } = await handle.stat();
  return { number, handle, size, since: size === 0 ? now : Math.min(now, birthtimeMs || mtimeMs) };
}

/** Removes what is too old or too many. The last file stays. */
export async function prune(folder: string, keep: { readonly files: number; readonly since: number }): Promise<void> {
  const numbers = await listFiles(folder);
  for (const [index, number] of numbers.slice(0, -1).entries()) {
    const path = fileAt(folder, number);
    const tooMany = numbers.length - index > keep.files;
    if (tooMany || (await stat(path)).mtimeMs < keep.since) await rm(path, { force: true });
  }
}

async function chainBefore(folder: string, numbers: readonly number[]): Promise<string> {
  for (const number of numbers.toReversed()) {
    await using handle = await open(fileAt(folder, number), "r");
    const { chain } = await readTail(handle, (await handle.stat()).size);
    if (chain !== null) return chain;
  }
  return CHAIN_START;
}

async function readTail(
  handle: FileHandle,
  size: number,
): Promise<{ readonly chain: string | null; readonly whole: number }> {
  const from = Math.max(0, size - TAIL_BYTES);
  const buffer = Buffer.alloc(size - from);
  await handle.read(buffer, 0, buffer.length, from);
  const end = buffer.lastIndexOf(10);
  if (end < 0) return { chain: null, whole: from };
  const begin = buffer.lastIndexOf(10, end - 1) + 1;
  return { chain: readLink(buffer.toString("utf8", begin, end), null)?.chain ?? null, whole: from + end + 1 };
}
