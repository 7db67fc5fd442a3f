import { readdirSync } from "node:fs";
import { join } from "node:path";
import { goModuleFolder } from "../go/build.ts";
import type { Cluster } from "./cluster.ts";

/**
 * Defines the Gateway API's resources, of 1.6.1's experimental channel: the one that serves TCPRoute both as Contour wants it (v1alpha2) and
 * as Envoy Gateway does (v1).
 */
export async function installGatewayApi(cluster: Cluster): Promise<void> {
  const folder = join(await goModuleFolder("gateway-api", "sigs.k8s.io/gateway-api"), "config/crd/experimental");
  // Not the policy that refuses other versions: a test may want to see those.
  const files = readdirSync(folder).filter(
    (file) => /^gateway\.networking\.(x-)?k8s\.io_/.test(file) && !file.includes("_vap_"),
  );
  await cluster.applyFiles(files.map((file) => join(folder, file)));
  await cluster.kubectl([
    "wait",
    "--for=condition=Established",
    "--timeout=60s",
    "crd/gateways.gateway.networking.k8s.io",
    "crd/tcproutes.gateway.networking.k8s.io",
  ]);
}

const GATEWAYS = "gateways.gateway.networking.k8s.io";

/**
 * Lets a Gateway have so many listeners: of its specification and of its status, in all versions. The API server takes no more than 213 here: what
 * compares each with each would cost too much.
 */
export async function raiseListenerLimit(cluster: Cluster, most: number): Promise<void> {
  const definition = JSON.parse(await cluster.kubectl(["get", "crd", GATEWAYS, "-o", "json"])) as {
    readonly spec: { readonly versions: readonly object[] };
  };
  const changes = definition.spec.versions.flatMap((_, version) =>
    ["spec", "status"].map((part) => ({
      ...{ op: "replace", value: most },
      path: `/spec/versions/${String(version)}/schema/openAPIV3Schema/properties/${part}/properties/listeners/maxItems`,
    })),
  );
  await cluster.kubectl(["patch", "crd", GATEWAYS, "--type=json", "-p", JSON.stringify(changes)]);
}
