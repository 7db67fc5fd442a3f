import type { KubernetesObject } from "./objects.ts";
import type { Resource } from "./resource.ts";

/** As `metav1.LabelSelector`: empty picks all. */
export interface LabelSelector {
  readonly matchLabels?: Readonly<Record<string, string>>;
  readonly matchExpressions?: readonly {
    readonly key: string;
    readonly operator: string;
    readonly values?: readonly string[];
  }[];
}

/** Absent fields: the policy's own namespace, all pods. */
export interface NetworkPolicyPeer {
  readonly namespaceSelector?: LabelSelector;
  readonly podSelector?: LabelSelector;
  readonly ipBlock?: { readonly cidr: string; readonly except?: readonly string[] };
}

export interface NetworkPolicyPort {
  /** Absent: TCP. */
  readonly protocol?: string;
  /** Absent: all. */
  readonly port?: number | string;
  /** Last of a range. */
  readonly endPort?: number;
}

/** Absent `from` and `ports`: everybody, everything. */
export interface NetworkPolicyIngress {
  readonly from?: readonly NetworkPolicyPeer[];
  readonly ports?: readonly NetworkPolicyPort[];
}

/** Of networking.k8s.io/v1, as far as ingress goes. */
export interface NetworkPolicy extends KubernetesObject {
  readonly spec?: {
    readonly podSelector?: LabelSelector;
    /** Absent: Ingress, and Egress where there are rules for it. */
    readonly policyTypes?: readonly string[];
    readonly ingress?: readonly NetworkPolicyIngress[];
  };
}

export const NETWORK_POLICIES: Resource<NetworkPolicy> = {
  apiVersion: "networking.k8s.io/v1",
  kind: "NetworkPolicy",
  plural: "networkpolicies",
  namespaced: true,
};

/** Label of each namespace, by the API server itself: its name. */
export const NAMESPACE_NAME_LABEL = "kubernetes.io/metadata.name";
