import type { Target } from "./target.ts";

/** Up to so many endpoints all are looked at; of more, two by lot, which spreads nearly as evenly at a cost that does not grow. */
const EXACT_MAX = 8;
/** Looks for the two; where most cannot be used, all are looked at after all. */
const PROBES = 8;

/**
 * The endpoint for one more request: of those that are well the one with the fewest for its weight; among idle ones by lot, in which each
 * has its weight. Where none is well, the one whose time comes first, so that a service is never given up. null: none may be used, or
 * all were tried.
 */
export function pickTarget(targets: readonly Target[], tried: ReadonlySet<Target> | null, now: number): Target | null {
  if (targets.length > EXACT_MAX) {
    const picked = pickOfTwo(targets, tried, now);
    if (picked !== null) return picked;
  }
  return pickOfAll(targets, tried, now);
}

function pickOfTwo(targets: readonly Target[], tried: ReadonlySet<Target> | null, now: number): Target | null {
  let first: Target | null = null;
  for (let probe = 0; probe < PROBES; probe += 1) {
    const target = targets[Math.floor(Math.random() * targets.length)];
    if (target === undefined || target === first) continue;
    if (!mayTake(target, tried) || !target.isWell(now)) continue;
    if (first === null) first = target;
    else return lessBusy(first, target, now);
  }
  return null;
}

function lessBusy(a: Target, b: Target, now: number): Target {
  const [weightA, weightB] = [a.weightAt(now), b.weightAt(now)];
  if (a.active === 0 && b.active === 0) return Math.random() * (weightA + weightB) < weightA ? a : b;
  return (a.active + 1) * weightB <= (b.active + 1) * weightA ? a : b;
}

function pickOfAll(targets: readonly Target[], tried: ReadonlySet<Target> | null, now: number): Target | null {
  let best: Target | null = null;
  let bestLoad = Infinity;
  let equals = 0;
  for (const target of targets) {
    if (!mayTake(target, tried) || !target.isWell(now)) continue;
    const load = (target.active + 1) / target.weightAt(now);
    if (load > bestLoad) continue;
    equals = load < bestLoad ? 1 : equals + 1;
    bestLoad = load;
    if (Math.random() * equals < 1) best = target;
  }
  if (best === null) return soonestBack(targets, tried);
  return best.active === 0 ? idleByLot(targets, tried, now) : best;
}

function idleByLot(targets: readonly Target[], tried: ReadonlySet<Target> | null, now: number): Target | null {
  let lot: Target | null = null;
  let sum = 0;
  for (const target of targets) {
    if (target.active > 0 || !mayTake(target, tried) || !target.isWell(now)) continue;
    const weight = target.weightAt(now);
    sum += weight;
    if (Math.random() * sum < weight) lot = target;
  }
  return lot;
}

function soonestBack(targets: readonly Target[], tried: ReadonlySet<Target> | null): Target | null {
  let soonest: Target | null = null;
  for (const target of targets) {
    if (!mayTake(target, tried)) continue;
    if (soonest === null || target.ejectedUntil < soonest.ejectedUntil) soonest = target;
  }
  return soonest;
}

function mayTake(target: Target, tried: ReadonlySet<Target> | null): boolean {
  return target.usable && tried?.has(target) !== true;
}
