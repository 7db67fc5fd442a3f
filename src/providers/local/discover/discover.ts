import type { Policy, Protocol } from "../../../model/index.ts";
import type { Logger } from "../../../platform/logger.ts";

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

/** Finds and recognises what listens on this machine. Holds nothing that needs closing. */
export interface Discover {
  /** Listening TCP ports by root pid: of each root's process tree (descendants, and same session). */
  listening(roots: readonly number[]): Promise<ReadonlyMap<number, readonly FoundPort[]>>;
  /** The address that a port of this machine listens on as one would dial it (127.0.0.1 for 0.0.0.0), null if nothing listens. */
  whoListens(
    port: number,
  ): Promise<{ readonly ip: string; readonly pid: number | null; readonly command: readonly string[] } | null>;
  /** What it is: by the owner's command line and by asking the port. hidden: internal plumbing, not a service. null while it does not answer. */
  recognise(found: FoundPort, signal: AbortSignal): Promise<Recognised | null>;
}

export interface DiscoverDeps {
  readonly logger: Logger;
}
