import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { buildOnce } from "../build-once.ts";
import { TRAEFIK_VERSION, traefikModule, traefikProgram } from "../traefik.ts";
import type { Cluster } from "./cluster.ts";
import { installGatewayApi } from "./gateway-api.ts";

const IMAGE = "testbed.local/traefik:1";
const NAMESPACE = "traefik";
const NAME = "traefik";
const LABELS = { app: NAME };
/** Where its module has its own resources. */
const DEFINITIONS = "docs/content/reference/dynamic-configuration";
const FILE = "kubernetes-crd-definition-v1.yml";
const PORTS = [
  { name: "web", port: 80, targetPort: 8000 },
  { name: "api", port: 8080, targetPort: 8080 },
] as const;

/**
 * Traefik for Ingress, its own resources (IngressRoute and the rest) and Gateways of the class `traefik`, at the ClusterIP of the Service
 * `traefik` in the namespace of that name. Builds it where nobody has yet (six minutes).
 */
export async function installTraefik(cluster: Cluster): Promise<void> {
  await cluster.addImages([{ name: IMAGE, program: await traefikProgram(true) }]);
  await installGatewayApi(cluster);
  const definitions = await traefikDefinitions();
  await cluster.applyFiles([join(definitions, FILE)]);
  await cluster.kubectl(["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"]);
  await cluster.apply([...buildRights(), ...buildWorkload()]);
  await cluster.kubectl(["-n", NAMESPACE, "rollout", "status", `deployment/${NAME}`, "--timeout=120s"]);
}

/** Folder of the definitions of its resources. */
function traefikDefinitions(): Promise<string> {
  const what = "fetching the definitions of Traefik's resources (once, seconds)";
  return buildOnce(`traefik-definitions-${TRAEFIK_VERSION}`, what, async (folder) => {
    const module = await traefikModule();
    copyFileSync(join(module, DEFINITIONS, FILE), join(folder, FILE));
  });
}

function buildRights(): readonly object[] {
  const account = { kind: "ServiceAccount", name: NAME, namespace: NAMESPACE };
  return [
    { apiVersion: "v1", kind: "Namespace", metadata: { name: NAMESPACE } },
    { apiVersion: "v1", kind: account.kind, metadata: { name: NAME, namespace: NAMESPACE } },
    {
      ...{ apiVersion: "rbac.authorization.k8s.io/v1", kind: "ClusterRoleBinding", metadata: { name: NAME } },
      // What it may do is no matter on a testbed.
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "cluster-admin" },
      subjects: [account],
    },
    {
      ...{ apiVersion: "networking.k8s.io/v1", kind: "IngressClass", metadata: { name: NAME } },
      spec: { controller: "traefik.io/ingress-controller" },
    },
    {
      ...{ apiVersion: "gateway.networking.k8s.io/v1", kind: "GatewayClass", metadata: { name: NAME } },
      spec: { controllerName: "traefik.io/gateway-controller" },
    },
  ];
}

function buildWorkload(): readonly object[] {
  const providers = [
    "kubernetesIngress",
    "kubernetesCRD",
    "kubernetesGateway",
    "kubernetesGateway.experimentalChannel",
  ];
  const container = {
    ...{ name: NAME, image: IMAGE, imagePullPolicy: "Never" },
    args: [
      ...providers.map((provider) => `--providers.${provider}=true`),
      ...["--providers.kubernetesCRD.allowCrossNamespace=true", "--api.insecure=true", "--ping=true"],
      ...["--entryPoints.web.address=:8000", "--entryPoints.traefik.address=:8080", "--global.checkNewVersion=false"],
    ],
    ports: PORTS.map(({ name, targetPort }) => ({ name, containerPort: targetPort })),
    readinessProbe: { httpGet: { path: "/ping", port: 8080 }, periodSeconds: 1 },
  };
  return [
    {
      ...{ apiVersion: "apps/v1", kind: "Deployment", metadata: { name: NAME, namespace: NAMESPACE, labels: LABELS } },
      spec: {
        selector: { matchLabels: LABELS },
        template: { metadata: { labels: LABELS }, spec: { serviceAccountName: NAME, containers: [container] } },
      },
    },
    {
      ...{ apiVersion: "v1", kind: "Service", metadata: { name: NAME, namespace: NAMESPACE, labels: LABELS } },
      spec: { selector: LABELS, ports: PORTS },
    },
  ];
}
