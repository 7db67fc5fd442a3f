import type { AuditConfig } from "../config/audit-config.ts";
import type { AuditEntry, AuditSink } from "../model/index.ts";
import type { Clock } from "../platform/clock.ts";
import type { Logger } from "../platform/logger.ts";
import { openLast, openNumber, type OpenFile, prune } from "./audit-files.ts";
import { chainTo, lineOf } from "./audit-line.ts";

/** Longest that a line waits for others to be written with it: what a crash can take. */
const GATHER_MS = 500;
const GATHER_CHARS = 65_536;
const RETRY_MS = 1000;
/** How often a log that cannot be written says so again. */
const REMIND_MS = 60_000;

export interface AuditWriter extends AuditSink, AsyncDisposable {
  readonly figures: AuditFigures;
}

export interface AuditFigures {
  readonly written: number;
  /** Never written, as too many waited. */
  readonly lost: number;
  readonly failing: boolean;
}

export interface AuditWriterDeps {
  readonly folder: string;
  readonly config: AuditConfig;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Throws what the file system throws if the log cannot be opened. Disposing writes what waits. */
export async function openAuditWriter(deps: AuditWriterDeps): Promise<AuditWriter> {
  const { file, chain, torn } = await openLast(deps.folder, deps.clock.now());
  const writer = new ChainedWriter(deps, file, chain);
  if (torn > 0) deps.logger.warn({ bytes: torn }, "an unfinished line of the audit log was cut off");
  return writer;
}

/** Idle → gathering (a timer runs) → writing → idle, or failing (a timer runs; lines wait, then are lost and counted) → writing. */
class ChainedWriter implements AuditWriter {
  readonly #deps: AuditWriterDeps;
  #file: OpenFile;
  /** Of the last line that is in the file. */
  #chain: string;
  /** Wait to be written, without their links. */
  #lines: string[] = [];
  #waiting = 0;
  #written = 0;
  #lost = 0;
  /** Of those lost, what the log itself has not been told. */
  #untold = 0;
  #timer: Disposable | null = null;
  #writing: Promise<void> | null = null;
  #failing = false;
  #remindAt = 0;
  #closed = false;

  constructor(deps: AuditWriterDeps, file: OpenFile, chain: string) {
    this.#deps = deps;
    this.#file = file;
    this.#chain = chain;
  }

  get blocked(): boolean {
    return this.#failing && this.#deps.config.required;
  }

  get figures(): AuditFigures {
    return { written: this.#written, lost: this.#lost, failing: this.#failing };
  }

  record(entry: AuditEntry): void {
    if (this.#closed || this.#waiting >= this.#deps.config.bufferBytes) {
      this.#lost += 1;
      this.#untold += 1;
      return;
    }
    const line = lineOf(entry, this.#deps.clock.now());
    this.#lines.push(line);
    this.#waiting += line.length;
    if (this.#writing !== null || this.#failing) return;
    if (this.#waiting >= GATHER_CHARS) this.#start();
    else this.#timer ??= this.#deps.clock.after(GATHER_MS, () => this.#start());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#writing;
    this.#start();
    await this.#writing;
    this.#timer?.[Symbol.dispose]();
    if (this.#lines.length > 0) this.#deps.logger.error({ lines: this.#lines.length }, "audit entries are lost");
    await this.#file.handle.close();
  }

  #start(): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = null;
    this.#writing ??= this.#drain().finally(() => (this.#writing = null));
  }

  async #drain(): Promise<void> {
    while (this.#lines.length > 0 || this.#untold > 0) {
      if (this.#untold > 0) this.#tellLost();
      const lines = this.#lines;
      const chars = this.#waiting;
      this.#lines = [];
      try {
        await this.#append(lines);
      } catch (error) {
        this.#lines = lines.concat(this.#lines);
        this.#fail(error);
        return;
      }
      this.#waiting -= chars;
      this.#written += lines.length;
      if (this.#failing) this.#deps.logger.info({ lost: this.#lost }, "audit log is written again");
      this.#failing = false;
    }
  }

  /** Whole lines or none: what a failure leaves of them is taken back. */
  async #append(lines: readonly string[]): Promise<void> {
    await this.#rotate();
    const file = this.#file;
    let chain = this.#chain;
    let text = "";
    for (const line of lines) {
      const linked = chainTo(chain, line);
      chain = linked.chain;
      text += `${linked.text}\n`;
    }
    const data = Buffer.from(text);
    try {
      await file.handle.appendFile(data);
      await file.handle.datasync();
    } catch (error) {
      await file.handle.truncate(file.size).catch(() => undefined);
      throw error;
    }
    file.size += data.length;
    this.#chain = chain;
  }

  async #rotate(): Promise<void> {
    const { folder, config, clock } = this.#deps;
    const { size, since, number, handle } = this.#file;
    const now = clock.now();
    if (size === 0 || (size < config.maxBytes && now - since < config.rotate)) return;
    this.#file = await openNumber(folder, number + 1, now);
    await handle.close();
    await prune(folder, { files: config.files, since: now - config.keep });
  }

  #tellLost(): void {
    const reason = `${String(this.#untold)} entries were lost: the log could not be written`;
    this.#untold = 0;
    const entry: AuditEntry = { kind: "gate", event: "once", outcome: "failed", operation: "lose-entries", reason };
    const line = lineOf(entry, this.#deps.clock.now());
    this.#lines.push(line);
    this.#waiting += line.length;
  }

  #fail(err: unknown): void {
    const { clock, config, logger } = this.#deps;
    const now = clock.now();
    if (!this.#failing || now >= this.#remindAt) {
      this.#remindAt = now + REMIND_MS;
      const effect = config.required ? "nobody new is let in" : "the gate goes on without it";
      logger.error({ err, waiting: this.#lines.length, lost: this.#lost, effect }, "audit log cannot be written");
    }
    this.#failing = true;
    if (!this.#closed) this.#timer = clock.after(RETRY_MS, () => this.#start());
  }
}
