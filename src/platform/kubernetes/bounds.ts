/** How far the client goes: each has a bound, so that no server and no network can hold it up or fill its memory. */
export interface KubernetesBounds {
  /** Longest time of one try of a call, from its start to the last byte of the answer. */
  readonly callMs: number;
  /** Longest time until a watch is answered. */
  readonly watchStartMs: number;
  /** Times that a call is tried in all. */
  readonly tries: number;
  /** Pause after a failure; each in a row doubles it, up to `mostPauseMs`. What is waited is between half of it and all. */
  readonly firstPauseMs: number;
  readonly mostPauseMs: number;
  /** Longest Retry-After that is waited for within a call; a call that is told to wait longer fails with it. */
  readonly mostRetryAfterMs: number;
  /** Largest answer, and largest event of a watch. etcd keeps no object beyond 1.5 MiB, unless told so. */
  readonly answerBytes: number;
  readonly eventBytes: number;
  /** Objects of one page of a list. */
  readonly pageObjects: number;
  /** Objects of one mirror. */
  readonly mirrorObjects: number;
  /** A watch that says nothing for so long is taken for stalled: bookmarks come once a minute. */
  readonly stallMs: number;
  /** How long a watch is asked to last, at least; at most it is twice that. */
  readonly watchMs: number;
  /** Connections for calls; each watch has one of its own beside them. */
  readonly connections: number;
  /** How long a connection without a call is kept; servers close theirs after 90 s. */
  readonly idleMs: number;
}

export const BOUNDS: KubernetesBounds = Object.freeze({
  callMs: 30_000,
  watchStartMs: 10_000,
  tries: 4,
  firstPauseMs: 200,
  mostPauseMs: 30_000,
  mostRetryAfterMs: 60_000,
  answerBytes: 64 * 1024 * 1024,
  eventBytes: 16 * 1024 * 1024,
  pageObjects: 500,
  mirrorObjects: 250_000,
  stallMs: 130_000,
  watchMs: 300_000,
  connections: 16,
  idleMs: 60_000,
});

/** How long to wait after `failures` (1 and up) in a row, ms: so many that fail at once do not come back at once. */
export function pauseMs(
  failures: number,
  { firstPauseMs, mostPauseMs }: Pick<KubernetesBounds, "firstPauseMs" | "mostPauseMs">,
): number {
  const whole = Math.min(mostPauseMs, firstPauseMs * 2 ** Math.min(failures - 1, 20));
  return whole / 2 + (Math.random() * whole) / 2;
}
