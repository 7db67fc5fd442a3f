import type { Clock } from "../../platform/clock.ts";
import type { Logger } from "../../platform/logger.ts";
import type { EntryBook } from "./entry-book.ts";
import type { KeptEntry } from "./entry-secret.ts";

export interface SweeperDeps {
  readonly book: EntryBook;
  /** Takes the very entry away for good; it may be gone already. */
  readonly erase: (entry: KeptEntry) => Promise<void>;
  /** Writes down that removals up to `version` are forgotten, before any is. */
  readonly forget: (version: number) => Promise<void>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** What is gone is kept for one to two rounds, for watches that go on from earlier. */
const ROUND_MS = 300_000;

/** Takes away what was removed or expired. Each gate on the store has one: what another was faster with is no failure. Disposing waits for it. */
export class Sweeper implements AsyncDisposable {
  readonly #deps: SweeperDeps;
  /** What was gone when the last round began, and the newest version of then. */
  #seen: { readonly entries: readonly KeptEntry[]; readonly version: number } | null = null;
  #timer: Disposable | null = null;
  #running: Promise<void> = Promise.resolve();
  #isStopped = false;

  constructor(deps: SweeperDeps) {
    this.#deps = deps;
    this.#sleep();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopped = true;
    this.#timer?.[Symbol.dispose]();
    await this.#running;
  }

  #sleep(): void {
    if (this.#isStopped) return;
    // Gates that started together do not sweep together.
    this.#timer = this.#deps.clock.after(ROUND_MS * (1 + Math.random()), () => {
      this.#running = this.#round();
    });
  }

  async #round(): Promise<void> {
    const { book, logger } = this.#deps;
    const due = this.#seen;
    this.#seen = { entries: [...book.ended.values()], version: book.latest };
    try {
      if (due !== null) await this.#erase(due.entries, due.version);
    } catch (err) {
      logger.warn({ err }, "what expired could not be taken out of the store; it is tried again");
    }
    this.#sleep();
  }

  async #erase(entries: readonly KeptEntry[], version: number): Promise<void> {
    const { book, erase, forget } = this.#deps;
    const isStill = (entry: KeptEntry): boolean => book.ended.get(entry.name) === entry;
    if (!entries.some(isStill)) return;
    await forget(version);
    for (const entry of entries) {
      if (this.#isStopped) return;
      if (isStill(entry)) await erase(entry);
    }
  }
}
