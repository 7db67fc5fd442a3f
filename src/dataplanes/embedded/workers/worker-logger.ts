import type { Log, Logger } from "../../../platform/logger.ts";
import type { ProcessLink } from "../../../platform/process-link.ts";
import { LOG } from "./messages.ts";

/** Has the gate's process write what a worker logs: there is one log, its level and its redaction are there, and a worker stays small. */
export function createWorkerLogger(link: ProcessLink, bindings: object = {}): Logger {
  const log =
    (level: "debug" | "info" | "warn" | "error"): Log =>
    (first: object | string, text?: string) => {
      const fields = typeof first === "string" ? {} : plain(first);
      const message = typeof first === "string" ? first : (text ?? "");
      link.tell(LOG, { level, fields: { ...bindings, ...fields }, message });
    };
  return {
    ...{ debug: log("debug"), info: log("info"), warn: log("warn"), error: log("error") },
    child: (fields) => createWorkerLogger(link, { ...bindings, ...fields }),
  };
}

/** Errors have nothing of their own that would survive the way. */
function plain(fields: object): object {
  if (!("err" in fields) || !(fields.err instanceof Error)) return fields;
  const { name, message, stack, cause } = fields.err;
  const why = cause instanceof Error ? { cause: cause.message } : {};
  return { ...fields, err: { type: name, message, stack, ...why } };
}
