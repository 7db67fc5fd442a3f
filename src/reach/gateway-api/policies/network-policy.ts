import {
  NAMESPACE_NAME_LABEL,
  type LabelSelector,
  type NetworkPolicy,
  type NetworkPolicyIngress,
  type NetworkPolicyPeer,
  type NetworkPolicyPort,
} from "../../../platform/kubernetes/network-policy-objects.ts";
import { GATE_LABEL } from "../../../platform/kubernetes/gate-marks.ts";
import { shortHash } from "../marks.ts";

/** Annotation of a policy: for which task. */
export const TASK_ANNOTATION = "taskgate.dev/task";

const LAST_PORT = 65_535;

/** Pods, by the namespace that they are in and labels that they have. */
export interface PodsOf {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** Of one task, what a policy is to be about. */
export interface Guarded {
  readonly task: string;
  readonly namespace: string;
  /** Labels, and of each the values, that its pods have and no others. */
  readonly pods: Readonly<Record<string, readonly string[]>>;
  /** TCP, that only the Gateways' pods, and the task's own, are to reach; not empty. */
  readonly ports: readonly number[];
}

/**
 * Lets none but the Gateways' pods, and the task's own, reach the ports, and everybody reach the rest. Policies add up: there must be one for all
 * ports of a pod, since another one's rest would be these; and none that closes more.
 */
export function buildPolicy(guarded: Guarded, gateways: readonly PodsOf[], mark: string): NetworkPolicy {
  const podSelector = selectorOf(guarded.pods);
  const ingress: NetworkPolicyIngress[] = [
    {
      from: [...gateways.map(peerOf), { podSelector }],
      ports: guarded.ports.map((port) => ({ protocol: "TCP", port })),
    },
    { ports: [...openRanges(guarded.ports), { protocol: "UDP" }, { protocol: "SCTP" }] },
  ];
  return {
    metadata: {
      name: policyName(guarded.task, mark),
      namespace: guarded.namespace,
      labels: { [GATE_LABEL]: mark },
      annotations: { [TASK_ANNOTATION]: guarded.task },
    },
    spec: { podSelector, policyTypes: ["Ingress"], ingress },
  };
}

/** The same for the same task of the same gates. */
function policyName(task: string, mark: string): string {
  return `taskgate-${shortHash(`${mark} ${task}`)}`;
}

/** All TCP ports but these. */
export function openRanges(ports: readonly number[]): readonly NetworkPolicyPort[] {
  const closed = [...new Set(ports)].sort((a, b) => a - b);
  const ranges: NetworkPolicyPort[] = [];
  let from = 1;
  for (const port of [...closed, LAST_PORT + 1]) {
    if (port > from) ranges.push({ protocol: "TCP", port: from, ...(port - 1 > from ? { endPort: port - 1 } : {}) });
    from = port + 1;
  }
  return ranges;
}

function selectorOf(pods: Guarded["pods"]): LabelSelector {
  const all = Object.entries(pods).sort(([a], [b]) => (a < b ? -1 : 1));
  const several = all.filter(([, values]) => values.length !== 1);
  return {
    matchLabels: Object.fromEntries(
      all.flatMap(([key, values]) => (values.length === 1 ? [[key, values[0] ?? ""]] : [])),
    ),
    ...(several.length === 0
      ? {}
      : { matchExpressions: several.map(([key, values]) => ({ key, operator: "In", values })) }),
  };
}

function peerOf({ namespace, labels }: PodsOf): NetworkPolicyPeer {
  return {
    namespaceSelector: { matchLabels: { [NAMESPACE_NAME_LABEL]: namespace } },
    podSelector: { matchLabels: labels },
  };
}

/** Whether a policy of somebody's may be about pods with these labels: what their other labels are, nobody here knows. */
export function mayPick({ spec }: NetworkPolicy, pods: Guarded["pods"]): boolean {
  if (spec?.policyTypes?.includes("Ingress") === false) return false;
  const { matchLabels = {}, matchExpressions = [] } = spec?.podSelector ?? {};
  const isOther = Object.entries(matchLabels).some(([key, value]) => pods[key]?.includes(value) === false);
  return !isOther && !matchExpressions.some((expression) => excludes(expression, pods));
}

function excludes(
  { key, operator, values = [] }: NonNullable<LabelSelector["matchExpressions"]>[number],
  pods: Guarded["pods"],
): boolean {
  const own = pods[key];
  if (own === undefined) return false;
  if (operator === "In") return !own.some((value) => values.includes(value));
  if (operator === "NotIn") return own.every((value) => values.includes(value));
  return operator === "DoesNotExist";
}
