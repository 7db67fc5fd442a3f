import { closeSync, fstatSync, openSync, rmSync, writeSync } from "node:fs";
import { listSegments, segmentFile } from "./log-segments.ts";

export interface LogWriterOptions {
  /** Where the segments are. */
  readonly folder: string;
  readonly replica: string;
  /** Size at which the next segment is begun. */
  readonly logBytes: number;
  /** Segments kept, the present one included. */
  readonly logFiles: number;
}

/** Appends whole lines to a replica's log. Never throws: a full disk must not end a task; what was lost is noted once there is room. */
export class LogWriter {
  readonly #options: LogWriterOptions;
  #file: { readonly fd: number; readonly sequence: number; bytes: number } | null = null;
  #lost = 0;

  constructor(options: LogWriterOptions) {
    this.#options = options;
  }

  write(lines: readonly Buffer[]): void {
    if (lines.length === 0) return;
    try {
      this.#append(this.#lost > 0 ? [Buffer.from(`[taskgate: ${String(this.#lost)} lines lost]`), ...lines] : lines);
      this.#lost = 0;
    } catch {
      // Full, or the folder is gone. Only counted: there is nowhere left to say it.
      this.#lost += lines.length;
      this.close();
    }
  }

  /** Gives the file back; the next write opens it again. */
  close(): void {
    if (this.#file !== null) closeSync(this.#file.fd);
    this.#file = null;
  }

  #append(lines: readonly Buffer[]): void {
    const bytes = Buffer.concat(lines.flatMap((line) => [line, NEWLINE]));
    const file = this.#open();
    for (let written = 0; written < bytes.length;) {
      const count = writeSync(file.fd, bytes, written);
      written += count;
      file.bytes += count;
    }
    if (file.bytes >= this.#options.logBytes) this.close();
  }

  #open(): { readonly fd: number; bytes: number } {
    if (this.#file !== null) return this.#file;
    const { folder, replica, logBytes, logFiles } = this.#options;
    const there = listSegments(folder, replica);
    const last = there.at(-1);
    const sequence = last === undefined ? 1 : last.bytes < logBytes ? last.sequence : last.sequence + 1;
    const fd = openSync(segmentFile(folder, replica, sequence), "a", 0o600);
    this.#file = { fd, sequence, bytes: fstatSync(fd).size };
    for (const old of there.filter((segment) => segment.sequence <= sequence - logFiles)) {
      rmSync(segmentFile(folder, replica, old.sequence), { force: true });
    }
    return this.#file;
  }
}

const NEWLINE = Buffer.from("\n");
