import { readFileSync } from "node:fs";
import { join } from "node:path";
import { replaceFile } from "../../../platform/replace-file.ts";

/** A process, named so that nobody else is meant: pids are used again. */
export interface ProcessName {
  readonly pid: number;
  /** As `processStart` spells it. */
  readonly start: string;
}

/**
 * - `starting`: about to be started.
 * - `running`: its process runs.
 * - `waiting`: its process ended, and it will be started again at `nextAt`.
 * - `ending`: its process was told to end, or has ended while others of its session have not.
 * - `ended`: for good.
 */
export type ReplicaPhase = "starting" | "running" | "waiting" | "ending" | "ended";

/** How a replica is now, and how its last process ended. */
export interface ReplicaState {
  /** "0", "1", … */
  readonly replica: string;
  readonly phase: ReplicaPhase;
  /** Of the present process; null while there is none. */
  readonly process: ProcessName | null;
  /** Of the last process that ended. */
  readonly exitCode: number | null;
  readonly signal: string | null;
  /** Why the last process could not be started, or what else became of it. */
  readonly error: string | null;
  readonly restarts: number;
  /** Epoch ms, of the present or last process. */
  readonly startedAt: number | null;
  readonly endedAt: number | null;
  /** Epoch ms; only while waiting. */
  readonly nextAt: number | null;
}

/** What a supervisor says of its task: pushed over its socket, and kept in `state.json` for when nobody listens. */
export interface SupervisorState {
  readonly format: 1;
  readonly generation: number;
  /** Of this boot of the machine; other boots' processes are never signalled. */
  readonly boot: string;
  /** Epoch ms. */
  readonly startedAt: number;
  /** Somebody asked for the end: no policy starts it again. */
  readonly stopping: boolean;
  /** Every replica ended for good, and so does the supervisor. */
  readonly ended: boolean;
  /** The supervisor went away before its task did: why. The restart policy applies. */
  readonly lost: string | null;
  readonly replicas: readonly ReplicaState[];
}

/** What a supervisor is told over its socket, one JSON a line. */
export interface SupervisorCommand {
  readonly stop: { readonly graceMs: number };
}

/** null: none there, or not readable as one. */
export function readState(folder: string): SupervisorState | null {
  try {
    const state = JSON.parse(readFileSync(join(folder, "state.json"), "utf8")) as Partial<SupervisorState>;
    return state.format === 1 && Array.isArray(state.replicas) ? (state as SupervisorState) : null;
  } catch {
    return null;
  }
}

export function writeState(folder: string, state: SupervisorState): void {
  replaceFile(join(folder, "state.json"), `${JSON.stringify(state)}\n`);
}

/** A replica of which nothing was started yet. */
export function initialReplica(replica: string): ReplicaState {
  return {
    replica,
    phase: "starting",
    process: null,
    exitCode: null,
    signal: null,
    error: null,
    restarts: 0,
    startedAt: null,
    endedAt: null,
    nextAt: null,
  };
}
