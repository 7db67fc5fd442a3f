import { isIPv6 } from "node:net";
import { isDeepStrictEqual } from "node:util";
import type { Listener, ParentReference, TcpRoute } from "../../platform/kubernetes/gateway-objects.ts";
import type {
  EndpointSlice,
  KubernetesObject,
  KubernetesService,
  ObjectMeta,
} from "../../platform/kubernetes/objects.ts";
import { ENDPOINT_SLICES, SERVICES, type Resource } from "../../platform/kubernetes/resource.ts";
import { GATE_LABEL } from "../../platform/kubernetes/gate-marks.ts";
import { UNIT_ANNOTATION } from "./marks.ts";
import { listenerName, type Unit } from "./unit.ts";

/** Label by which an EndpointSlice says whose it is. */
export const SERVICE_NAME_LABEL = "kubernetes.io/service-name";

/** An object that is made for a unit. */
export interface ObjectOf {
  readonly unit: Unit;
  /** `gateMark`. */
  readonly mark: string;
  /** Of the object: the unit's `objectName`, or what it has in place of it. */
  readonly name: string;
}

/**
 * The unit's listener. Routes of its own namespace may attach, no others: who may make routes elsewhere gets at nothing by it. For Determined, as its
 * master has it, routes of any namespace may.
 */
export function buildListener(unit: Unit, port: number): Listener {
  const allowedRoutes = { namespaces: unit.determined === undefined ? onlyFrom(unit.namespace) : { from: "All" } };
  const name = listenerName(port);
  if (unit.tunnel === undefined) return { name, port, protocol: "TCP", allowedRoutes };
  const tls = { mode: "Terminate", certificateRefs: [{ name: unit.tunnel.certificate }] };
  return { name, port, protocol: "TLS", tls, allowedRoutes };
}

// Each namespace has this label, which nobody can change.
function onlyFrom(namespace: string): LiveRoutes["namespaces"] {
  return { from: "Selector", selector: { matchLabels: { "kubernetes.io/metadata.name": namespace } } };
}

/** One that is kept for nobody: no route leads from it. */
export function buildIdleListener(port: number): Listener {
  const allowedRoutes = { namespaces: { from: "Selector", selector: { matchLabels: { [GATE_LABEL]: "nobody" } } } };
  return { name: listenerName(port), port, protocol: "TCP", allowedRoutes };
}

/** Whether a listener does what the wanted one does: fields that a server fills in make no difference. */
export function isListenerAsWanted(live: Listener, wanted: Listener): boolean {
  const isSame = FIELDS.every((field) => (live[field] ?? "") === (wanted[field] ?? ""));
  return isSame && admitsSame(live.allowedRoutes, wanted.allowedRoutes) && tlsText(live.tls) === tlsText(wanted.tls);
}

const FIELDS = ["name", "port", "protocol", "hostname"] as const;

function admitsSame(live: LiveRoutes = {}, wanted: LiveRoutes = {}): boolean {
  const { namespaces, kinds = [] } = live;
  const admitsRoutes = kinds.length === 0 || kinds.some(({ kind }) => kind === "TCPRoute");
  return admitsRoutes && isDeepStrictEqual({ ...namespaces }, { ...wanted.namespaces });
}

function tlsText(tls: LiveTls | undefined): string {
  if (tls === undefined) return "";
  const names = (tls.certificateRefs ?? []).map(({ name, namespace = "" }) => `${namespace}/${name}`);
  return [tls.mode ?? "Terminate", ...names].join(" ");
}

interface LiveRoutes {
  readonly namespaces?: { readonly from?: string; readonly selector?: object };
  readonly kinds?: readonly { readonly kind: string }[];
}

interface LiveTls {
  readonly mode?: string;
  readonly certificateRefs?: readonly { readonly name: string; readonly namespace?: string }[];
}

