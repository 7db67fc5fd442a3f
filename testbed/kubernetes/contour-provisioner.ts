import { join } from "node:path";
import { envoyProgram } from "../envoy.ts";
import type { Cluster } from "./cluster.ts";
import { applyInOrder, contour, CONTOUR_IMAGE, type Manifest, readManifests } from "./contour.ts";
import { installGatewayApi } from "./gateway-api.ts";
import { ENVOY_IMAGE } from "./images.ts";

const NAMESPACE = "projectcontour";
/** Of the GatewayClass. */
export const CONTOUR_PROVISIONER_CLASS = "contour-provisioner";
const PROVISIONER = "contour-gateway-provisioner";
/** Not the name that `contour`, which may be on the same cluster, goes by. */
const CONTROLLER = "projectcontour.io/gateway-provisioner";
/** Requests per second. */
const CLIENT_RATE = 200;

/**
 * Contour by its project's provisioner of Gateways: one of the class `contour-provisioner` gets a Contour and an Envoy of its own, and at the
 * ClusterIP of its Service `envoy-NAME` each listener has the port that it names. It may write more than five statuses per second, which the
 * provisioner itself has no setting for: docs/gateway-controllers.md says why.
 */
export async function installContourProvisioner(cluster: Cluster): Promise<void> {
  const built = await contour();
  await cluster.addImages([
    { name: CONTOUR_IMAGE, program: join(built, "contour"), also: "/bin/contour" },
    { name: ENVOY_IMAGE, program: await envoyProgram() },
  ]);
  await installGatewayApi(cluster);
  const definitions = readManifests(join(built, "manifests")).filter(({ kind }) => kind === "CustomResourceDefinition");
  const provisioner = readManifests(join(built, "provisioner")).map((object) =>
    object.kind === "Deployment" ? addArguments(object as Workload) : object,
  );
  await applyInOrder(cluster, [...definitions, ...buildClientRate(), ...provisioner, ...buildClass()]);
  await cluster.kubectl(["-n", NAMESPACE, "rollout", "status", `deployment/${PROVISIONER}`, "--timeout=120s"]);
  const accepted = ["--for=condition=Accepted", `gatewayclass/${CONTOUR_PROVISIONER_CLASS}`, "--timeout=60s"];
  await cluster.kubectl(["wait", ...accepted]);
}

interface Workload extends Manifest {
  readonly spec: { readonly template: { readonly spec: { readonly containers: readonly { args: string[] }[] } } };
}

function addArguments(workload: Workload): Workload {
  for (const { args } of workload.spec.template.spec.containers) {
    args.push(`--contour-image=${CONTOUR_IMAGE}`, `--envoy-image=${ENVOY_IMAGE}`);
    args.push(`--gateway-controller-name=${CONTROLLER}`);
  }
  return workload;
}

function buildClass(): readonly Manifest[] {
  const parameters = { group: "projectcontour.io", kind: "ContourDeployment", name: "testbed", namespace: NAMESPACE };
  return [
    {
      ...{ apiVersion: "projectcontour.io/v1alpha1", kind: parameters.kind },
      metadata: { name: parameters.name, namespace: NAMESPACE },
      spec: {
        contour: { deployment: { replicas: 1 } },
        envoy: {
          ...{ workloadType: "Deployment", deployment: { replicas: 1 } },
          // Nothing gives Services of the type LoadBalancer an address here.
          networkPublishing: { type: "ClusterIPService" },
        },
      },
    },
    {
      ...{ apiVersion: "gateway.networking.k8s.io/v1", kind: "GatewayClass" },
      metadata: { name: CONTOUR_PROVISIONER_CLASS },
      spec: { controllerName: CONTROLLER, parametersRef: parameters },
    },
  ];
}

/** Adds to what the provisioner writes of each Contour's Deployment. */
function buildClientRate(): readonly Manifest[] {
  const apiVersion = "admissionregistration.k8s.io/v1";
  const metadata = { name: "contour-client-rate" };
  const args = [
    `--kubernetes-client-qps=${String(CLIENT_RATE)}`,
    `--kubernetes-client-burst=${String(2 * CLIENT_RATE)}`,
  ];
  const add = (value: string): string =>
    `JSONPatch{op: "add", path: "/spec/template/spec/containers/0/args/-", value: "${value}"}`;
  const labels = {
    "app.kubernetes.io/managed-by": "contour-gateway-provisioner",
    "app.kubernetes.io/component": "ingress-controller",
  };
  const deployments = {
    apiGroups: ["apps"],
    apiVersions: ["v1"],
    operations: ["CREATE", "UPDATE"],
    resources: ["deployments"],
  };
  const of = "object.spec.template.spec.containers[0]";
  return [
    {
      ...{ apiVersion, kind: "MutatingAdmissionPolicy", metadata },
      spec: {
        matchConstraints: { resourceRules: [deployments], objectSelector: { matchLabels: labels } },
        // The Envoys' have the same labels.
        matchConditions: [
          { name: "contour", expression: `${of}.name == "contour"` },
          { name: "once", expression: `!${of}.args.exists(arg, arg.startsWith("--kubernetes-client-qps"))` },
        ],
        ...{ failurePolicy: "Fail", reinvocationPolicy: "Never" },
        mutations: [{ patchType: "JSONPatch", jsonPatch: { expression: `[${args.map(add).join(", ")}]` } }],
      },
    },
    { ...{ apiVersion, kind: "MutatingAdmissionPolicyBinding", metadata }, spec: { policyName: metadata.name } },
  ];
}
