/** What plain data hold at a path; undefined: nothing. */
export function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>((now, part) => {
    if (typeof now !== "object" || now === null || !Object.hasOwn(now, part)) return undefined;
    return (now as Readonly<Record<PropertyKey, unknown>>)[part];
  }, value);
}
