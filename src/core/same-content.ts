/** Whether two plain JSON-like values hold the same. */
export function sameContent(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (Array.isArray(a) || Array.isArray(b)) {
    if (!Array.isArray(a) || !Array.isArray(b) || a.length !== b.length) return false;
    return a.every((item, index) => sameContent(item, b[index]));
  }
  const keys = Object.keys(a);
  if (keys.length !== Object.keys(b).length) return false;
  return keys.every((key) => Object.hasOwn(b, key) && sameContent(field(a, key), field(b, key)));
}

/** `before` where it holds the same as `after`: what is unchanged keeps its identity. */
export function keepSame<T>(before: T | undefined, after: T): T {
  return before !== undefined && sameContent(before, after) ? before : after;
}

function field(value: object, key: string): unknown {
  return (value as Record<string, unknown>)[key];
}
