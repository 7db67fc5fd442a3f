/** What traffic itself says about one endpoint. Frozen; every event gives a new one. */
export interface PassiveHealth {
  /** In a row. */
  readonly failures: number;
  /** In a row: each doubles the next one's length. */
  readonly ejections: number;
  /** Epoch ms until which it is passed over. */
  readonly until: number;
  readonly verdict: "unknown" | "healthy" | "unhealthy";
}

export const UNTRIED: PassiveHealth = Object.freeze({ failures: 0, ejections: 0, until: 0, verdict: "unknown" });
const WELL: PassiveHealth = Object.freeze({ ...UNTRIED, verdict: "healthy" });

const FAILURES_TO_EJECT = 3;
const FIRST_EJECTION_MS = 1000;
const LONGEST_EJECTION_MS = 30_000;

/** It answered. */
export function afterSuccess(health: PassiveHealth): PassiveHealth {
  return health.failures === 0 && health.verdict === "healthy" ? health : WELL;
}

/**
 * It could not be reached, or broke off before an answer. From the third time in a row on it is passed over, 1 s doubling to 30 s; `random`
 * (0 to 1) takes up to a fifth off, so that gates do not all come back at once.
 */
export function afterFailure(health: PassiveHealth, now: number, random: number): PassiveHealth {
  const failures = health.failures + 1;
  if (failures < FAILURES_TO_EJECT) return { ...health, failures };
  const length = Math.min(LONGEST_EJECTION_MS, FIRST_EJECTION_MS * 2 ** health.ejections);
  return {
    failures,
    ejections: Math.min(health.ejections + 1, 10),
    until: now + Math.round(length * (1 - random / 5)),
    verdict: "unhealthy",
  };
}
