import { expect, test } from "vitest";
import { KubernetesProviderConfig } from "../config/provider-config.ts";
import { providerLine } from "./provider-line.ts";

test.each([
  [{ name: "here" }, "here: the cluster that the gate is in, else kubectl's; pods are reached by their addresses"],
  [
    { kubeconfig: "/k", context: "lab", reach: "port-forward" },
    "kubernetes: /k, context lab; pods are reached through the API server",
  ],
  [
    {
      kubeconfig: "/k",
      reach: "gateway-api",
      gateway: { gateways: [{ name: "a", namespace: "n", address: "10.0.0.1" }] },
    },
    "kubernetes: /k; pods are reached through Gateway n/a at 10.0.0.1, ports 32768-65535",
  ],
])("%j", (config, line) => {
  expect(providerLine(KubernetesProviderConfig.parse({ type: "kubernetes", ...config }))).toBe(line);
});
