/** One line of `doctor`. */
export interface Finding {
  /** What was looked at; stable, for programs. */
  readonly name: string;
  /** fail: something does not work, or is open that should not be. warn: something will surprise. */
  readonly level: "ok" | "warn" | "fail";
  readonly message: string;
  /** What to do; null where all is well. */
  readonly remedy: string | null;
}

export function ok(name: string, message: string): Finding {
  return { name, level: "ok", message, remedy: null };
}

export function warn(name: string, message: string, remedy: string): Finding {
  return { name, level: "warn", message, remedy };
}

export function fail(name: string, message: string, remedy: string): Finding {
  return { name, level: "fail", message, remedy };
}
