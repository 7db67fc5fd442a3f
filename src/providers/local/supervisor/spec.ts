import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { RestartPolicy } from "../../../model/index.ts";

/** What a supervisor runs: kept in the task's folder for its owner alone, because an environment may hold its owner's secrets. */
export interface TaskSpec {
  /** 1; rises when an older supervisor could not run it. */
  readonly format: number;
  readonly name: string;
  readonly command: readonly string[];
  readonly directory: string;
  readonly restart: RestartPolicy;
  /** Of each replica, whole. */
  readonly replicas: readonly { readonly replica: string; readonly environment: Readonly<Record<string, string>> }[];
}

/** Settings of the gate that a supervisor is started with. */
export interface SupervisorOptions {
  readonly generation: number;
  readonly logBytes: number;
  readonly logFiles: number;
  /** Between SIGTERM and SIGKILL for what a process leaves behind when it ends. */
  readonly graceMs: number;
}

/** For its owner alone. Throws as the file system does. */
export function writeSpec(folder: string, spec: TaskSpec): void {
  writeFileSync(join(folder, "spec.json"), `${JSON.stringify(spec)}\n`, { mode: 0o600 });
}

/** Throws where there is none, or where it is not one. */
export function readSpec(folder: string): TaskSpec {
  const spec = JSON.parse(readFileSync(join(folder, "spec.json"), "utf8")) as TaskSpec;
  if (spec.format !== 1) throw new Error("spec.json is of a newer taskgate");
  return spec;
}
