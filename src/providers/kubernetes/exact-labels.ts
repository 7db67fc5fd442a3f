/** A pod, as far as its maker's labels tell it from others. */
export interface LabelledPod {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  /** What made it; null: nobody answers for it. */
  readonly controller: { readonly kind: string; readonly name: string } | null;
}

type Rule = (pod: LabelledPod) => Readonly<Record<string, string>> | null;

const same = (labels: LabelledPod["labels"], ...names: readonly string[]): Readonly<Record<string, string>> | null => {
  const pairs = names.flatMap((name) => (labels[name] === undefined ? [] : [[name, labels[name]] as const]));
  return pairs.length === names.length ? Object.fromEntries(pairs) : null;
};

/** Labels that makers of pods write so that they are no others' in the namespace; the first rule that fits counts. */
const RULES: readonly Rule[] = [
  // Of Determined's master: all pods of one allocation.
  ({ labels }) => same(labels, "determined"),
  // Of the StatefulSet's controller: one pod.
  ({ name, labels }) => (labels["statefulset.kubernetes.io/pod-name"] === name ? same(labels, "statefulset.kubernetes.io/pod-name") : null), // prettier-ignore
  // Of the Job's controller: all pods of it, by the name that Kubernetes has given it since 1.27, and by the one before.
  ({ labels, controller }) => jobLabel("batch.kubernetes.io/job-name", labels, controller),
  ({ labels, controller }) => jobLabel("job-name", labels, controller),
  // Executors have the same application.
  ({ labels }) => same(labels, "spark-app-selector", "spark-role"),
  ({ labels }) => (labels["ray.io/node-type"] === "head" ? same(labels, "ray.io/cluster", "ray.io/node-type") : null),
];

function jobLabel(
  label: string,
  labels: LabelledPod["labels"],
  controller: LabelledPod["controller"],
): Readonly<Record<string, string>> | null {
  return controller?.kind === "Job" && labels[label] === controller.name ? same(labels, label) : null;
}

/** Labels that this pod has, and beside it at most others of the same maker; null: nothing tells it from others. */
export function exactLabels(pod: LabelledPod): Readonly<Record<string, string>> | null {
  for (const rule of RULES) {
    const labels = rule(pod);
    if (labels !== null) return labels;
  }
  return null;
}

/**
 * One selector for several pods, and for none of `others`: labels with the values that they have. null: there is none, as where a pod has no
 * such labels, or more than one label differs.
 */
export function commonSelector(
  pods: readonly (Readonly<Record<string, string>> | null)[],
  others: readonly (Readonly<Record<string, string>> | null)[],
): Readonly<Record<string, readonly string[]>> | null {
  const [first] = pods;
  if (first === undefined || first === null) return null;
  const names = Object.keys(first);
  const values = new Map(names.map((name) => [name, new Set<string>()]));
  for (const pod of pods) {
    if (pod === null || Object.keys(pod).length !== names.length) return null;
    for (const name of names) {
      const value = pod[name];
      if (value === undefined) return null;
      values.get(name)?.add(value);
    }
  }
  if ([...values.values()].filter(({ size }) => size > 1).length > 1) return null;
  // Of others nothing is known where they have no such labels: they may have these.
  const isPicked = (pod: Readonly<Record<string, string>> | null): boolean =>
    pod !== null && names.every((name) => values.get(name)?.has(pod[name] ?? "") === true);
  if (others.some(isPicked)) return null;
  return Object.fromEntries([...values].map(([name, set]) => [name, [...set].sort()]));
}
