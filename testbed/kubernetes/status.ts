import { clusterNames, isRunning, planOf, readRecord } from "./cluster-record.ts";
import { adminKubeconfig } from "./kubeconfig.ts";
import { isAlive } from "./node.ts";

export interface ClusterStatus {
  readonly name: string;
  /** `broken`: not all that was started of it runs, or it did not come to the end of its start, or has not yet. */
  readonly state: "running" | "broken";
  readonly server: string;
  readonly kubeconfig: string;
  readonly nodeAddress: string;
  readonly podRange: string;
  readonly serviceRange: string;
  readonly addOns: readonly string[];
  readonly parts: readonly { readonly name: string; readonly pid: number; readonly running: boolean }[];
}

export function statusOfClusters(): readonly ClusterStatus[] {
  return clusterNames().flatMap((name): ClusterStatus[] => {
    const record = readRecord(name);
    if (record === null) return [];
    const { server, folder, nodeAddress, podRange, serviceRange } = planOf(record);
    const parts = Object.entries(record.parts).map(([part, { process }]) => ({
      ...{ name: part, pid: process.pid, running: isAlive(process) },
    }));
    return [
      {
        ...{ name, state: isRunning(record) ? "running" : "broken", server, kubeconfig: adminKubeconfig(folder) },
        ...{ nodeAddress, podRange, serviceRange, addOns: record.addOns, parts },
      },
    ];
  });
}

/** For people. */
export function describeClusters(clusters: readonly ClusterStatus[]): string {
  if (clusters.length === 0) return "no cluster: npm run testbed -- up\n";
  return clusters.map(describeCluster).join("\n");
}

function describeCluster(cluster: ClusterStatus): string {
  const { name, state, server, kubeconfig, podRange, serviceRange, addOns } = cluster;
  const parts = cluster.parts.map(
    ({ name, pid, running }) => `  ${name.padEnd(24)} ${running ? String(pid) : "gone"}\n`,
  );
  return `${name}: ${state}
  API         ${server}
  kubeconfig  ${kubeconfig}
  addresses   node ${cluster.nodeAddress}, pods ${podRange}, Services ${serviceRange}
  on top      ${addOns.join(", ") || "nothing"}
${parts.join("")}`;
}