export function buildService(of: ObjectOf): KubernetesService {
  const { backing, port } = of.unit;
  const spec = {
    type: "ClusterIP",
    ...(backing.by === "selector" ? { selector: backing.selector } : {}),
    ports: [{ protocol: "TCP", port, targetPort: port }],
  };
  return { apiVersion: SERVICES.apiVersion, kind: SERVICES.kind, metadata: metadataOf(of), spec };
}

/** Whether the Service leads where it should. `null`: it cannot be put right, only made anew, for what was found by its selector stays. */
export function isServiceAsWanted(live: KubernetesService, of: ObjectOf): boolean | null {
  const { backing } = of.unit;
  const { selector, ports = [], type = "ClusterIP" }: LiveServiceSpec = live.spec ?? {};
  const selects = selector !== undefined && Object.keys(selector).length > 0;
  if (selects !== (backing.by === "selector")) return null;
  if (backing.by === "selector" && !isDeepStrictEqual({ ...selector }, { ...backing.selector })) return false;
  const [only] = ports;
  return (
    ports.length === 1 &&
    only !== undefined &&
    type === "ClusterIP" &&
    leadsTo(only, of.unit.port) &&
    hasMetadata(live, of)
  );
}

// Of a Service and of a slice: their ports belong together where they are called the same.
function leadsTo(live: LivePort, port: number): boolean {
  const { name = "", protocol = "TCP", targetPort = port } = live;
  return live.port === port && targetPort === port && protocol === "TCP" && name === "";
}

interface LivePort {
  readonly name?: string;
  readonly port?: number;
  readonly targetPort?: number | string;
  readonly protocol?: string;
}

interface LiveServiceSpec {
  readonly type?: string;
  readonly selector?: Readonly<Record<string, string>>;
  readonly ports?: readonly LivePort[];
}

/** Of a unit that is one pod; `service`: name of its Service. */
export function buildSlice(of: ObjectOf, service: string): EndpointSlice {
  const { backing, port } = of.unit;
  if (backing.by === "selector") throw new TypeError("pods that are selected have slices already");
  const { pod, ip } = backing;
  const metadata = metadataOf(of);
  return {
    apiVersion: ENDPOINT_SLICES.apiVersion,
    kind: ENDPOINT_SLICES.kind,
    metadata: { ...metadata, labels: { ...metadata.labels, ...sliceLabels(service) } },
    addressType: addressType(ip),
    ports: [{ name: "", port, protocol: "TCP" }],
    endpoints: [
      {
        addresses: [ip],
        conditions: { ready: true },
        targetRef: { kind: "Pod", namespace: of.unit.namespace, name: pod },
      },
    ],
  };
}

/** Whether the slice names the unit's pod. `null`: it cannot be put right, only made anew: `addressType` is for good. */
export function isSliceAsWanted(live: EndpointSlice, of: ObjectOf, service: string): boolean | null {
  const { backing, port } = of.unit;
  if (backing.by === "selector" || live.addressType !== addressType(backing.ip)) return null;
  const { ports = [], endpoints = [] } = live;
  const [only] = ports;
  const [endpoint] = endpoints;
  if (ports.length !== 1 || endpoints.length !== 1 || only === undefined || endpoint === undefined) return false;
  return (
    leadsTo(only, port) &&
    isPod(endpoint, backing) &&
    hasEntries(live.metadata.labels, sliceLabels(service)) &&
    hasMetadata(live, of)
  );
}

function isPod(
  { addresses, targetRef, conditions }: NonNullable<EndpointSlice["endpoints"]>[number],
  { ip, pod }: { readonly ip: string; readonly pod: string },
): boolean {
  return addresses.length === 1 && addresses[0] === ip && targetRef?.name === pod && conditions?.ready !== false;
}

function sliceLabels(service: string): Readonly<Record<string, string>> {
  return { [SERVICE_NAME_LABEL]: service, "endpointslice.kubernetes.io/managed-by": "taskgate.dev" };
}

function addressType(ip: string): string {
  return isIPv6(ip) ? "IPv6" : "IPv4";
}

