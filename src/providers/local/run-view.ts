import type { OpenPorts } from "./found-services.ts";
import type { SupervisorState } from "./supervisor/state.ts";
import type { RunRecord } from "./task-record.ts";

/** How far the gate is with a task that it runs. */
export type Phase =
  /** No supervisor listens yet. */
  | "starting"
  /** A supervisor tells what happens. */
  | "supervised"
  /** The supervisor is gone, and what it left is being ended. */
  | "recovering"
  /** Nothing of it runs, and nothing will without being told. */
  | "ended";

/** All that a run task's public face is made of. */
export interface RunView {
  readonly record: RunRecord;
  readonly phase: Phase;
  readonly stopping: boolean;
  readonly state: SupervisorState | null;
  readonly open: OpenPorts;
  /** It was ready once since its processes were started. */
  readonly ready: boolean;
}
