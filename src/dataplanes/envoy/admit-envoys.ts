import { LOCAL_FLEET } from "./names.ts";
import type { FleetSettings } from "./resources/settings.ts";
import type { Admit } from "./xds/ads-stream.ts";

/** Envoys that run elsewhere. */
export interface RemoteFleet extends FleetSettings {
  /** One of these names is in the certificate of each of its Envoys. */
  readonly clients: readonly string[];
}

/** Who is of which fleet: the local one by its socket, others by their certificates. */
export function createAdmit(fleets: readonly RemoteFleet[]): Admit {
  const byName = new Map(fleets.map((fleet) => [fleet.name, fleet]));
  return ({ cluster }, peer) => {
    if (peer.kind === "unix") return { fleet: LOCAL_FLEET };
    const fleet = byName.get(cluster);
    if (fleet === undefined) return { refused: "denied", message: `there is no fleet ${cluster}` };
    if (peer.kind === "loopback" || fleet.clients.some((name) => peer.names.includes(name))) return { fleet: cluster };
    return { refused: "denied", message: `the certificate names none of the clients of fleet ${cluster}` };
  };
}
