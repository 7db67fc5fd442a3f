import { bootId } from "../../platform/process-identity.ts";
import { endSession, sessionLeftBehind } from "../../platform/process-session.ts";
import type { Claim } from "./supervisor/claim.ts";
import { initialReplica, writeState, type ReplicaState, type SupervisorState } from "./supervisor/state.ts";

/** A generation whose supervisor is gone without having said that its task ended. */
export interface Lost {
  readonly folder: string;
  readonly name: string;
  readonly generation: number;
  readonly claim: Claim;
  /** What it said last; null: nothing, so it had started nothing. */
  readonly state: SupervisorState | null;
  /** Somebody wants the task stopped, whatever its restart policy. */
  readonly stopping: () => boolean;
  /** Epoch ms; what is left is killed from then on. Asked again and again. */
  readonly deadline: () => number;
}

/**
 * Ends what the supervisor left (each process verified to be the one meant; nothing of an earlier boot) and writes the end down in its
 * place. Throws on abort.
 */
export async function recoverTask(lost: Lost, signal: AbortSignal): Promise<void> {
  const { folder, generation, claim, name } = lost;
  const state = lost.state?.generation === generation ? lost.state : null;
  const rebooted = claim.boot !== bootId();
  if (!rebooted && state !== null) {
    await Promise.all(state.replicas.map((replica) => endReplica(name, replica, lost.deadline, signal)));
  }
  const last = state ?? { stopping: false, lost: null, startedAt: Date.now(), replicas: [initialReplica("0")] };
  const why = rebooted ? "the machine restarted" : "its supervisor was killed, and what it ran was ended";
  writeState(folder, {
    format: 1,
    generation,
    boot: claim.boot,
    startedAt: last.startedAt,
    stopping: last.stopping || lost.stopping(),
    ended: true,
    lost: last.lost ?? why,
    replicas: last.replicas.map((replica) => asEnded(replica)),
  });
}

async function endReplica(
  name: string,
  { replica, process: leader }: ReplicaState,
  deadline: () => number,
  signal: AbortSignal,
): Promise<void> {
  if (leader === null) return;
  const mark = [`TASKGATE_TASK=${name}`, `TASKGATE_REPLICA=${replica}`];
  await endSession(sessionLeftBehind(leader, mark), deadline, signal);
}

function asEnded(replica: ReplicaState): ReplicaState {
  return { ...replica, phase: "ended", process: null, endedAt: replica.endedAt ?? Date.now(), nextAt: null };
}
