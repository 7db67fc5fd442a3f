const MS: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 };
/** The longest that a timer can wait. */
const LONGEST_MS = 2 ** 31 - 1;

/** grpc-status DEADLINE_EXCEEDED. */
export const DEADLINE_EXCEEDED: readonly string[] = [
  ...["grpc-status", "4"],
  ...["grpc-message", "the deadline passed while the job was still busy"],
];

/** Milliseconds that a call may take, by its `grpc-timeout` (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md); null: for ever. */
export function readDeadline(value: string | undefined): number | null {
  const [, digits, unit] = /^(\d{1,8})([HMSmun])$/.exec(value ?? "") ?? [];
  if (digits === undefined || unit === undefined) return null;
  const ms = Math.ceil(Number(digits) * (MS[unit] ?? 0));
  return ms > LONGEST_MS ? null : ms;
}
