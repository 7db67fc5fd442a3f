import { z } from "zod";
import { count, duration, flag, size } from "./units.ts";

export const AuditConfig = z.strictObject({
  detail: z
    .enum(["visits", "requests"])
    .prefault("visits")
    .describe(
      "What is told of plain requests: each visit (requests of one session to one service from one address), or each request.",
    ),
  visitIdle: duration("1s", "1h").prefault("5m").describe("Silence after which a visit is over."),
  streamAfter: duration("10ms", "1h")
    .prefault("10s")
    .describe("Requests that take longer get an entry of their own, beside being part of a visit."),
  required: flag
    .prefault(false)
    .describe(
      "While the log cannot be written, let nobody new in and refuse changes. Otherwise the gate goes on, and says so.",
    ),
  maxBytes: size("64KiB", "100GiB").prefault("64MiB").describe("Size at which a new file is begun."),
  rotate: duration("1m", "365d").prefault("1d").describe("Age at which a new file is begun."),
  files: count(2, 100_000).prefault(100).describe("Files kept, the current one included."),
  keep: duration("1h", "3650d").prefault("90d").describe("How long files are kept."),
  bufferBytes: size("64KiB", "1GiB")
    .prefault("4MiB")
    .describe("Entries that wait while the log cannot be written; what comes beyond is lost, and counted."),
});
export type AuditConfig = z.output<typeof AuditConfig>;
