import type { Address } from "../../../model/index.ts";
import { GATE_LISTENER } from "../names.ts";
import type { Address as EnvoyAddress } from "../proto/tables/address.ts";

export function addressOf(address: Address): EnvoyAddress {
  if ("unix" in address) return { pipe: { path: address.unix } };
  return { socketAddress: { address: address.ip, portValue: address.port } };
}

/** The gate itself, which says why nothing else answers: in every fleet at the same address. */
export const GATE_ADDRESS: EnvoyAddress = Object.freeze({
  envoyInternalAddress: { serverListenerName: GATE_LISTENER, endpointId: "gate" },
});
