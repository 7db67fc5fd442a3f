import { open, stat } from "node:fs/promises";
import { type AuditKind, type AuditLine, type AuditOutcome, type Identity, whoText } from "../model/index.ts";
import type { Clock } from "../platform/clock.ts";
import { pause } from "../platform/pause.ts";
import { fileAt, listFiles } from "./audit-files.ts";
import { readLink } from "./audit-line.ts";

const READ_BYTES = 65_536;
/** No line of ours is longer; what is, is passed over. */
const LONGEST_LINE = 262_144;
const LOOK_MS = 300;

/** Which lines are wanted; absent: whichever. */
export interface AuditFilter {
  /** `realm` absent: of any. */
  readonly user?: { readonly realm?: string | undefined; readonly name: string } | undefined;
  /** A task's name, or `provider/task`. */
  readonly task?: string | undefined;
  /** A service's name, `task/service` or `provider/task/service`. */
  readonly service?: string | undefined;
  readonly kind?: AuditKind | undefined;
  readonly outcome?: AuditOutcome | undefined;
  /** Epoch ms, both of when the line was written. */
  readonly since?: number | undefined;
  readonly until?: number | undefined;
  /** Of all those, what somebody may see; absent: everything. */
  readonly visibleTo?: Identity | undefined;
}

export interface ReadOptions {
  readonly folder: string;
  readonly filter: AuditFilter;
  /** Stay at the end, and give what comes. */
  readonly follow: boolean;
  readonly clock: Clock;
}

/** Lines as they stand in the files, oldest first, whatever is rotated meanwhile. Holds one piece of one file. Ends by the signal. */
export async function* readAudit(options: ReadOptions, signal: AbortSignal): AsyncGenerator<string> {
  const { folder, filter, follow, clock } = options;
  for (let last = 0; ;) {
    const numbers = await listFiles(folder);
    const number = numbers.find((each) => each > last);
    if (number !== undefined) {
      const isLast = number === numbers.at(-1);
      if (isLast || !(await endsBefore(fileAt(folder, number), filter.since))) {
        const more = follow && isLast ? (at: number) => waitForMore({ folder, number, clock, at }, signal) : null;
        for await (const text of linesOf(fileAt(folder, number), more, signal)) if (isWanted(text, filter)) yield text;
      }
      last = number;
    } else if (!follow || signal.aborted) return;
    else await pause(clock, LOOK_MS, signal);
    if (signal.aborted) return;
  }
}

/** What a look at every link of the log found. */
export interface AuditCheck {
  readonly files: number;
  readonly lines: number;
  /** Link of the last line: kept elsewhere, it shows that none was taken from the end. */
  readonly last: string | null;
  /** The first lines that do not follow from those before them, at most 20. */
  readonly broken: readonly { readonly file: string; readonly line: number }[];
}

const MOST_BROKEN = 20;

/** Looks whether each line follows from the one before. What was before the first that is kept nobody can tell. */
export async function verifyAudit(folder: string, signal: AbortSignal): Promise<AuditCheck> {
  const numbers = await listFiles(folder);
  const broken: { file: string; line: number }[] = [];
  let before: string | null = null;
  let lines = 0;
  for (const number of numbers) {
    const file = fileAt(folder, number);
    let at = 0;
    for await (const text of linesOf(file, null, signal)) {
      at += 1;
      const link = readLink(text, before);
      if (link?.holds !== true && broken.length < MOST_BROKEN) broken.push({ file, line: at });
      before = link?.chain ?? before;
    }
    lines += at;
  }
  return { files: numbers.length, lines, last: before, broken };
}

/** Whole lines of a file. At its end `more` waits for its size to be another than what was read, and says null when it is over. */
async function* linesOf(
  path: string,
  more: ((at: number) => Promise<number | null>) | null,
  signal: AbortSignal,
): AsyncGenerator<string> {
  const handle = await open(path, "r").catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null; // pruned meanwhile
    throw error;
  });
  if (handle === null) return;
  const buffer = Buffer.allocUnsafe(READ_BYTES);
  let rest = Buffer.alloc(0);
  let at = 0;
  try {
    while (!signal.aborted) {
      const { bytesRead } = await handle.read(buffer, 0, READ_BYTES, at);
      if (bytesRead === 0) {
        const size = more === null ? null : await more(at);
        if (size === null) return;
        if (size >= at) continue;
        at -= rest.length; // an unfinished line, which a gate that started anew has cut off
        rest = Buffer.alloc(0);
        continue;
      }
      at += bytesRead;
      const data = Buffer.concat([rest, buffer.subarray(0, bytesRead)]);
      let from = 0;
      for (let end = data.indexOf(10); end >= 0; end = data.indexOf(10, from)) {
        yield data.toString("utf8", from, end);
        from = end + 1;
      }
      rest = data.length - from > LONGEST_LINE ? Buffer.alloc(0) : Buffer.from(data.subarray(from));
    }
  } finally {
    await handle.close();
  }
}

interface Place {
  readonly folder: string;
  readonly number: number;
  readonly clock: Clock;
  /** How much of it was read. */
  readonly at: number;
}

/** null: the file was followed by another when its end was reached, so it is complete; and when the signal aborts. */
async function waitForMore({ folder, number, clock, at }: Place, signal: AbortSignal): Promise<number | null> {
  while (!signal.aborted) {
    // First the list, then the size: what was written before the next file began is read before it is left.
    const isLast = (await listFiles(folder)).at(-1) === number;
    const now = await stat(fileAt(folder, number)).catch(() => null);
    if (now !== null && now.size !== at) return now.size;
    if (!isLast) return null;
    await pause(clock, LOOK_MS, signal);
  }
  return null;
}

async function endsBefore(path: string, since: number | undefined): Promise<boolean> {
  if (since === undefined) return false;
  const there = await stat(path).catch(() => null);
  return there === null || there.mtimeMs < since;
}

function isWanted(text: string, filter: AuditFilter): boolean {
  let line: AuditLine;
  try {
    line = JSON.parse(text) as AuditLine;
  } catch {
    return false; // somebody else wrote this
  }
  return fits(line, filter) && isVisible(line, filter.visibleTo);
}

function fits(line: AuditLine, filter: AuditFilter): boolean {
  const { user, task, service, kind, outcome } = filter;
  return (
    isInTime(Date.parse(line.time), filter) &&
    (kind === undefined || line.kind === kind) &&
    (outcome === undefined || line.outcome === outcome) &&
    (user === undefined || (line.user === user.name && (user.realm === undefined || line.realm === user.realm))) &&
    isNamed(line.task, task) &&
    isNamed(line.service, service)
  );
}

function isInTime(at: number, { since = -Infinity, until = Infinity }: AuditFilter): boolean {
  return at >= since && at < until;
}

/** `nb` names `local/nb`. */
function isNamed(key: string | undefined, name: string | undefined): boolean {
  return name === undefined || key === name || key?.endsWith(`/${name}`) === true;
}

/** One's own doings, and what was done with one's own tasks. */
function isVisible({ realm, user, owner }: AuditLine, who: Identity | undefined): boolean {
  if (who === undefined) return true;
  return (realm === who.realm && user === who.name) || owner === whoText(who);
}
