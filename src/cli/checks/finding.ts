/** One line of `doctor`. */
export interface Finding {
  /** What was looked at; stable, for programs. */
  readonly check: string;
  /** fail: something does not work, or is open that should not be. warn: something will surprise. */
  readonly state: "ok" | "warn" | "fail";
  readonly message: string;
  /** What to do; null where all is well. */
  readonly remedy: string | null;
}

export function ok(check: string, message: string): Finding {
  return { check, state: "ok", message, remedy: null };
}

export function warn(check: string, message: string, remedy: string): Finding {
  return { check, state: "warn", message, remedy };
}

export function fail(check: string, message: string, remedy: string): Finding {
  return { check, state: "fail", message, remedy };
}
