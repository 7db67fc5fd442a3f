import type { KeptEntry } from "./entry-secret.ts";

/** Entries by their end, soonest first: a binary heap. An entry that was replaced since stays until its end, or until `compact`. */
export class ExpiryQueue {
  #heap: KeptEntry[] = [];

  get size(): number {
    return this.#heap.length;
  }

  /** Epoch ms; null: nothing ends. */
  get next(): number | null {
    return this.#heap[0]?.expiresAt ?? null;
  }

  /** `entry` has an end. */
  add(entry: KeptEntry): void {
    this.#heap.push(entry);
    let at = this.#heap.length - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.#swapIfSooner(at, parent)) return;
      at = parent;
    }
  }

  /** Takes out what ends at `now` or before, soonest first. */
  *due(now: number): Generator<KeptEntry, void, void> {
    for (;;) {
      const first = this.#heap[0];
      if (first === undefined || endOf(first) > now) return;
      const last = this.#heap.pop() ?? first;
      if (last !== first) {
        this.#heap[0] = last;
        this.#sink();
      }
      yield first;
    }
  }

  /** Leaves out what is no longer wanted. */
  compact(isWanted: (entry: KeptEntry) => boolean): void {
    // A sorted array is a heap.
    this.#heap = this.#heap.filter(isWanted).sort((a, b) => endOf(a) - endOf(b));
  }

  #sink(): void {
    let at = 0;
    for (;;) {
      const left = 2 * at + 1;
      const sooner = this.#endAt(left + 1) < this.#endAt(left) ? left + 1 : left;
      if (!this.#swapIfSooner(sooner, at)) return;
      at = sooner;
    }
  }

  #swapIfSooner(child: number, parent: number): boolean {
    const [below, above] = [this.#heap[child], this.#heap[parent]];
    if (below === undefined || above === undefined || endOf(below) >= endOf(above)) return false;
    this.#heap[child] = above;
    this.#heap[parent] = below;
    return true;
  }

  #endAt(at: number): number {
    return endOf(this.#heap[at]);
  }
}

function endOf(entry: KeptEntry | undefined): number {
  return entry?.expiresAt ?? Infinity;
}
