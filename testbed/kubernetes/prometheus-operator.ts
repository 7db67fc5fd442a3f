import { join } from "node:path";
import { goModuleFolder } from "../go/build.ts";
import type { Cluster } from "./cluster.ts";

const KINDS = ["servicemonitors", "prometheusrules"] as const;

/** Defines what the Prometheus operator 0.92 is told by, for an API server that checks it; nobody acts on it. */
export async function installPrometheusDefinitions(cluster: Cluster): Promise<void> {
  const operator = "github.com/prometheus-operator/prometheus-operator";
  const folder = join(await goModuleFolder("prometheus-operator", operator), "example/prometheus-operator-crd");
  await cluster.applyFiles(KINDS.map((kind) => join(folder, `monitoring.coreos.com_${kind}.yaml`)));
  const names = KINDS.map((kind) => `crd/${kind}.monitoring.coreos.com`);
  await cluster.kubectl(["wait", "--for=condition=Established", "--timeout=60s", ...names]);
}
