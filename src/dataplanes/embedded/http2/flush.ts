/** Who gathers what it writes. */
export interface Flushed {
  /** It is in the list already. */
  dirty: boolean;
  flush(): void;
}

let dirty: Flushed[] = [];

/**
 * Calls `flush` once all has been read that came together: many streams, also of other connections, are answered by one write. Costs no
 * time where nothing else came.
 */
export function flushSoon(one: Flushed): void {
  if (one.dirty) return;
  one.dirty = true;
  if (dirty.push(one) === 1) setImmediate(flushAll);
}

function flushAll(): void {
  const all = dirty;
  dirty = [];
  for (const one of all) {
    one.dirty = false;
    one.flush();
  }
}
