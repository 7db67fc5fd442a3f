import type { Clock } from "../clock.ts";
import { inCluster, isInCluster, type Cluster } from "./cluster.ts";
import { kubeconfigPaths, loadKubeconfig } from "./kubeconfig.ts";

export interface WhichCluster {
  /** Path of a kubeconfig file; absent: the cluster of the pod that this process runs in, else where kubectl looks. */
  readonly kubeconfig?: string | undefined;
  /** A context of the kubeconfig; absent: its current one. */
  readonly context?: string | undefined;
}

/** The cluster that is meant. Throws `bad_request` or `unavailable`. */
export async function findCluster(which: WhichCluster, environment: NodeJS.ProcessEnv, clock: Clock): Promise<Cluster> {
  const { kubeconfig, context } = which;
  if (kubeconfig === undefined && context === undefined && isInCluster(environment)) {
    return await inCluster(environment, clock);
  }
  const paths = kubeconfig === undefined ? kubeconfigPaths(environment) : [kubeconfig];
  return await loadKubeconfig(paths, context ?? null, clock);
}
