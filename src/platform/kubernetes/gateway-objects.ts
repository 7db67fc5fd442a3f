import type { KubernetesObject } from "./objects.ts";
import type { Resource } from "./resource.ts";

/** Group of what the Gateway API has in its standard channel. */
export const GATEWAY_GROUP = "gateway.networking.k8s.io";
/** Group of what is in its experimental channel alone. */
export const EXPERIMENTAL_GATEWAY_GROUP = "gateway.networking.x-k8s.io";

/** As `metav1.Condition`. */
export interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason?: string;
  readonly message?: string;
  /** `metadata.generation` that it is about. */
  readonly observedGeneration?: number;
}

/** Of a Gateway or of a ListenerSet. */
export interface Listener {
  readonly name: string;
  readonly port: number;
  readonly protocol: string;
  readonly hostname?: string;
  readonly tls?: object;
  readonly allowedRoutes?: object;
}

/** What its controller says of one listener. */
export interface ListenerStatus {
  readonly name: string;
  readonly attachedRoutes?: number;
  readonly conditions?: readonly Condition[];
}

export interface Gateway extends KubernetesObject {
  readonly spec?: {
    readonly gatewayClassName?: string;
    readonly listeners?: readonly Listener[];
    /** Absent: no ListenerSet may attach. */
    readonly allowedListeners?: {
      readonly namespaces?: { readonly from?: string; readonly selector?: object };
    };
  };
  readonly status?: {
    readonly addresses?: readonly { readonly type?: string; readonly value: string }[];
    readonly conditions?: readonly Condition[];
    readonly listeners?: readonly ListenerStatus[];
    readonly attachedListenerSets?: number;
  };
}

/** Listeners of a Gateway in an object of their own. */
export interface ListenerSet extends KubernetesObject {
  readonly spec?: {
    readonly parentRef?: {
      readonly group?: string;
      readonly kind?: string;
      readonly name: string;
      readonly namespace?: string;
    };
    readonly listeners?: readonly Listener[];
  };
  readonly status?: {
    readonly conditions?: readonly Condition[];
    readonly listeners?: readonly ListenerStatus[];
  };
}

export interface ParentReference {
  /** Absent: `GATEWAY_GROUP`. */
  readonly group?: string;
  /** Absent: Gateway. */
  readonly kind?: string;
  /** Absent: that of the route. */
  readonly namespace?: string;
  readonly name: string;
  readonly sectionName?: string;
  readonly port?: number;
}

/** What one controller says of a route and one of its parents. */
export interface RouteParentStatus {
  readonly parentRef: ParentReference;
  readonly controllerName?: string;
  readonly conditions?: readonly Condition[];
}

export interface TcpRoute extends KubernetesObject {
  readonly spec?: {
    readonly parentRefs?: readonly ParentReference[];
    readonly rules?: readonly {
      readonly backendRefs?: readonly {
        readonly group?: string;
        readonly kind?: string;
        readonly name: string;
        readonly namespace?: string;
        readonly port?: number;
        readonly weight?: number;
      }[];
    }[];
  };
  readonly status?: { readonly parents?: readonly RouteParentStatus[] };
}

export interface GatewayClass extends KubernetesObject {
  readonly spec?: { readonly controllerName?: string };
}

/** Of apiextensions.k8s.io/v1, as far as bounds of arrays go. */
export interface CustomResourceDefinition extends KubernetesObject {
  readonly spec?: {
    readonly group?: string;
    readonly versions?: readonly {
      readonly name: string;
      readonly served?: boolean;
      readonly schema?: { readonly openAPIV3Schema?: unknown };
    }[];
  };
}

export const GATEWAYS: Resource<Gateway> = {
  apiVersion: `${GATEWAY_GROUP}/v1`,
  kind: "Gateway",
  plural: "gateways",
  namespaced: true,
};
export const GATEWAY_CLASSES: Resource<GatewayClass> = {
  apiVersion: `${GATEWAY_GROUP}/v1`,
  kind: "GatewayClass",
  plural: "gatewayclasses",
  namespaced: false,
};
export const CUSTOM_RESOURCE_DEFINITIONS: Resource<CustomResourceDefinition> = {
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  plural: "customresourcedefinitions",
  namespaced: false,
};

/** As the cluster serves it: `v1`, or `v1alpha2` before that. The objects are the same. */
export function tcpRoutes(version: string): Resource<TcpRoute> {
  return { apiVersion: `${GATEWAY_GROUP}/${version}`, kind: "TCPRoute", plural: "tcproutes", namespaced: true };
}

/** As the cluster serves it: `ListenerSet` of `GATEWAY_GROUP`, or `XListenerSet` of `EXPERIMENTAL_GATEWAY_GROUP` before that. */
export function listenerSets(group: string, version: string): Resource<ListenerSet> {
  const isExperimental = group === EXPERIMENTAL_GATEWAY_GROUP;
  return {
    apiVersion: `${group}/${version}`,
    kind: isExperimental ? "XListenerSet" : "ListenerSet",
    plural: isExperimental ? "xlistenersets" : "listenersets",
    namespaced: true,
  };
}
