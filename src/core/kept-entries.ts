import type { Changed } from "../model/index.ts";

const NOTHING: Changed<never> = Object.freeze({ set: Object.freeze([]), removed: Object.freeze([]) });

/** A map that knows what changed since the last `take`. Values are compared by identity: callers keep what is equal. */
export class KeptEntries<T> {
  readonly #now = new Map<string, T>();
  readonly #before = new Map<string, T | undefined>();
  /** Nothing was there at the last `take`, so everything is new and no notes are needed: this halves the cost of a full build. */
  #blank = true;

  constructor(initial?: Iterable<readonly [string, T]>) {
    for (const [key, value] of initial ?? []) this.#now.set(key, value);
    this.#blank = this.#now.size === 0;
  }

  /** The live view. */
  get entries(): ReadonlyMap<string, T> {
    return this.#now;
  }

  /** Nothing was there at the last `take`. */
  get isBlank(): boolean {
    return this.#blank;
  }

  get(key: string): T | undefined {
    return this.#now.get(key);
  }

  has(key: string): boolean {
    return this.#now.has(key);
  }

  set(key: string, value: T): void {
    this.#note(key);
    this.#now.set(key, value);
  }

  delete(key: string): void {
    this.#note(key);
    this.#now.delete(key);
  }

  /** What was there at the last `take`. */
  before(key: string): T | undefined {
    if (this.#blank) return undefined;
    return this.#before.has(key) ? this.#before.get(key) : this.#now.get(key);
  }

  /** What changed since the last call. */
  take(): Changed<T> {
    const changed = this.#blank ? this.#everything() : this.#noted();
    this.#before.clear();
    this.#blank = this.#now.size === 0;
    return changed;
  }

  #note(key: string): void {
    if (this.#blank || this.#before.has(key)) return;
    this.#before.set(key, this.#now.get(key));
  }

  #everything(): Changed<T> {
    return this.#now.size === 0 ? NOTHING : { set: [...this.#now.values()], removed: NOTHING.removed };
  }

  #noted(): Changed<T> {
    if (this.#before.size === 0) return NOTHING;
    const set: T[] = [];
    const removed: string[] = [];
    for (const [key, before] of this.#before) {
      const now = this.#now.get(key);
      if (now === before) continue;
      if (now === undefined) removed.push(key);
      else set.push(now);
    }
    return { set, removed };
  }
}
