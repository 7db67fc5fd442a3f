import type { Clock } from "../../platform/clock.ts";
import type { Note } from "./status-plan.ts";

/** Writes of one object in a row that wait for the shortest pause alone. */
const FREE = 5;

export interface WritePauses {
  readonly firstPauseMs: number;
  readonly mostPauseMs: number;
  readonly rowMs: number;
}

/** What was written on one object, so that nothing is done in vain or without end. Disposing stops the wait for its turn. */
export class WriteRecord implements Disposable {
  /** Something is under way. */
  isBusy = false;
  readonly #pauses: WritePauses;
  /** Of which Events have told, of what is still so. */
  #told = new Set<string>();
  /** What the server did not take: there is no other until something changes. */
  #refused = "";
  #writes = 0;
  /** Epoch ms. */
  #lastAt = 0;
  #timer: Disposable | null = null;

  constructor(pauses: WritePauses) {
    this.#pauses = pauses;
  }

  [Symbol.dispose](): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = null;
  }

  /** The notes of which nothing was told yet; what is shown already was told by who wrote it. */
  untold(notes: readonly Note[], shown: string): readonly Note[] {
    const told = new Set(notes.map(({ text }) => text).filter((text) => this.#told.has(text) || shown.includes(text)));
    this.#told = told;
    return notes.filter(({ text }) => !told.has(text));
  }

  told({ text }: Note): void {
    this.#told.add(text);
  }

  /** The name of what would make one the other; null: they are the same, or the server does not take it. */
  attempt(uid: string, from: string, to: string): string | null {
    if (from === to) {
      this.#refused = "";
      return null;
    }
    const attempt = `${uid} ${from} ${to}`;
    return attempt === this.#refused ? null : attempt;
  }

  refused(attempt: string): void {
    this.#refused = attempt;
  }

  wrote(now: number): void {
    this.#writes = now - this.#lastAt > this.#pauses.rowMs ? 1 : this.#writes + 1;
    this.#lastAt = now;
  }

  /** Until the object may be written again, ms. */
  waitMs(now: number): number {
    if (this.#writes === 0 || now < this.#lastAt) return 0;
    const { firstPauseMs, mostPauseMs } = this.#pauses;
    const pauseMs = Math.min(mostPauseMs, firstPauseMs * 2 ** Math.max(0, this.#writes - FREE));
    return this.#lastAt + pauseMs - now;
  }

  wakeAfter(clock: Clock, ms: number, call: () => void): void {
    this.#timer ??= clock.after(ms, () => {
      this.#timer = null;
      call();
    });
  }
}
