import { close, fstat, open, rename, stat, write, type Stats } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { GatewayError } from "../model/index.ts";
import type { Logger } from "../platform/logger.ts";

const fs = {
  open: promisify(open),
  close: promisify(close),
  fstat: promisify(fstat) as (fd: number) => Promise<Stats>,
  stat: promisify(stat) as (path: string) => Promise<Stats>,
  rename: promisify(rename),
  write: promisify(write) as (fd: number, data: Buffer) => Promise<{ bytesWritten: number }>,
};

export interface LineWriterOptions {
  /** null: standard output. */
  readonly file: string | null;
  /** Bytes that may wait; lines beyond are dropped. */
  readonly bufferBytes: number;
  /** null: somebody else moves the file. */
  readonly rotation: { readonly maxBytes: number; readonly files: number } | null;
  readonly logger: Logger;
}

/** Appends whole lines without ever making its caller wait. Disposing writes what waits, for as long as `LAST_MS`. */
export interface LineWriter extends AsyncDisposable {
  /** `line` with its end. */
  write(line: string): void;
  readonly dropped: number;
}

const STDOUT = 1;
/** Longest that a line waits for others to be written with it. */
const GATHER_MS = 200;
const GATHER_BYTES = 65_536;
const CHUNK_BYTES = 65_536;
/** UTF-8 of one unit of UTF-16. */
const MOST_BYTES_PER_UNIT = 3;
/** How often it looks whether the file was moved away, which is how log rotation asks for a new one. */
const LOOK_MS = 1000;
const RETRY_MS = 50;
const LAST_MS = 2000;
/** Owner, and who is in the group: what people visit is theirs. */
const MODE = 0o640;

/** Throws GatewayError `bad_request` if the file cannot be opened. */
export async function openLineWriter(options: LineWriterOptions): Promise<LineWriter> {
  const writer = new BufferedWriter(options);
  try {
    await writer.open();
  } catch (cause) {
    const why = (cause as NodeJS.ErrnoException).code ?? "unknown";
    throw new GatewayError("bad_request", `accessLog.file cannot be opened: the system says ${why}.`, { cause });
  }
  return writer;
}

/** Idle → gathering (a timer runs) → writing (a loop runs until nothing waits) → idle. */
class BufferedWriter implements LineWriter {
  readonly #options: LineWriterOptions;
  #fd = STDOUT;
  /** Lines are put into bytes at once: as text, each would be kept in pieces by the garbage collector's older generation. */
  #full: Buffer[] = [];
  #chunk = Buffer.allocUnsafeSlow(CHUNK_BYTES);
  #used = 0;
  /** How many wait. */
  #lines = 0;
  #waiting = 0;
  #dropped = 0;
  #timer: NodeJS.Timeout | null = null;
  #writing: Promise<void> | null = null;
  #lookedAt = 0;
  #failing = false;
  #closed = false;

  constructor(options: LineWriterOptions) {
    this.#options = options;
  }

  get dropped(): number {
    return this.#dropped;
  }

  async open(): Promise<void> {
    const { file } = this.#options;
    if (file !== null) this.#fd = await fs.open(file, "a", MODE);
  }

  write(line: string): void {
    if (this.#closed || this.#waiting + line.length > this.#options.bufferBytes) {
      this.#dropped += 1;
      return;
    }
    this.#put(line);
    if (this.#writing !== null) return;
    if (this.#waiting >= GATHER_BYTES) this.#start();
    else this.#timer ??= setTimeout(() => this.#start(), GATHER_MS).unref();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#writing === null) this.#start();
    await Promise.race([this.#writing, sleep(LAST_MS, undefined, { ref: false })]);
    if (this.#options.file !== null) await fs.close(this.#fd);
  }

  #put(line: string): void {
    const most = line.length * MOST_BYTES_PER_UNIT;
    if (this.#used + most > CHUNK_BYTES) this.#seal();
    this.#lines += 1;
    if (most > CHUNK_BYTES) {
      const own = Buffer.from(line);
      this.#full.push(own);
      this.#waiting += own.length;
      return;
    }
    const written = this.#chunk.write(line, this.#used);
    this.#used += written;
    this.#waiting += written;
  }

  #seal(): void {
    if (this.#used === 0) return;
    this.#full.push(this.#chunk.subarray(0, this.#used));
    this.#chunk = Buffer.allocUnsafeSlow(CHUNK_BYTES);
    this.#used = 0;
  }

  #start(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#writing = this.#drain().finally(() => (this.#writing = null));
  }

  async #drain(): Promise<void> {
    while (this.#waiting > 0) {
      const data = Buffer.concat([...this.#full, this.#chunk.subarray(0, this.#used)]); // a copy: the chunk is written to again
      const [lines, bytes] = [this.#lines, this.#waiting];
      this.#full = [];
      this.#used = 0;
      this.#lines = 0;
      try {
        await this.#followFile();
        await this.#append(data);
        if (this.#failing) this.#options.logger.info("access log is written again");
        this.#failing = false;
      } catch (err) {
        this.#dropped += lines;
        if (!this.#failing) this.#options.logger.error({ err }, "access log cannot be written, its lines are dropped");
        this.#failing = true;
      }
      this.#waiting -= bytes;
    }
  }

  async #append(data: Buffer): Promise<void> {
    let rest = data;
    while (rest.length > 0) {
      try {
        const { bytesWritten } = await fs.write(this.#fd, rest);
        rest = rest.subarray(bytesWritten);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error; // a pipe that is full now
        await sleep(RETRY_MS, undefined, { ref: false });
      }
    }
  }

  /** Moves a full file away where that is ours to do, and opens a new one where somebody has moved it. */
  async #followFile(): Promise<void> {
    const { file, rotation } = this.#options;
    if (file === null || performance.now() - this.#lookedAt < LOOK_MS) return;
    this.#lookedAt = performance.now();
    const own = await fs.fstat(this.#fd);
    const there = await fs.stat(file).catch(() => null);
    if (there !== null && there.ino === own.ino && there.dev === own.dev) {
      if (rotation === null || own.size < rotation.maxBytes) return;
      await moveAway(file, rotation.files);
    }
    const fd = await fs.open(file, "a", MODE);
    await fs.close(this.#fd);
    this.#fd = fd;
  }
}

/** FILE becomes FILE.1, that FILE.2, and so on; the last goes. */
async function moveAway(file: string, files: number): Promise<void> {
  for (let at = files - 1; at >= 1; at -= 1) {
    const from = at === 1 ? file : `${file}.${String(at - 1)}`;
    await fs.rename(from, `${file}.${String(at)}`).catch(ignoreMissing);
  }
}

function ignoreMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== "ENOENT") throw error;
}
