/** `text` as a DNS label of at most `longest` characters; empty where nothing of it can stand in one. */
export function labelOf(text: string, longest: number): string {
  return text
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .slice(0, longest)
    .replace(/^-+|-+$/g, "");
}

/** The first of `base`, `base-2`, `base-3`, … that is not taken. */
export function freeName(base: string, isTaken: (name: string) => boolean): string {
  for (let number = 1; ; number += 1) {
    const name = number === 1 ? base : `${base}-${String(number)}`;
    if (!isTaken(name)) return name;
  }
}
