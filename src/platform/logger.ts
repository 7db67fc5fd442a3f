import { pino } from "pino";

/** `fields` first, an error as `err`. */
export interface Log {
  (fields: object, message: string): void;
  (message: string): void;
}

/** Constant messages, data in fields; a child per component. */
export interface Logger {
  readonly debug: Log;
  readonly info: Log;
  readonly warn: Log;
  readonly error: Log;
  child(fields: object): Logger;
}

export type LogLevel = "debug" | "info" | "warn" | "error" | "silent";

export interface LoggerOptions {
  readonly level: LogLevel;
  /** Where lines go; the default is standard error. */
  readonly fd?: number;
}

/** Field names whose values never reach a log: the second guard, behind `Secret`. */
const REDACTED_PATHS = ["authorization", "cookie", "token", "code", "password"].flatMap((name) => [name, `*.${name}`]);

/** Starts the process's one logger: JSON lines. */
export function createLogger(options: LoggerOptions): Logger {
  return pino(
    {
      level: options.level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: REDACTED_PATHS, censor: "[redacted]" },
    },
    pino.destination({ fd: options.fd ?? 2, sync: true }),
  );
}

/** Says nothing. */
export const silentLogger: Logger = pino({ level: "silent" });
