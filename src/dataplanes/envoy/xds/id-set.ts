/** A set of small whole numbers: one bit each, up to the largest that was ever in it. */
export class IdSet {
  #words = new Uint32Array(0);
  #size = 0;
  /** No word before this one has a bit. */
  #low = 0;

  get size(): number {
    return this.#size;
  }

  has(id: number): boolean {
    return ((this.#words[id >>> 5] ?? 0) & (1 << (id & 31))) !== 0;
  }

  /** False where it was in already. */
  add(id: number): boolean {
    if (this.has(id)) return false;
    const at = id >>> 5;
    if (at >= this.#words.length) this.#grow(at);
    this.#words[at] = (this.#words[at] ?? 0) | (1 << (id & 31));
    this.#size += 1;
    if (at < this.#low || this.#size === 1) this.#low = at;
    return true;
  }

  /** False where it was not in. */
  delete(id: number): boolean {
    if (!this.has(id)) return false;
    this.#words[id >>> 5] = (this.#words[id >>> 5] ?? 0) & ~(1 << (id & 31));
    this.#size -= 1;
    return true;
  }

  /** Rising. What is met may be deleted meanwhile. */
  *[Symbol.iterator](): Generator<number, void> {
    let left = this.#size;
    let isLowest = true;
    for (let at = this.#low; at < this.#words.length && left > 0; at += 1) {
      let word = this.#words[at] ?? 0;
      if (word === 0) continue;
      if (isLowest) this.#low = at;
      isLowest = false;
      for (; word !== 0; word &= word - 1) {
        left -= 1;
        yield at * 32 + (31 - Math.clz32(word & -word));
      }
    }
  }

  #grow(at: number): void {
    const larger = new Uint32Array(Math.max(at + 1, this.#words.length * 2));
    larger.set(this.#words);
    this.#words = larger;
  }
}
