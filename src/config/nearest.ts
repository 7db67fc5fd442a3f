import { closest, distance } from "fastest-levenshtein";

/** The candidate that `name` was likely meant to be; null if none is near. Case, dashes and underscores do not count. */
export function nearest(name: string, candidates: readonly string[]): string | null {
  // Longer than any key: no typing error, and the distance takes time by the product of lengths.
  if (name.length > 100) return null;
  const plain = simplify(name);
  const best = closest(plain, candidates.map(simplify));
  const found = candidates.find((candidate) => simplify(candidate) === best);
  if (found === undefined) return null;
  return distance(plain, best) <= Math.max(1, Math.floor(best.length / 3)) ? found : null;
}

function simplify(name: string): string {
  return name.replace(/[-_]/g, "").toLowerCase();
}
