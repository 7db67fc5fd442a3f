interface Kept<V> {
  value: V;
  /** Since it was last looked at for eviction. */
  used: boolean;
}

/**
 * The `max` entries that were used last, nearly: second chance, where an entry that was used since it was last looked at goes to the back
 * instead of out. So that a look-up, which a gate does for every request, writes no more than a flag.
 */
export class Lru<V> {
  readonly #max: number;
  readonly #entries = new Map<string, Kept<V>>();

  constructor(max: number) {
    this.#max = max;
  }

  get(key: string): V | undefined {
    const kept = this.#entries.get(key);
    if (kept === undefined) return undefined;
    kept.used = true;
    return kept.value;
  }

  set(key: string, value: V): void {
    this.#entries.delete(key);
    if (this.#entries.size >= this.#max) this.#evict();
    this.#entries.set(key, { value, used: false });
  }

  delete(key: string): void {
    this.#entries.delete(key);
  }

  clear(): void {
    this.#entries.clear();
  }

  *entries(): Generator<[string, V]> {
    for (const [key, kept] of this.#entries) yield [key, kept.value];
  }

  /** A Map keeps the order of insertion; each turn puts one out or clears one flag, so it ends. */
  #evict(): void {
    for (const [key, kept] of this.#entries) {
      this.#entries.delete(key);
      if (!kept.used) return;
      kept.used = false;
      this.#entries.set(key, kept);
    }
  }
}
