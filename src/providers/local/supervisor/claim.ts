import { existsSync, linkSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { bootId, isSameProcess, processStart } from "../../../platform/process-identity.ts";
import type { ProcessName } from "./state.ts";

/** Who has a generation of a task. */
export interface Claim extends ProcessName {
  readonly boot: string;
}

/**
 * Takes a generation of the task in `folder` for this process; false if it was taken before, or a later one was. Each generation can be
 * had once, ever: a file that appears whole (link(2)) and only goes when a later one is there. Hence two supervisors never run the same
 * generation, however a gate died, and nothing has to be judged stale.
 */
export function claimGeneration(folder: string, generation: number): boolean {
  const temporary = join(folder, `claim.new.${String(process.pid)}`);
  const claim: Claim = { pid: process.pid, start: processStart(process.pid) ?? "", boot: bootId() };
  writeFileSync(temporary, JSON.stringify(claim), { mode: 0o600 });
  try {
    linkSync(temporary, claimFile(folder, generation));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  } finally {
    rmSync(temporary, { force: true });
  }
  const others = generationsClaimed(folder).filter((other) => other !== generation);
  if (others.some((other) => other > generation)) return false;
  for (const other of others) rmSync(claimFile(folder, other), { force: true });
  return true;
}

/** null: nobody took that generation yet. */
export function readClaim(folder: string, generation: number): Claim | null {
  const file = claimFile(folder, generation);
  if (!existsSync(file)) return null;
  try {
    return JSON.parse(readFileSync(file, "utf8")) as Claim;
  } catch {
    // Taken by somebody of whom the disk lost track: not of this boot.
    return { pid: 0, start: "", boot: "unknown" };
  }
}

/** Whether the process that took it still runs. */
export function isClaimAlive(claim: Claim): boolean {
  return claim.boot === bootId() && isSameProcess(claim.pid, claim.start);
}

function claimFile(folder: string, generation: number): string {
  return join(folder, `claim.${String(generation)}`);
}

function generationsClaimed(folder: string): readonly number[] {
  return readdirSync(folder)
    .map((name) => /^claim\.(\d+)$/.exec(name)?.[1])
    .filter((generation) => generation !== undefined)
    .map(Number);
}

/** 0: none was ever taken, or there is no folder. */
export function highestClaim(folder: string): number {
  return Math.max(0, ...(existsSync(folder) ? generationsClaimed(folder) : []));
}
