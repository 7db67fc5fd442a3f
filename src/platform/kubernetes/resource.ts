import type { EndpointSlice, KubernetesEvent, KubernetesObject, KubernetesService, Lease, Pod } from "./objects.ts";

/** A resource of the API: what a path is made of, and which objects come from there. */
export interface Resource<T extends KubernetesObject> {
  /** Of the core: `v1`; else `GROUP/VERSION`. */
  readonly apiVersion: string;
  readonly kind: string;
  readonly plural: string;
  readonly namespaced: boolean;
  /** Lists and watches ask for the metadata of its objects alone. Default: false. */
  readonly metadataOnly?: boolean;
  /** Never there at runtime: it carries the type alone. */
  readonly object?: T;
}

export const PODS: Resource<Pod> = { apiVersion: "v1", kind: "Pod", plural: "pods", namespaced: true };
export const SERVICES: Resource<KubernetesService> = {
  apiVersion: "v1",
  kind: "Service",
  plural: "services",
  namespaced: true,
};
export const NAMESPACES: Resource<KubernetesObject> = {
  apiVersion: "v1",
  kind: "Namespace",
  plural: "namespaces",
  namespaced: false,
};
export const ENDPOINT_SLICES: Resource<EndpointSlice> = {
  apiVersion: "discovery.k8s.io/v1",
  kind: "EndpointSlice",
  plural: "endpointslices",
  namespaced: true,
};
export const CONFIG_MAPS: Resource<KubernetesObject> = {
  apiVersion: "v1",
  kind: "ConfigMap",
  plural: "configmaps",
  namespaced: true,
};
export const LEASES: Resource<Lease> = {
  apiVersion: "coordination.k8s.io/v1",
  kind: "Lease",
  plural: "leases",
  namespaced: true,
};
export const EVENTS: Resource<KubernetesEvent> = {
  apiVersion: "events.k8s.io/v1",
  kind: "Event",
  plural: "events",
  namespaced: true,
};

/** One object of a resource; `namespace` is for those that have one. */
export interface ObjectName {
  readonly namespace?: string;
  readonly name: string;
}

/** Which objects of a resource. */
export interface Scope {
  /** Absent: all. */
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
}

/** Path of the resource's objects, below the server's own. */
export function collectionPath(resource: Resource<KubernetesObject>, namespace?: string): string {
  const { apiVersion, plural, namespaced } = resource;
  const root = apiVersion.includes("/") ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  const within = namespaced && namespace !== undefined ? `/namespaces/${encodeURIComponent(namespace)}` : "";
  return `${root}${within}/${plural}`;
}

/** Path of one object. Throws a TypeError where its namespace is left out. */
export function objectPath(resource: Resource<KubernetesObject>, { namespace, name }: ObjectName): string {
  if (resource.namespaced && namespace === undefined) throw new TypeError(`a ${resource.kind} is in a namespace`);
  return `${collectionPath(resource, namespace)}/${encodeURIComponent(name)}`;
}
