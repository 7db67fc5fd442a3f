import type {
  EndpointSlice,
  KubernetesObject,
  KubernetesService,
  OwnerReference,
  Pod,
} from "../../../platform/kubernetes/objects.ts";

/** Paths of collections, as the API server in memory has them. */
export const podsOf = (namespace: string): string => `/api/v1/namespaces/${namespace}/pods`;
export const servicesOf = (namespace: string): string => `/api/v1/namespaces/${namespace}/services`;
export const slicesOf = (namespace: string): string =>
  `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices`;

/** Of a Deployment, a Job, …: `deployments`, `jobs`, …. */
export const makersOf = (plural: string, namespace = "team"): string =>
  `/apis/${plural.endsWith("jobs") ? "batch" : "apps"}/v1/namespaces/${namespace}/${plural}`;

export interface PodSpec {
  readonly name: string;
  readonly namespace?: string;
  /** Without their prefix; `null`: not even enabled. */
  readonly annotations?: Readonly<Record<string, string>> | null;
  /** Annotations of others, as they are. */
  readonly notes?: Readonly<Record<string, string>>;
  readonly labels?: Readonly<Record<string, string>>;
  readonly controller?: ControllerSpec;
  /** Name of its one container. */
  readonly container?: string;
  readonly ip?: string;
  readonly ports?: readonly { readonly name?: string; readonly containerPort: number }[];
  readonly env?: readonly { readonly name: string; readonly value?: string }[];
  readonly phase?: string;
  readonly ready?: boolean;
  readonly leaving?: boolean;
  readonly createdAt?: string;
  readonly hostNetwork?: boolean;
}

export interface ControllerSpec {
  readonly kind: string;
  readonly name: string;
  /** Default: that of the object of this name. */
  readonly uid?: string;
}

/** A pod that runs and is ready, with one port, unless it is said otherwise. */
export function podOf(spec: PodSpec): Pod {
  const { name, namespace = "team", annotations = {}, notes = {}, container = "main" } = spec;
  return {
    metadata: {
      namespace,
      name,
      uid: `uid-of-${name}`,
      creationTimestamp: spec.createdAt ?? "2026-01-01T00:00:00Z",
      labels: spec.labels ?? {},
      annotations: { ...notes, ...(annotations === null ? {} : annotationsOf(annotations)) },
      ...(spec.leaving === true ? { deletionTimestamp: "2026-01-02T00:00:00Z" } : {}),
      ownerReferences: referencesTo(spec.controller),
    },
    spec: {
      hostNetwork: spec.hostNetwork ?? false,
      containers: [
        { name: container, ports: spec.ports ?? [{ name: "web", containerPort: 8888 }], env: spec.env ?? [] },
      ],
    },
    status: statusOf(spec),
  };
}

function statusOf({ ip = "10.1.0.5", phase = "Running", ready = true }: PodSpec): NonNullable<Pod["status"]> {
  return {
    phase,
    startTime: "2026-01-01T00:00:01Z",
    podIP: ip,
    podIPs: [{ ip }],
    conditions: [{ type: "Ready", status: ready ? "True" : "False" }],
  };
}

function annotationsOf(own: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const all = Object.entries({ enabled: "true", ...own });
  return Object.fromEntries(all.map(([key, text]) => [`taskgate.dev/${key}`, text]));
}

function referencesTo(controller: ControllerSpec | undefined): readonly OwnerReference[] {
  if (controller === undefined) return [];
  return [{ apiVersion: "v1", uid: `uid-of-${controller.name}`, ...controller, controller: true }];
}

/** Something that makes pods. `annotations`: without their prefix. */
export function makerOf(
  name: string,
  annotations: Readonly<Record<string, string>> = {},
  controller?: ControllerSpec,
): KubernetesObject {
  const texts = Object.entries(annotations).map(([key, text]) => [`taskgate.dev/${key}`, text] as const);
  return {
    metadata: {
      ...{ namespace: "team", name, uid: `uid-of-${name}`, annotations: Object.fromEntries(texts) },
      ownerReferences: referencesTo(controller),
    },
  };
}

export function serviceOf(name: string, annotations: Readonly<Record<string, string>> = {}): KubernetesService {
  return {
    metadata: { namespace: "team", name, uid: `uid-of-${name}`, annotations: annotationsOf(annotations) },
    spec: { ports: [{ name: "http", port: 80 }] },
  };
}

/** The slice of a Service's port `http` at 8888; each endpoint names its pod. */
export function sliceOf(
  service: string,
  endpoints: readonly { readonly pod: string | null; readonly address: string; readonly uid?: string }[],
): EndpointSlice {
  return {
    metadata: { namespace: "team", name: `${service}-1`, labels: { "kubernetes.io/service-name": service } },
    addressType: "IPv4",
    ports: [{ name: "http", port: 8888, protocol: "TCP" }],
    endpoints: endpoints.map(({ pod, address, uid }) => ({
      addresses: [address],
      conditions: { ready: true },
      ...(pod === null
        ? {}
        : { targetRef: { kind: "Pod", namespace: "team", name: pod, uid: uid ?? `uid-of-${pod}` } }),
    })),
  };
}
