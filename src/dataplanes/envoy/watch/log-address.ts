import { addressText } from "../../../model/index.ts";
import { GATE_LISTENER } from "../names.ts";
import type { LogAddress } from "./entry-messages.ts";

/** Whether it is the gate itself, which every service falls back to. */
export function isGate(address: LogAddress | undefined): boolean {
  return address?.envoyInternalAddress?.serverListenerName === GATE_LISTENER;
}

/** As `addressText` spells it; null: there is none. */
export function textOf(address: LogAddress | undefined): string | null {
  const { socketAddress, pipe } = address ?? {};
  if (pipe?.path !== undefined) return addressText({ unix: pipe.path });
  if (socketAddress?.address === undefined) return null;
  return addressText({ ip: socketAddress.address, port: socketAddress.portValue ?? 0 });
}
