import { cpSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseAllDocuments } from "yaml";
import { envoyProgram } from "../envoy.ts";
import { buildGoPrograms, goModuleFolder } from "../go/build.ts";
import { runProgram } from "../run-program.ts";
import type { Cluster } from "./cluster.ts";
import { installGatewayApi } from "./gateway-api.ts";
import { ENVOY_IMAGE } from "./images.ts";

const VERSION = "v1.33.8";
export const CONTOUR_IMAGE = "testbed.local/contour:1";
const NAMESPACE = "projectcontour";
/** Of the GatewayClass; the one Gateway that Contour serves is `contour` in `projectcontour`. */
const CLASS = "contour";

/**
 * Contour as its project ships it, for HTTPProxy, Ingress and one Gateway, whose listeners whoever uses it changes. Its Envoy is at the
 * node's address, ports 80 and 443; what listens at another port does at that plus 8000, on the Envoy's pod.
 */
export async function installContour(cluster: Cluster): Promise<void> {
  const built = await contour();
  await cluster.addImages([
    { name: CONTOUR_IMAGE, program: join(built, "contour"), also: "/bin/contour" },
    { name: ENVOY_IMAGE, program: await envoyProgram() },
  ]);
  await installGatewayApi(cluster);
  const objects = readManifests(join(built, "manifests")).map((object) =>
    object.kind === "ConfigMap" ? buildConfiguration(cluster.plan.nodeAddress) : object,
  );
  await applyInOrder(cluster, [...objects, ...buildGateway()]);
  for (const workload of ["deployment/contour", "daemonset/envoy"]) {
    await cluster.kubectl(["-n", NAMESPACE, "rollout", "status", workload, "--timeout=120s"]);
  }
}

/** Folder of the program, and of its project's manifests: `manifests`, and the provisioner's, `provisioner`. */
export function contour(): Promise<string> {
  return buildGoPrograms({
    module: "contour",
    recipe: ["go.mod", "go.sum", "programs.go"],
    name: `contour-${VERSION}-2`,
    what: `building Contour ${VERSION} (once, about two minutes)`,
    packages: ["github.com/projectcontour/contour/cmd/contour"],
    async addFiles(folder) {
      const module = await goModuleFolder("contour", "github.com/projectcontour/contour");
      cpSync(join(module, "examples/contour"), join(folder, "manifests"), { recursive: true });
      cpSync(join(module, "examples/gateway-provisioner"), join(folder, "provisioner"), { recursive: true });
      await runProgram("chmod", ["-R", "u+w", join(folder, "manifests"), join(folder, "provisioner")]);
    },
  });
}

/** What is in its project's files. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly spec?: unknown;
  readonly data?: unknown;
}

/** First what the others are of or in. */
export async function applyInOrder(cluster: Cluster, objects: readonly Manifest[]): Promise<void> {
  const isFirst = ({ kind }: Manifest): boolean => kind === "Namespace" || kind === "CustomResourceDefinition";
  await cluster.apply(objects.filter(isFirst));
  await cluster.kubectl(["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"]);
  await cluster.apply(objects.filter((object) => !isFirst(object)));
}

/** What is in a folder of its project's, as it is on this testbed. */
export function readManifests(folder: string): readonly Manifest[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith(".yaml"))
    .flatMap((file) => parseAllDocuments(adapt(readFileSync(join(folder, file), "utf8")), { version: "1.1" }))
    .map((document) => document.toJS() as Manifest | null)
    .filter((object) => object !== null);
}

/** Images of this testbed's, where programs are on the PATH; one Contour is enough; nothing waits for connections to end. */
function adapt(manifests: string): string {
  return manifests
    .replaceAll(/ghcr\.io\/projectcontour\/contour:\S+/g, CONTOUR_IMAGE)
    .replaceAll(/docker\.io\/envoyproxy\/envoy:\S+/g, ENVOY_IMAGE)
    .replaceAll("imagePullPolicy: IfNotPresent", "imagePullPolicy: Never")
    .replaceAll("/bin/contour", "contour")
    .replaceAll("replicas: 2", "replicas: 1")
    .replaceAll("terminationGracePeriodSeconds: 300", "terminationGracePeriodSeconds: 5")
    .replaceAll("externalTrafficPolicy: Local", "sessionAffinity: None")
    .replaceAll("type: LoadBalancer", "type: ClusterIP");
}

function buildConfiguration(address: string): Manifest {
  const configuration = {
    gateway: { gatewayRef: { name: CLASS, namespace: NAMESPACE } },
    "ingress-status-address": address,
  };
  const data = { "contour.yaml": JSON.stringify(configuration) };
  return { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "contour", namespace: NAMESPACE }, data };
}

function buildGateway(): readonly Manifest[] {
  const apiVersion = "gateway.networking.k8s.io/v1";
  const everywhere = { namespaces: { from: "All" } };
  return [
    {
      ...{ apiVersion, kind: "GatewayClass", metadata: { name: CLASS } },
      spec: { controllerName: "projectcontour.io/gateway-controller" },
    },
    {
      ...{ apiVersion, kind: "Gateway", metadata: { name: CLASS, namespace: NAMESPACE } },
      spec: {
        gatewayClassName: CLASS,
        listeners: [{ name: "http", protocol: "HTTP", port: 80, allowedRoutes: everywhere }],
      },
    },
  ];
}
