import { clusterNames } from "../../testbed/kubernetes/cluster-record.ts";
import { removeCluster } from "../../testbed/kubernetes/remove-cluster.ts";

/** By Vitest, around a run: files of tests share clusters, which end with it. */
export function setup(): () => Promise<void> {
  process.env.TASKGATE_TEST_RUN = String(process.pid);
  return async () => {
    for (const name of clusterNames()) if (name.startsWith(clusterPrefix())) await removeCluster(name);
  };
}

/** The process that all tests of this run are of. */
export function runProcess(): number {
  return Number(process.env.TASKGATE_TEST_RUN ?? process.pid);
}

/** What the names of this run's clusters begin with: runs may go on side by side. */
export function clusterPrefix(): string {
  return `t${runProcess().toString(36)}x`;
}
