import {
  GATEWAY_GROUP,
  type ParentReference,
  type RouteParentStatus,
} from "../../platform/kubernetes/gateway-objects.ts";
import type { KubernetesObject } from "../../platform/kubernetes/objects.ts";
import type { Resource } from "../../platform/kubernetes/resource.ts";

/** HTTPRoute, GRPCRoute, TLSRoute and TCPRoute, as far as they lead everything to one Service. */
export interface FrontRoute extends KubernetesObject {
  readonly spec?: {
    readonly parentRefs?: readonly ParentReference[];
    readonly hostnames?: readonly string[];
    readonly rules?: readonly object[];
  };
  readonly status?: { readonly parents?: readonly RouteParentStatus[] };
}

export interface ReferenceGrant extends KubernetesObject {
  readonly spec?: {
    readonly from?: readonly { readonly group: string; readonly kind: string; readonly namespace: string }[];
    readonly to?: readonly { readonly group: string; readonly kind: string; readonly name?: string }[];
  };
}

/** What a front makes, by plural name: which versions it may be served in, newest first. The objects are the same. */
export const MADE = {
  httproutes: { kind: "HTTPRoute", versions: ["v1"] },
  grpcroutes: { kind: "GRPCRoute", versions: ["v1"] },
  tlsroutes: { kind: "TLSRoute", versions: ["v1", "v1alpha3", "v1alpha2"] },
  tcproutes: { kind: "TCPRoute", versions: ["v1", "v1alpha3", "v1alpha2"] },
  listenersets: { kind: "ListenerSet", versions: ["v1"] },
  referencegrants: { kind: "ReferenceGrant", versions: ["v1", "v1beta1"] },
} as const;

export type Made = keyof typeof MADE;

export function resourceOf(plural: Made, version: string): Resource<KubernetesObject> {
  return { apiVersion: `${GATEWAY_GROUP}/${version}`, kind: MADE[plural].kind, plural, namespaced: true };
}
