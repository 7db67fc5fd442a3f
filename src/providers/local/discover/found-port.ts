import type { Policy, Protocol } from "../../../model/index.ts";

/** A TCP port on which a process of a task listens. */
export interface FoundPort {
  readonly port: number;
  /** As one would dial it: 127.0.0.1 for 0.0.0.0. */
  readonly ip: string;
  readonly pid: number;
  /** argv of that process. */
  readonly command: readonly string[];
}

/** What a port was recognised as. */
export interface Recognised {
  /** Name of the service. */
  readonly service: string;
  /** Kind of the task that serves it; null: nothing known. */
  readonly kind: string | null;
  readonly protocol: Protocol;
  readonly landingPath?: string;
  readonly policy: Policy;
  /** Internal plumbing of a known program, not a service. */
  readonly hidden: boolean;
}
