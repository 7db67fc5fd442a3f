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
