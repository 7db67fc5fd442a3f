import type { Target } from "./target.ts";

/**
 * The endpoint for one more request: of those that are well the one with the fewest for its weight, by lot among equals; where none is
 * well, the one whose time comes first, so that a service is never given up. null: none may be used, or all were tried.
 */
export function pickTarget(targets: readonly Target[], tried: ReadonlySet<Target>, now: number): Target | null {
  let best: Target | null = null;
  let equals = 0;
  for (const target of targets) {
    if (!target.usable || tried.has(target)) continue;
    const order = best === null ? -1 : compare(target, best, now);
    if (order < 0) equals = 0;
    if (order > 0) continue;
    equals += 1;
    if (order < 0 || Math.random() * equals < 1) best = target;
  }
  return best;
}

/** Negative: `a` goes first. */
function compare(a: Target, b: Target, now: number): number {
  const wellA = a.isWell(now);
  const wellB = b.isWell(now);
  if (wellA !== wellB) return wellA ? -1 : 1;
  if (!wellA && a.ejectedUntil !== b.ejectedUntil) return a.ejectedUntil - b.ejectedUntil;
  return (a.active + 1) / a.weight - (b.active + 1) / b.weight;
}
