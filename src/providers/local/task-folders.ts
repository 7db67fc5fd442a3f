import { mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { RunSpec } from "../../model/index.ts";
import type { Logger } from "../../platform/logger.ts";
import { packageRoot } from "../../platform/package-info.ts";
import { jobEnvironment, replicaEnvironment, strangersEnvironment } from "./job-environment.ts";
import { highestClaim, isClaimAlive, readClaim } from "./supervisor/claim.ts";
import { writeSpec } from "./supervisor/spec.ts";
import { NOBODY_ELSE, type UserSwitch } from "./switch-user.ts";
import type { RunRecord } from "./task-record.ts";

/** Makes the task's folder anew (0700) with what its supervisor needs to run it (0600). */
export async function writeTaskFolder(
  folder: string,
  record: RunRecord,
  job: { readonly spec: RunSpec; readonly as: UserSwitch },
): Promise<void> {
  await removeTaskFolder(folder);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const { spec, as } = job;
  const callers = jobEnvironment(spec.environment, packageRoot);
  const environment = as === NOBODY_ELSE ? callers : { ...strangersEnvironment(callers), ...as.environment };
  writeSpec(folder, {
    format: 1,
    name: record.name,
    command: [...as.command, ...spec.command],
    directory: spec.directory,
    restart: record.restart,
    replicas: Array.from({ length: record.replicas }, (_, index) => ({
      replica: String(index),
      environment: replicaEnvironment(environment, {
        task: record.name,
        replica: String(index),
        ports: portsOfReplica(record, index),
        declared: record.declared.length > 0,
      }),
    })),
  });
}

/**
 * A supervisor that was started late, to find its generation taken, may write in it once more while it goes; that one works in the folder
 * itself, not by its path, so it never touches the next task's of that name.
 */
export async function removeTaskFolder(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
}

/** Takes away folders of no task: a gate was killed while it made or removed one. One whose supervisor lives is only told of. */
export async function sweepFolders(tasks: string, isKnown: (name: string) => boolean, logger: Logger): Promise<void> {
  const names = await readdir(tasks).catch(() => []);
  for (const name of names.filter((each) => !isKnown(each))) {
    const folder = join(tasks, name);
    const claim = readClaim(folder, highestClaim(folder));
    if (claim !== null && isClaimAlive(claim)) {
      logger.warn({ folder, pid: claim.pid }, "a supervisor runs for a task that is not on record");
    } else {
      const failed = (error: unknown): void =>
        logger.warn({ err: error, folder }, "folder of no task cannot be removed");
      await removeTaskFolder(folder).catch(failed);
    }
  }
}

function portsOfReplica(record: RunRecord, index: number): readonly number[] {
  const ports =
    record.declared.length > 0 ? record.declared.map((service) => service.ports[index]) : [record.sparePorts[index]];
  return ports.filter((port) => port !== undefined);
}
