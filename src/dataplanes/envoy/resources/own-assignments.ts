import { CONTROL_CLUSTER, GATE_CLUSTER } from "../names.ts";
import { ClusterLoadAssignment } from "../proto/tables/endpoint.ts";
import type { Resource } from "../resource.ts";

export interface OwnAddresses {
  /** IP address; null: nobody is told. */
  readonly advertise: string | null;
  readonly address: { readonly port: number };
  readonly gateAddress: { readonly port: number };
}

/**
 * Where this very gate is, by an IP address: for Envoys whose bootstrap leads to several gates. So the one that tells an Envoy what there is
 * hears all of it, too: what it holds another could neither end nor tell from what nobody holds.
 */
export function ownAssignments(own: OwnAddresses | null): readonly Resource[] {
  if (typeof own?.advertise !== "string") return [];
  const { advertise: ip, address, gateAddress } = own;
  const assignment = (name: string, portValue: number): Resource => ({
    ...{ type: ClusterLoadAssignment.name, name, fleet: null, subject: "envoy" },
    body: {
      clusterName: name,
      endpoints: [{ lbEndpoints: [{ endpoint: { address: { socketAddress: { address: ip, portValue } } } }] }],
    },
  });
  return [assignment(CONTROL_CLUSTER, address.port), assignment(GATE_CLUSTER, gateAddress.port)];
}
