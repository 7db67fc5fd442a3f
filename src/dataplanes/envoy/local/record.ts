import { readFileSync, rmSync } from "node:fs";
import { z } from "zod";
import { bootId, isSameProcess } from "../../../platform/process-identity.ts";
import { replaceFile } from "../../../platform/replace-file.ts";

const Process = z.object({
  pid: z.int().min(2),
  /** See `processStart`. */
  start: z.string(),
});

/** The Envoy that serves, as the gate that started it left word of it for the next one. */
const EnvoyRecord = Process.extend({
  format: z.literal(1),
  boot: z.string(),
  /** Of Envoy's hot restart: counts the processes since one had to start alone. */
  epoch: z.int().min(0),
  /** Of program, arguments and bootstrap: with others it would be another Envoy. */
  digest: z.string(),
  /** Where visitors come in. */
  address: z.string(),
  port: z.int().min(1).max(65_535),
  /** Replaced ones, whose connections go on for a while. */
  former: z.array(Process),
});
export type EnvoyRecord = z.output<typeof EnvoyRecord>;

/** What is written there; null: nothing, or nothing readable. */
export function readRecord(file: string): EnvoyRecord | null {
  try {
    return EnvoyRecord.parse(JSON.parse(readFileSync(file, "utf8")));
  } catch {
    return null;
  }
}

/** Whether that very process runs. */
export function isAlive(record: EnvoyRecord): boolean {
  return record.boot === bootId() && isSameProcess(record.pid, record.start);
}

export function writeRecord(file: string, record: EnvoyRecord): void {
  replaceFile(file, `${JSON.stringify(record)}\n`);
}

export function removeRecord(file: string): void {
  rmSync(file, { force: true });
}
