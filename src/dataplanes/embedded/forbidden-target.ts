import { networkInterfaces } from "node:os";
import { GATE_PROVIDER, type Address } from "../../model/index.ts";
import { refuseTarget } from "../../platform/target-check.ts";

/** Providers whose tasks live on this machine. */
const LOCAL_PROVIDERS: readonly string[] = [GATE_PROVIDER, "local"];

/** Why an endpoint of this provider may not be dialled, in words that follow its address; null: it may. `ownPort` is the gate's. */
export function forbiddenTarget(address: Address, provider: string, ownPort: number): string | null {
  if ("unix" in address)
    return provider === GATE_PROVIDER ? null : "is a socket, and only the gate itself has services there";
  return refuseTarget(address.ip, address.port, {
    allowLoopback: LOCAL_PROVIDERS.includes(provider),
    ownPorts: new Set([ownPort]),
    ownAddresses: ownAddresses(),
  });
}

function ownAddresses(): Set<string> {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  return new Set(all.filter(({ internal }) => !internal).map(({ address }) => address.replace(/%.*$/, "")));
}
