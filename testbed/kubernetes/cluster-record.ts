import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { bootId } from "../../src/platform/process-identity.ts";
import { replaceFile } from "../../src/platform/replace-file.ts";
import { cacheFolder, lock } from "../build-once.ts";
import { isAlive, type ProcessId } from "./node.ts";
import type { PartName } from "./parts.ts";
import { planCluster, type Plan } from "./plan.ts";

/** What is known of a cluster across processes, kept in its folder. */
export interface ClusterRecord {
  readonly name: string;
  readonly number: number;
  /** Of the machine, when it was started: process ids are of that. */
  readonly boot: string;
  /** Epoch ms. */
  readonly startedAt: number;
  /** The process that it ends with; null: none. */
  readonly owner: ProcessId | null;
  /** The first process of its node; null: not started yet. */
  readonly node: ProcessId | null;
  readonly parts: Partial<Readonly<Record<PartName, PartRecord>>>;
  /** It came to the end of its start. */
  readonly ready: boolean;
  /** What was put on top. */
  readonly addOns: readonly string[];
}

export interface PartRecord {
  readonly command: readonly string[];
  readonly process: ProcessId;
}

/** Whoever starts or removes clusters does it one after another: they choose addresses. They take seconds. Waits; the caller disposes of it. */
export function lockClusters(): Promise<Disposable> {
  mkdirSync(cacheFolder(), { recursive: true });
  return lock(join(cacheFolder(), "clusters.lock"), "starting or removing a cluster", () => false);
}

/** Folder of all clusters. */
export function clustersFolder(): string {
  return join(cacheFolder(), "clusters");
}

export function planOf({ name, number }: Pick<ClusterRecord, "name" | "number">): Plan {
  return planCluster(name, number, join(clustersFolder(), name));
}

/** null: there is no such cluster, or what it wrote is not to be understood. */
export function readRecord(name: string): ClusterRecord | null {
  try {
    const record = JSON.parse(readFileSync(fileOf(name), "utf8")) as ClusterRecord;
    return record.boot === bootId() ? record : { ...record, node: null, parts: {} };
  } catch {
    return null;
  }
}

export function writeRecord(record: ClusterRecord): void {
  replaceFile(fileOf(record.name), `${JSON.stringify(record, null, 2)}\n`);
}

/** Names of all clusters that have a folder, whether they run or not. */
export function clusterNames(): readonly string[] {
  const folder = clustersFolder();
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name);
}

/** Whether it is whole: it came to the end of its start, and all that was started still runs. */
export function isRunning({ ready, node, parts }: ClusterRecord): boolean {
  return ready && node !== null && isAlive(node) && Object.values(parts).every(({ process }) => isAlive(process));
}

function fileOf(name: string): string {
  return join(clustersFolder(), name, "cluster.json");
}
