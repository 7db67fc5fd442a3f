interface Group<T> {
  readonly items: Set<T>;
  /** Goes on where it was, and comes to what is added. A new one would pass by all that was taken, each time. */
  readonly from: Iterator<T>;
}

/** A queue in which groups take turns, so that one with many keeps no other waiting. What is in a group already is not added again. */
export class FairQueue<T> {
  readonly #groups = new Map<string, Group<T>>();

  add(name: string, item: T): void {
    const known = this.#groups.get(name);
    if (known !== undefined) {
      known.items.add(item);
      return;
    }
    const items = new Set([item]);
    this.#groups.set(name, { items, from: items.values() });
  }

  /** The first of the group whose turn it is; undefined: there is none. */
  take(): T | undefined {
    const [entry] = this.#groups;
    if (entry === undefined) return undefined;
    const [name, group] = entry;
    const next = group.from.next();
    this.#groups.delete(name);
    if (next.done === true) return undefined;
    group.items.delete(next.value);
    if (group.items.size > 0) this.#groups.set(name, group);
    return next.value;
  }
}
