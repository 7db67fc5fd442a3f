import type {
  LabelSelector,
  NetworkPolicy,
  NetworkPolicyPeer,
  NetworkPolicyPort,
} from "../../../platform/kubernetes/network-policy-objects.ts";

/** A pod, as policies see it. */
export interface EvaluatedPod {
  readonly namespace: string;
  readonly namespaceLabels: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
}

export interface Attempt {
  readonly from: EvaluatedPod;
  readonly to: EvaluatedPod;
  readonly protocol: "TCP" | "UDP" | "SCTP";
  readonly port: number;
}

/**
 * Whether the policies let that in, as networking.k8s.io/v1 says: a pod that no policy for ingress picks takes all; of one that some pick, any rule
 * of any of them is enough. Names of ports and blocks of addresses are none of this: it throws.
 */
export function mayReach(policies: readonly NetworkPolicy[], { from, to, protocol, port }: Attempt): boolean {
  const picking = policies.filter(
    ({ metadata, spec }) =>
      metadata.namespace === to.namespace &&
      spec?.policyTypes?.includes("Ingress") !== false &&
      isPicked(spec?.podSelector ?? {}, to.labels),
  );
  if (picking.length === 0) return true;
  return picking.some(({ metadata, spec }) =>
    (spec?.ingress ?? []).some(
      (rule) =>
        (rule.from === undefined ||
          rule.from.length === 0 ||
          rule.from.some((peer) => isPeer(peer, from, metadata.namespace ?? ""))) &&
        (rule.ports === undefined ||
          rule.ports.length === 0 ||
          rule.ports.some((each) => isPort(each, protocol, port))),
    ),
  );
}

function isPeer(peer: NetworkPolicyPeer, pod: EvaluatedPod, own: string): boolean {
  if (peer.ipBlock !== undefined) throw new TypeError("blocks of addresses are not evaluated");
  const { namespaceSelector, podSelector = {} } = peer;
  const isThere =
    namespaceSelector === undefined ? pod.namespace === own : isPicked(namespaceSelector, pod.namespaceLabels);
  return isThere && isPicked(podSelector, pod.labels);
}

function isPort({ protocol = "TCP", port, endPort }: NetworkPolicyPort, asked: string, number: number): boolean {
  if (typeof port === "string") throw new TypeError("names of ports are not evaluated");
  if (protocol !== asked) return false;
  return port === undefined || (number >= port && number <= (endPort ?? port));
}

function isPicked({ matchLabels = {}, matchExpressions = [] }: LabelSelector, labels: EvaluatedPod["labels"]): boolean {
  return (
    Object.entries(matchLabels).every(([key, value]) => labels[key] === value) &&
    matchExpressions.every(({ key, operator, values = [] }) => {
      const own = labels[key];
      if (operator === "Exists") return own !== undefined;
      if (operator === "DoesNotExist") return own === undefined;
      if (operator === "In") return own !== undefined && values.includes(own);
      if (operator === "NotIn") return own === undefined || !values.includes(own);
      throw new TypeError(`no operator of labels: ${operator}`);
    })
  );
}
