import type { KubernetesProviderConfig } from "../config/provider-config.ts";

/** What is configured of a cluster, in a line: which, and how its tasks are reached. */
export function providerLine({ name, kubeconfig, context, reach, gateway }: KubernetesProviderConfig): string {
  const cluster = kubeconfig ?? "the cluster that the gate is in, else kubectl's";
  return `${name}: ${cluster}${context === undefined ? "" : `, context ${context}`}; ${wayOf(reach, gateway)}`;
}

function wayOf(reach: KubernetesProviderConfig["reach"], gateway: KubernetesProviderConfig["gateway"]): string {
  if (reach === "direct") return "pods are reached by their addresses";
  if (reach === "port-forward") return "pods are reached through the API server";
  const { gateways = [], ports } = gateway ?? {};
  const names = gateways.map((each) => `${each.namespace}/${each.name} at ${each.address}`).join(", ");
  return `pods are reached through ${gateways.length === 1 ? "Gateway" : "Gateways"} ${names}, ports ${String(ports?.from)}-${String(ports?.to)}`;
}
