/** Whether all that is wanted is there, as it is wanted: what a server adds by itself does not matter, but lists are as long as they are. */
export function covers(there: unknown, wanted: unknown): boolean {
  if (Array.isArray(wanted)) {
    return (
      Array.isArray(there) && there.length === wanted.length && wanted.every((item, at) => covers(there[at], item))
    );
  }
  if (typeof wanted !== "object" || wanted === null) return there === wanted;
  if (typeof there !== "object" || there === null) return false;
  return Object.entries(wanted).every(([key, value]) =>
    covers((there as Readonly<Record<string, unknown>>)[key], value),
  );
}
