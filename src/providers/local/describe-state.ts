import type { TaskState } from "../../model/index.ts";
import { openPort } from "./found-services.ts";
import type { RunView } from "./run-view.ts";
import type { ReplicaState, SupervisorState } from "./supervisor/state.ts";

/** A task's state, and why, in words for its owner. */
export interface Described {
  readonly state: TaskState;
  readonly reason: string | null;
}

export function describeState(view: RunView): Described {
  const { phase, state, stopping } = view;
  if (phase === "ended" || state?.ended === true) return describeEnd(state, view.record.stoppedFor ?? "stopped");
  if (stopping || state?.stopping === true) return { state: "stopping", reason: null };
  if (phase === "recovering") {
    return { state: "starting", reason: "its supervisor is gone; what it left behind is being ended" };
  }
  return state === null ? { state: "starting", reason: null } : describeLife(view, state);
}

/** `exited with code 3`, `killed by SIGKILL (out of memory?)`, each with how often it was restarted. */
export function howEnded(replica: ReplicaState, numbered: boolean): string {
  const who = numbered ? `replica ${replica.replica} ` : "";
  const restarts = replica.restarts === 0 ? "" : `, restarted ${times(replica.restarts)}`;
  return `${who}${cause(replica)}${restarts}`;
}

function describeLife(view: RunView, state: SupervisorState): Described {
  const troubles = state.replicas.filter((replica) => replica.phase !== "running");
  if (troubles.length < state.replicas.length) return describeRunning(view, state, troubles);
  const worst = troubles.find((replica) => failed(replica)) ?? troubles[0];
  if (worst?.phase === "waiting")
    return { state: "starting", reason: `it is started again: ${howEnded(worst, false)}` };
  return { state: "starting", reason: null };
}

function describeRunning(view: RunView, state: SupervisorState, troubles: readonly ReplicaState[]): Described {
  const several = state.replicas.length > 1;
  const ended = troubles.filter((replica) => replica.endedAt !== null).map((replica) => howEnded(replica, true));
  const restarted = state.replicas
    .filter((replica) => replica.restarts > 0 && !troubles.includes(replica))
    .map((replica) => `last ${howEnded(replica, several)}`);
  const reasons = [...ended, ...restarted, ...lacks(view)];
  return { state: view.ready ? "running" : "starting", reason: reasons.length === 0 ? null : reasons.join("; ") };
}

function describeEnd(state: SupervisorState | null, stoppedFor: string): Described {
  if (state === null) return { state: "failed", reason: "it was never started" };
  if (state.stopping) return { state: "finished", reason: stoppedFor };
  if (state.lost !== null) return { state: "failed", reason: state.lost };
  const several = state.replicas.length > 1;
  const bad = state.replicas.filter((replica) => failed(replica));
  if (bad.length > 0) return { state: "failed", reason: bad.map((replica) => howEnded(replica, several)).join("; ") };
  return { state: "finished", reason: "exited with code 0" };
}

/** Ports that are named one by one in a reason. */
const SHOWN = 4;

/** What is declared and not open; without declarations, that nothing is. */
function lacks({ record, state, open, ready }: RunView): readonly string[] {
  if (record.declared.length === 0) {
    if (record.found.length > 0) return [];
    return [ready ? "it listens on no port yet" : "waiting for it to open a port"];
  }
  const several = (state?.replicas.length ?? 1) > 1;
  const missing = record.declared.flatMap(({ name, ports }) =>
    ports
      .filter((port, replica) => openPort(open, String(replica), port) === undefined)
      .map((port) => `${name}${several ? " of a replica" : ""} on port ${String(port)}`),
  );
  if (missing.length === 0) return [];
  const more = missing.length > SHOWN ? ` and ${String(missing.length - SHOWN)} more` : "";
  const shown = `${missing.slice(0, SHOWN).join(", ")}${more}`;
  return [ready ? `${shown} is closed` : `waiting for ${shown} to open`];
}

function failed(replica: ReplicaState): boolean {
  return replica.exitCode !== 0;
}

function cause(replica: ReplicaState): string {
  if (replica.error !== null) return replica.error;
  if (replica.signal !== null)
    return `killed by ${replica.signal}${replica.signal === "SIGKILL" ? " (out of memory?)" : ""}`;
  if (replica.exitCode === 127) return "exited with code 127 (a command was not found)";
  return replica.exitCode === null ? "ended with its supervisor" : `exited with code ${String(replica.exitCode)}`;
}

function times(count: number): string {
  return count === 1 ? "once" : `${String(count)} times`;
}
