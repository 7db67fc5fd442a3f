/** When an endpoint is passed over, and for how long. */
export interface EjectionRules {
  /** Failures in a row. */
  readonly after: number;
  readonly firstMs: number;
  readonly longestMs: number;
}

/** What traffic itself says about one endpoint. Frozen; every event gives a new one. */
export interface PassiveHealth {
  /** In a row. */
  readonly failures: number;
  /** Each doubles the next one's length; time that it was well takes them away again. */
  readonly ejections: number;
  /** Epoch ms until which it is, or was, passed over. */
  readonly until: number;
  readonly verdict: "unknown" | "healthy" | "unhealthy";
}

export const UNTRIED: PassiveHealth = Object.freeze({ failures: 0, ejections: 0, until: 0, verdict: "unknown" });

/** More would only make the power overflow. */
const EJECTIONS_MAX = 30;

/** It answered: it is not passed over any more. That it was lately is not forgotten, or one that fails now and then never would be long. */
export function afterSuccess(health: PassiveHealth, now: number): PassiveHealth {
  if (health.failures === 0 && health.verdict === "healthy" && health.until <= now) return health;
  return Object.freeze({ ...health, failures: 0, until: Math.min(health.until, now), verdict: "healthy" });
}

export interface Failed {
  readonly now: number;
  readonly rules: EjectionRules;
  /** Asked only where it is due. false: too many others are passed over already. */
  mayEject(): boolean;
  /** 0 to 1: takes up to a fifth off, so that gates do not all come back at once. */
  readonly random: number;
}

/**
 * It could not be reached, or broke off before an answer. From the `after`th time in a row on it is taken for unhealthy and passed over,
 * `firstMs` doubling to `longestMs`. What fails while it is passed over was sent before, and makes that no longer. For every `longestMs`
 * that went well since the last time, the next one is half as long.
 */
export function afterFailure(health: PassiveHealth, { now, rules, mayEject, random }: Failed): PassiveHealth {
  const failures = health.failures + 1;
  if (health.until > now || failures < rules.after) return Object.freeze({ ...health, failures });
  if (!mayEject()) return Object.freeze({ ...health, failures, verdict: "unhealthy" });
  const forgiven = health.ejections === 0 ? 0 : Math.floor((now - health.until) / rules.longestMs);
  const ejections = Math.max(0, health.ejections - forgiven);
  const length = Math.min(rules.longestMs, rules.firstMs * 2 ** ejections);
  return Object.freeze({
    failures,
    ejections: Math.min(ejections + 1, EJECTIONS_MAX),
    until: now + Math.round(length * (1 - random / 5)),
    verdict: "unhealthy",
  });
}
