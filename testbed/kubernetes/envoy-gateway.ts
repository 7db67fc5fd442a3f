import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { envoyProgram } from "../envoy.ts";
import { buildGoPrograms, goModuleFolder } from "../go/build.ts";
import { runProgram } from "../run-program.ts";
import type { Cluster } from "./cluster.ts";
import { installGatewayApi } from "./gateway-api.ts";
import { ENVOY_IMAGE } from "./images.ts";

const VERSION = "v1.9.1";
const IMAGE = "testbed.local/envoy-gateway:1";
const NAMESPACE = "envoy-gateway-system";
/** Of the GatewayClass. */
export const ENVOY_GATEWAY_CLASS = "envoy-gateway";

/** Envoy Gateway by its own chart. Gateways of the class `envoy-gateway` get an Envoy each, at a Service's ClusterIP. */
export async function installEnvoyGateway(cluster: Cluster): Promise<void> {
  const built = await envoyGateway();
  await cluster.addImages([
    { name: IMAGE, program: join(built, "envoy-gateway") },
    { name: ENVOY_IMAGE, program: await envoyProgram() },
  ]);
  await installGatewayApi(cluster);
  const definitions = join(built, "chart/charts/crds/crds/generated");
  await cluster.applyFiles([definitions]);
  const release = [
    "upgrade",
    "--install",
    "envoy-gateway",
    join(built, "chart"),
    "--namespace",
    NAMESPACE,
    "--create-namespace",
  ];
  await cluster.helm([...release, "--set", "crds.enabled=false", "--wait", "--timeout", "120s"]);
  await cluster.apply(buildClass());
  await cluster.kubectl(["wait", "--for=condition=Accepted", `gatewayclass/${ENVOY_GATEWAY_CLASS}`, "--timeout=60s"]);
}

/** Folder of the program, and of its chart as that is released. */
export function envoyGateway(): Promise<string> {
  return buildGoPrograms({
    module: "envoy-gateway",
    recipe: ["go.mod", "go.sum", "programs.go"],
    name: `envoy-gateway-${VERSION}`,
    what: `building Envoy Gateway ${VERSION} (once, about three minutes)`,
    packages: ["github.com/envoyproxy/gateway/cmd/envoy-gateway"],
    async addFiles(folder) {
      const module = await goModuleFolder("envoy-gateway", "github.com/envoyproxy/gateway");
      const chart = join(folder, "chart");
      cpSync(join(module, "charts/gateway-helm"), chart, { recursive: true });
      await runProgram("chmod", ["-R", "u+w", chart]);
      const template = readFileSync(join(chart, "values.tmpl.yaml"), "utf8");
      const values = template.replace("${GatewayImage}", IMAGE).replace("${GatewayImagePullPolicy}", "Never");
      writeFileSync(join(chart, "values.yaml"), values);
    },
  });
}

/** How Envoys of Gateways are run here; by the settings of one, at a ClusterIP that is known. */
export function buildProxySettings(name: string, namespace: string, address?: string): object {
  const patch = address === undefined ? {} : { patch: { value: { spec: { clusterIP: address } } } };
  // Nothing gives Services of the type LoadBalancer an address here.
  const envoyService = { type: "ClusterIP", ...patch };
  const kubernetes = { envoyDeployment: { container: { image: ENVOY_IMAGE } }, envoyService };
  return {
    ...{ apiVersion: "gateway.envoyproxy.io/v1alpha1", kind: "EnvoyProxy", metadata: { name, namespace } },
    spec: { provider: { type: "Kubernetes", kubernetes } },
  };
}

function buildClass(): readonly object[] {
  const proxy = { group: "gateway.envoyproxy.io", kind: "EnvoyProxy", name: "testbed", namespace: NAMESPACE };
  return [
    buildProxySettings(proxy.name, proxy.namespace),
    {
      ...{ apiVersion: "gateway.networking.k8s.io/v1", kind: "GatewayClass", metadata: { name: ENVOY_GATEWAY_CLASS } },
      spec: { controllerName: "gateway.envoyproxy.io/gatewayclass-controller", parametersRef: proxy },
    },
  ];
}
