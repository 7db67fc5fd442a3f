import type { AddOn } from "../../testbed/kubernetes/add-ons.ts";
import type { Cluster } from "../../testbed/kubernetes/cluster.ts";
import { applyObjects, runKubectl } from "../../testbed/kubernetes/kubectl.ts";
import { kubectlProgram } from "../../testbed/kubernetes/programs.ts";
import { startCluster, whyNoCluster } from "../../testbed/kubernetes/start-cluster.ts";
import { clusterPrefix, runProcess } from "./cluster-run.ts";

/** What tests need of any cluster. */
export interface TestCluster {
  /** Path of the file by which one may do everything. */
  readonly kubeconfig: string;
  /** Standard output. Throws where it fails, with what it said. */
  kubectl(args: readonly string[], input?: string): Promise<string>;
  /** Writes objects, whoever else has written them. */
  apply(objects: readonly object[]): Promise<void>;
}

/** The cluster that KUBECONFIG names, where it does: tests that any cluster will do for use that one. */
const NAMED = process.env.KUBECONFIG ?? "";

/** Why tests on any cluster cannot be run here; null: they can. */
export const NO_CLUSTER = NAMED === "" ? whyNoCluster() : null;
/** Why tests that kill, cut off or look into a cluster cannot be run here; null: they can. */
export const NO_OWN_CLUSTER = whyNoCluster();

/** The cluster that all tests of this run share; tests keep to namespaces of their own. Not theirs to take down. */
export async function sharedCluster(addOns: readonly AddOn[] = []): Promise<TestCluster> {
  if (NAMED === "") return ownCluster("", { with: ["dns", ...addOns] });
  const program = await kubectlProgram();
  const kubectl = (args: readonly string[], input = ""): Promise<string> =>
    runKubectl({ program, kubeconfig: NAMED }, args, input);
  const apply = async (objects: readonly object[]): Promise<void> => {
    await kubectl(...applyObjects(objects));
  };
  return { kubeconfig: NAMED, kubectl, apply };
}

/**
 * One of this run's own clusters, told apart by a letter or digit; started where it does not run. Whoever has it for themselves disposes
 * of it; else it ends with the run.
 */
export function ownCluster(
  letter: string,
  options: { readonly kind?: "node" | "api"; readonly with?: readonly AddOn[] } = {},
): Promise<Cluster> {
  return startCluster({ name: `${clusterPrefix()}${letter}`, owner: runProcess(), ...options });
}
