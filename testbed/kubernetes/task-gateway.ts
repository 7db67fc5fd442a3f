import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { stringify } from "yaml";
import type { Cluster } from "./cluster.ts";
import { CONTOUR_PROVISIONER_CLASS, installContourProvisioner } from "./contour-provisioner.ts";
import { buildProxySettings, ENVOY_GATEWAY_CLASS, installEnvoyGateway } from "./envoy-gateway.ts";

const API = "gateway.networking.k8s.io/v1";
/** Below all ports that tasks may be given: a Gateway needs a listener. */
const PLACEHOLDER = { name: "placeholder", protocol: "TCP", port: 1024 };

/** The controllers by which tasks are reached, each with its GatewayClass. */
export const TASK_GATEWAY_CLASSES = {
  contour: CONTOUR_PROVISIONER_CLASS,
  "envoy-gateway": ENVOY_GATEWAY_CLASS,
} as const;

/** What puts each on a cluster. */
export const TASK_GATEWAY_ADD_ONS = { contour: "contour-provisioner", "envoy-gateway": "envoy-gateway" } as const;

export type TaskGatewayController = keyof typeof TASK_GATEWAY_CLASSES;

export interface TaskGatewayOptions {
  readonly name: string;
  readonly namespace: string;
  /** A ClusterIP that it is to be at, also when it is made again: `gatewayAddress` of the cluster's plan. Default: one that is free. */
  readonly address?: string;
}

/** A Gateway that works: what is sent to `address`, at a listener's port, goes through it. */
export interface TaskGateway extends TaskGatewayOptions {
  readonly address: string;
}

/** Makes a Gateway with nothing but a placeholder, and waits until its controller has made an Envoy of it that runs. */
export async function startTaskGateway(
  cluster: Cluster,
  controller: TaskGatewayController,
  options: TaskGatewayOptions,
): Promise<TaskGateway> {
  const namespace = { apiVersion: "v1", kind: "Namespace", metadata: { name: options.namespace } };
  await cluster.apply([namespace, ...BUILD[controller](options)]);
  return { ...options, address: await AWAIT[controller](cluster, options) };
}

const INSTALL = { contour: installContourProvisioner, "envoy-gateway": installEnvoyGateway } as const;

/** Puts a controller on the cluster, a Gateway `tasks` in `task-gateway`, and a gate's configuration by that into the cluster's folder. */
export async function installTaskGateway(cluster: Cluster, controller: TaskGatewayController): Promise<void> {
  await INSTALL[controller](cluster);
  const options = { name: "tasks", namespace: "task-gateway", address: cluster.plan.gatewayAddress };
  const gateways = [await startTaskGateway(cluster, controller, options)];
  const provider = { type: "kubernetes", name: cluster.name, kubeconfig: cluster.kubeconfig };
  const providers = [{ ...provider, reach: "gateway-api", gateway: { gateways } }];
  writeFileSync(configurationFile(cluster), stringify({ providers }));
}

/** Path of a gate's configuration by the Gateway that is on the cluster; null: there is none. */
export function taskGatewayConfiguration(cluster: Cluster): string | null {
  const file = configurationFile(cluster);
  return existsSync(file) ? file : null;
}

function configurationFile({ plan }: Cluster): string {
  return join(plan.folder, "taskgate.yaml");
}

const BUILD: Readonly<Record<TaskGatewayController, (options: TaskGatewayOptions) => readonly object[]>> = {
  contour({ name, namespace, address }) {
    const gateway = buildGateway("contour", { name, namespace });
    if (address === undefined) return [gateway];
    // The provisioner keeps the address of a Service that it takes for one of its own.
    const labels = { "gateway.networking.k8s.io/gateway-name": name };
    const ports = [{ name: `tcp-${String(PLACEHOLDER.port)}`, port: PLACEHOLDER.port }];
    const service = {
      ...{ apiVersion: "v1", kind: "Service", metadata: { name: `envoy-${name}`, namespace, labels } },
      spec: { clusterIP: address, ports },
    };
    return [service, gateway];
  },
  "envoy-gateway"({ name, namespace, address }) {
    if (address === undefined) return [buildGateway("envoy-gateway", { name, namespace })];
    const parametersRef = { group: "gateway.envoyproxy.io", kind: "EnvoyProxy", name };
    return [
      buildProxySettings(name, namespace, address),
      buildGateway("envoy-gateway", { name, namespace }, { infrastructure: { parametersRef } }),
    ];
  },
};

function buildGateway(
  controller: TaskGatewayController,
  metadata: { readonly name: string; readonly namespace: string },
  more: object = {},
): object {
  const allowedListeners = { namespaces: { from: "All" } };
  return {
    ...{ apiVersion: API, kind: "Gateway", metadata },
    spec: { gatewayClassName: TASK_GATEWAY_CLASSES[controller], listeners: [PLACEHOLDER], allowedListeners, ...more },
  };
}

/** Until it works; its address. */
type Await = (cluster: Cluster, gateway: TaskGatewayOptions) => Promise<string>;

const AWAIT: Readonly<Record<TaskGatewayController, Await>> = {
  async contour(cluster, { name, namespace }) {
    const own = (args: readonly string[]): Promise<string> => cluster.kubectl(["-n", namespace, ...args]);
    // It is not there at once, and the Gateway is said to be programmed before its Envoy runs.
    await own(["wait", "--for=create", `deployment/envoy-${name}`, "--timeout=60s"]);
    for (const part of ["contour", "envoy"]) await own(["rollout", "status", `deployment/${part}-${name}`]);
    await own(["wait", "--for=condition=Programmed", `gateway/${name}`, "--timeout=60s"]);
    return own(["get", "service", `envoy-${name}`, "-o", "jsonpath={.spec.clusterIP}"]);
  },
  async "envoy-gateway"(cluster, { name, namespace }) {
    const own = (args: readonly string[]): Promise<string> => cluster.kubectl(["-n", namespace, ...args]);
    await own(["wait", "--for=condition=Programmed", `gateway/${name}`, "--timeout=120s"]);
    return own(["get", "gateway", name, "-o", "jsonpath={.status.addresses[0].value}"]);
  },
};
