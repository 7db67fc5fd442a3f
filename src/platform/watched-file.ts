import { watch, type FSWatcher } from "node:fs";
import { constants, open, stat } from "node:fs/promises";
import { basename, dirname } from "node:path";
import type { Clock } from "./clock.ts";
import type { Logger } from "./logger.ts";

/** Largest file that is read. */
const MAX_FILE_BYTES = 4 * 1024 * 1024;
/** A changed file is read once it stayed the same for so long: a save that is not atomic takes several writes. */
const SETTLE_MS = 50;
/** Changes that no event tells of (a link that leads elsewhere, a network file system) are seen this late. */
const POLL_MS = 2000;

/** What a look at the file gave; `message` starts with its path. */
export type FileContent =
  { readonly ok: true; readonly text: string } | { readonly ok: false; readonly message: string };

export interface WatchedFileDeps {
  readonly path: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Called once before `startWatchedFile` resolves, then whenever the file was changed, went away or came back. */
  readonly changed: (content: FileContent) => void;
}

/** Watches a file by its folder, so that atomic saves and swapped links are seen. Disposing waits for a read in progress. */
export async function startWatchedFile(deps: WatchedFileDeps): Promise<AsyncDisposable> {
  const watched = new WatchedFile(deps);
  watched.watch();
  await watched.read();
  return watched;
}

class WatchedFile implements AsyncDisposable {
  readonly #deps: WatchedFileDeps;
  /** Identity of the file when it was last read; null: not yet. */
  #read: string | null = null;
  /** Identity of the file when it was last looked at. */
  #seen: string | null = null;
  #watcher: FSWatcher | null = null;
  #settling: Disposable | null = null;
  #polling: Disposable | null = null;
  #working: Promise<void> = Promise.resolve();
  #ended = false;

  constructor(deps: WatchedFileDeps) {
    this.#deps = deps;
  }

  /** Reads the file as it is now. */
  read(): Promise<void> {
    return this.#next(async () => this.#take(await identityOf(this.#deps.path)));
  }

  watch(): void {
    if (this.#ended) return;
    this.#watchFolder();
    this.#polling = this.#deps.clock.after(POLL_MS, () => {
      void this.#look().then(() => this.watch());
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended = true;
    this.#settling?.[Symbol.dispose]();
    this.#polling?.[Symbol.dispose]();
    this.#watcher?.close();
    await this.#working;
  }

  #watchFolder(): void {
    if (this.#watcher !== null) return;
    try {
      const watcher = watch(dirname(this.#deps.path), { persistent: false });
      this.#watcher = watcher;
      watcher.on("change", () => this.#settle());
      watcher.on("error", (error) => this.#lost(watcher, error));
    } catch (error) {
      // The folder is not there, or the system watches enough already: polling goes on, and tries again.
      this.#deps.logger.debug({ err: error, file: basename(this.#deps.path) }, "folder is not watched");
    }
  }

  #lost(watcher: FSWatcher, error: unknown): void {
    this.#deps.logger.debug({ err: error, file: basename(this.#deps.path) }, "folder is no longer watched");
    watcher.close();
    if (this.#watcher === watcher) this.#watcher = null;
  }

  /** Looks soon. Further events until then change nothing, so that a busy folder cannot put it off for ever. */
  #settle(): void {
    if (this.#ended || this.#settling !== null) return;
    this.#settling = this.#deps.clock.after(SETTLE_MS, () => {
      this.#settling = null;
      void this.#look();
    });
  }

  /** Reads the file if it changed since it was read, and stayed the same since it was looked at. */
  #look(): Promise<void> {
    return this.#next(async () => {
      const identity = await identityOf(this.#deps.path);
      const settled = identity === this.#seen;
      this.#seen = identity;
      if (identity === this.#read) return;
      if (settled) await this.#take(identity);
      else this.#settle();
    });
  }

  /** One thing at a time, in order. */
  #next(work: () => Promise<void>): Promise<void> {
    this.#working = this.#working.then(() => (this.#ended ? undefined : work()));
    return this.#working;
  }

  async #take(identity: string): Promise<void> {
    const content = await readContent(this.#deps.path);
    if (this.#isEnded()) return;
    // `identity` is from before: what is written meanwhile is a change that an event or the next poll finds.
    this.#read = identity;
    this.#deps.changed(content);
  }

  // A method, since a field that an await may have changed counts as what it was before.
  #isEnded(): boolean {
    return this.#ended;
  }
}

/** Changes whenever the content may have: `absent`, or what stat says of the file that links lead to. */
async function identityOf(path: string): Promise<string> {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
    return [dev, ino, size, mtimeNs, ctimeNs].join(" ");
  } catch (error) {
    return `absent ${errorCode(error)}`;
  }
}

async function readContent(path: string): Promise<FileContent> {
  const failed = (what: string): FileContent => ({ ok: false, message: `${path}: ${what}` });
  try {
    // Opening a pipe for reading would wait for its writer.
    await using file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    if (!(await file.stat()).isFile()) return failed("is no regular file");
    const buffer = Buffer.allocUnsafe(MAX_FILE_BYTES + 1);
    let length = 0;
    for (let read = -1; read !== 0 && length < buffer.length; length += read) {
      read = (await file.read(buffer, length, buffer.length - length)).bytesRead;
    }
    if (length > MAX_FILE_BYTES) return failed("is larger than 4 MiB");
    return { ok: true, text: new TextDecoder("utf-8", { fatal: true }).decode(buffer.subarray(0, length)) };
  } catch (error) {
    const code = errorCode(error);
    if (code === "ENOENT") return failed("is not there");
    return failed(code === "ERR_ENCODING_INVALID_ENCODED_DATA" ? "is not UTF-8" : `cannot be read (${code})`);
  }
}

function errorCode(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "unknown";
}