/** `service`: name of the unit's Service; `parent`: `parentOf`, with the namespace. */
export interface RouteOf extends ObjectOf {
  readonly service: string;
  readonly parent: ParentReference;
  readonly resource: Resource<TcpRoute>;
}

export function buildRoute(of: RouteOf): TcpRoute {
  const { apiVersion, kind } = of.resource;
  const backendRefs = [{ kind: "Service", name: of.service, port: of.unit.port }];
  return { apiVersion, kind, metadata: metadataOf(of), spec: { parentRefs: [of.parent], rules: [{ backendRefs }] } };
}

export function isRouteAsWanted(live: TcpRoute, of: RouteOf): boolean {
  const { parentRefs = [], rules = [] } = live.spec ?? {};
  const parents = parentRefs.map(parentText);
  const backends = rules.map(({ backendRefs = [] }) => backendRefs);
  const [backend] = backends[0] ?? [];
  if (parents.length !== 1 || parents[0] !== parentText(of.parent)) return false;
  if (backends.length !== 1 || backends[0]?.length !== 1 || backend === undefined) return false;
  return leadsToService(backend, of) && hasMetadata(live, of);
}

function leadsToService(backend: BackendReference, { unit, service }: RouteOf): boolean {
  const { group = "", kind = "Service", namespace = unit.namespace, name, port, weight = 1 } = backend;
  const isThat = group === "" && kind === "Service" && namespace === unit.namespace && name === service;
  return isThat && port === unit.port && weight > 0;
}

type BackendReference = NonNullable<NonNullable<NonNullable<TcpRoute["spec"]>["rules"]>[number]["backendRefs"]>[number];

/** Two are the same where they name the same listener. */
export function parentText(parent: ParentReference): string {
  const {
    group = "gateway.networking.k8s.io",
    kind = "Gateway",
    namespace = "",
    name,
    sectionName = "",
    port,
  } = parent;
  return `${group}/${kind}/${namespace}/${name}/${sectionName}/${String(port ?? "")}`;
}

/** For which unit the object was made; "" where it does not say. */
export function unitIdOf(object: KubernetesObject): string {
  return object.metadata.annotations?.[UNIT_ANNOTATION] ?? "";
}

/** What an object of ours is to be: the live one with the fields of the wanted one, and what others wrote beside them. */
export function mended<T extends KubernetesObject>(live: T, wanted: T): T {
  const { labels, annotations, ...rest } = live.metadata;
  const metadata = {
    ...rest,
    labels: { ...labels, ...wanted.metadata.labels },
    annotations: { ...annotations, ...wanted.metadata.annotations },
  };
  const spec = "spec" in wanted ? { spec: { ...(live as WithSpec).spec, ...(wanted as WithSpec).spec } } : {};
  return { ...live, ...wanted, metadata, ...spec };
}

interface WithSpec {
  readonly spec?: object;
}

function metadataOf({ unit, mark, name }: ObjectOf): ObjectMeta {
  return { name, namespace: unit.namespace, labels: labelsOf(unit, mark), annotations: annotationsOf(unit) };
}

function labelsOf({ determined }: Unit, mark: string): Readonly<Record<string, string>> {
  return { [GATE_LABEL]: mark, ...(determined === undefined ? {} : { determined: determined.allocation }) };
}

function annotationsOf({ id, determined }: Unit): Readonly<Record<string, string>> {
  return { [UNIT_ANNOTATION]: id, ...(determined === undefined ? {} : { "determined.ai/job-name": determined.job }) };
}

function hasMetadata({ metadata }: KubernetesObject, { unit, mark }: ObjectOf): boolean {
  return hasEntries(metadata.labels, labelsOf(unit, mark)) && hasEntries(metadata.annotations, annotationsOf(unit));
}

function hasEntries(live: ObjectMeta["labels"], wanted: Readonly<Record<string, string>>): boolean {
  for (const key in wanted) if (live?.[key] !== wanted[key]) return false;
  return true;
}
