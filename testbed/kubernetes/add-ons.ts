import type { Cluster } from "./cluster.ts";
import { installContour } from "./contour.ts";
import { installContourProvisioner } from "./contour-provisioner.ts";
import { installDns } from "./dns.ts";
import { addEnvoyImage } from "./envoy-image.ts";
import { installEnvoyGateway } from "./envoy-gateway.ts";
import { installPrometheusDefinitions } from "./prometheus-operator.ts";
import { installTaskGateway } from "./task-gateway.ts";
import { installTraefik } from "./traefik.ts";

/** What is put on top of a cluster, by name. */
const ADD_ONS = {
  dns: installDns,
  envoy: addEnvoyImage,
  "envoy-gateway": installEnvoyGateway,
  contour: installContour,
  "contour-provisioner": installContourProvisioner,
  "contour-tasks": (cluster: Cluster) => installTaskGateway(cluster, "contour"),
  "envoy-gateway-tasks": (cluster: Cluster) => installTaskGateway(cluster, "envoy-gateway"),
  traefik: installTraefik,
  "prometheus-definitions": installPrometheusDefinitions,
} as const;

export type AddOn = keyof typeof ADD_ONS;

export function isAddOn(name: string): name is AddOn {
  return Object.hasOwn(ADD_ONS, name);
}

export const ADD_ON_NAMES = Object.keys(ADD_ONS) as readonly AddOn[];

/** Puts it on the cluster and waits until it works. Does no harm where it is there. */
export async function installAddOn(cluster: Cluster, addOn: AddOn): Promise<void> {
  await ADD_ONS[addOn](cluster);
}
