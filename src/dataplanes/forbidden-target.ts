import { networkInterfaces } from "node:os";
import { GATE_PROVIDER, type Address } from "../model/index.ts";
import { refuseTarget } from "../platform/target-check.ts";

/** What a plane may dial. */
export interface DialRules {
  /** Providers whose tasks may be on this machine's loopback. */
  readonly loopback: readonly string[];
  /** Providers that the gate reaches by sockets of its own making. */
  readonly sockets: readonly string[];
  /** Ports that the gate itself listens on: never a target. */
  readonly ownPorts: ReadonlySet<number>;
}

/** Why an endpoint of this provider may not be dialled, in words that follow its address; null: it may. */
export function forbiddenTarget(
  address: Address,
  provider: string,
  rules: DialRules & { readonly ownAddresses: ReadonlySet<string> },
): string | null {
  if ("unix" in address) {
    const mayHave = provider === GATE_PROVIDER || rules.sockets.includes(provider);
    return mayHave ? null : "is a socket, and only the gate itself has services there";
  }
  return refuseTarget(address.ip, address.port, {
    allowLoopback: rules.loopback.includes(provider),
    ownPorts: rules.ownPorts,
    ownAddresses: rules.ownAddresses,
  });
}

/** Addresses of this machine's interfaces, loopback aside. Asks the system: once per change is enough, once per endpoint too slow. */
export function ownAddresses(): ReadonlySet<string> {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  return new Set(all.filter(({ internal }) => !internal).map(({ address }) => address.replace(/%.*$/, "")));
}
