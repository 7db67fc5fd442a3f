/**
 * Labels by which controllers say which part of a job a pod is, in their order: the first that is there counts. A kind goes before the number
 * where each kind counts from 0.
 */
const RANKS: readonly { readonly index: string; readonly kind?: string }[] = [
  { index: "taskgate.dev/rank" },
  { index: "training.kubeflow.org/replica-index", kind: "training.kubeflow.org/replica-type" },
  { index: "leaderworkerset.sigs.k8s.io/worker-index", kind: "leaderworkerset.sigs.k8s.io/group-index" },
  { index: "batch.kubernetes.io/job-completion-index" },
  { index: "apps.kubernetes.io/pod-index" },
];

/** Of a label's value, what a replica may be called. */
const NAME = /^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/;

/** A name for a pod within its task that outlives the pod, as `0` or `worker-1`; null: nothing says so. */
export function rankOf(labels: Readonly<Record<string, string>>): string | null {
  for (const { index, kind } of RANKS) {
    const number = labels[index];
    if (number === undefined) continue;
    const rank = kind === undefined ? number : `${labels[kind]?.toLowerCase() ?? ""}-${number}`.replace(/^-/, "");
    if (NAME.test(rank)) return rank;
  }
  return null;
}
