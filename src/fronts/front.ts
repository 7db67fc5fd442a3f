import type { Problem } from "../model/index.ts";

/** What visitors may ask for, beside the gate's own names: each with the service that it leads to. */
export interface Wanted {
  /** Hosts of HTTP and gRPC services, in lower case. */
  readonly hosts: ReadonlyMap<string, string>;
  /** Server names of TLS that is passed through. */
  readonly serverNames: ReadonlyMap<string, string>;
  /** Raw ports. */
  readonly ports: ReadonlyMap<number, string>;
  /** Whether that is all. False: something was not heard of yet, so nothing that was made for it is to go. */
  readonly isWhole: boolean;
}

/** Puts somebody's ingress before the gate: hosts, server names and ports lead to the gate, and login stays the gate's. */
export interface Front extends AsyncDisposable {
  /** All that is to lead to the gate from now on. */
  publish(wanted: Wanted): void;
  /** Makes it so for as long as this gate leads, that is until the signal. Elsewhere it is only looked at. */
  lead(signal: AbortSignal): Promise<void>;
  /** What does not lead to the gate, and why. */
  readonly problems: readonly Problem[];
}
