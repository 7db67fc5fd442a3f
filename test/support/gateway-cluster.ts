import type { KubernetesClient } from "../../src/platform/kubernetes/client.ts";
import { GATE_LABEL } from "../../src/platform/kubernetes/gate-marks.ts";
import { GATEWAY_GROUP, listenerSets, tcpRoutes } from "../../src/platform/kubernetes/gateway-objects.ts";
import { ScriptedController, statusWriter } from "../../src/reach/gateway-api/testing/scripted-controller.ts";
import type { Cluster } from "../../testbed/kubernetes/cluster.ts";
import { installGatewayApi } from "../../testbed/kubernetes/gateway-api.ts";
import { ownCluster } from "./cluster.ts";
import { GATEWAY_NAMESPACE } from "./gateway-stand.ts";

/** An API server of its own with what the Gateway API has, and the namespaces that tests use; whoever has it disposes of it. */
export async function startGatewayCluster(letter: string): Promise<Cluster> {
  const cluster = await ownCluster(letter, { kind: "api" });
  await installGatewayApi(cluster);
  for (const name of [GATEWAY_NAMESPACE, "team"]) await cluster.kubectl(["create", "namespace", name]);
  return cluster;
}

/** In place of a controller; whoever has it disposes of it. */
export function startController(client: KubernetesClient, version = "v1"): ScriptedController {
  return new ScriptedController({
    ...{ client, routes: tcpRoutes(version), sets: listenerSets(GATEWAY_GROUP, "v1") },
    writeStatus: statusWriter(client),
  });
}

/** Removes all Gateways, and all that gates made. */
export async function clearGateways(cluster: Cluster): Promise<void> {
  await cluster.kubectl(["delete", "gateways", "--all", "-n", GATEWAY_NAMESPACE]);
  const kinds = "services,endpointslices,tcproutes,listenersets";
  await cluster.kubectl(["delete", kinds, "-A", "-l", GATE_LABEL]);
}
