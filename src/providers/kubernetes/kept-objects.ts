import type {
  ContainerPort,
  ContainerStatus,
  EndpointSlice,
  KubernetesService,
  ObjectMeta,
  OwnerReference,
  Pod,
} from "../../platform/kubernetes/objects.ts";
import { ownTexts, type AnnotationReader, type ReadAnnotations, type Texts } from "./annotations.ts";
import type { DeclaredPort } from "./declared-port.ts";
import type { PodFacts } from "./kinds/pod-kind.ts";
import { exactLabels } from "./exact-labels.ts";
import type { Known } from "./known-kinds.ts";
import { rankOf } from "./rank.ts";
import { NOTHING_SHOWN, readShown } from "./status-annotations.ts";

/** Characters of what is said of why a pod does not run. */
const MOST_REASON = 500;

/** Of a pod, what tasks are made of. */
export interface KeptPod {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  /** What its own annotations say, and what it is known for where they do not. */
  readonly annotations: ReadAnnotations;
  readonly own: Texts;
  /** null: it is of no known kind. */
  readonly known: Known | null;
  /** Which part of a distributed job it is, where something says so. */
  readonly rank: string | null;
  readonly controller: OwnerReference | null;
  /** The name of what made it, as people know it: a Deployment's, not its ReplicaSet's. */
  readonly workload: string;
  /** Labels that no pods of other makers have; null: nothing tells it from others. */
  readonly exact: Readonly<Record<string, string>> | null;
  readonly hostNetwork: boolean;
  readonly ips: readonly string[];
  readonly ports: readonly DeclaredPort[];
  readonly phase: string;
  /** Why it does not run, in words; null: nothing is known. */
  readonly reason: string | null;
  readonly isReady: boolean;
  /** It is to end: nothing new for it. */
  readonly isLeaving: boolean;
  /** RFC 3339. */
  readonly createdAt: string;
  /** Epoch ms; null: not yet. */
  readonly startedAt: number | null;
}

/** Of an annotated Service. */
export interface KeptService {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly annotations: ReadAnnotations;
  readonly ports: readonly DeclaredPort[];
  readonly createdAt: string;
}

/** Of an EndpointSlice: which pods stand behind a Service, and at which port. */
export interface KeptSlice {
  /** `NAMESPACE/NAME` of its Service. */
  readonly service: string;
  readonly ports: readonly { readonly name: string; readonly port: number }[];
  readonly endpoints: readonly { readonly pod: string; readonly uid: string; readonly addresses: readonly string[] }[];
  /** How many endpoints it has that are no pods of its namespace. */
  readonly strangers: number;
}

/** How pods are read. */
export interface PodReading {
  readonly reader: AnnotationReader;
  /** null: it is of no known kind. */
  readonly recognize: (pod: PodFacts) => Known | null;
}

export function keepPod(pod: Pod, { reader, recognize }: PodReading): KeptPod {
  const { metadata, spec = {}, status = {} } = pod;
  const { conditions = [], phase = "Pending", startTime = "" } = status;
  const controller = controllerOf(metadata);
  const facts = factsOf(pod, controller);
  const own = ownTexts(metadata.annotations);
  const known = recognize(facts);
  return {
    ...identityOf(metadata),
    annotations: reader.read(known === null ? own : { ...known.texts, ...own }),
    own,
    known,
    rank: rankOf(facts.labels) ?? known?.rank ?? null,
    controller,
    workload: facts.workload,
    exact: exactLabels({ name: facts.name, labels: facts.labels, controller }),
    hostNetwork: spec.hostNetwork ?? false,
    ips: addressesOf(status),
    ports: facts.ports,
    phase,
    reason: reasonOf(status),
    isReady: conditions.some(({ type, status: is }) => type === "Ready" && is === "True"),
    isLeaving: metadata.deletionTimestamp !== undefined,
    startedAt: epochMs(startTime),
  };
}

function factsOf({ metadata, spec }: Pod, controller: OwnerReference | null): PodFacts {
  const { labels = {}, annotations = {}, namespace = "", name } = metadata;
  const containers = (spec?.containers ?? []).map((container) => ({
    name: container.name,
    ports: tcpPortsOf(container.ports),
    env: container.env ?? [],
  }));
  const ports = containers.flatMap((container) => container.ports);
  const workload = controller === null ? name : workloadName(labels, controller);
  return { namespace, name, workload, labels, annotations, containers, ports };
}

/** What made the object and has to answer for it; null: nothing has. */
export function controllerOf({ ownerReferences = [] }: ObjectMeta): OwnerReference | null {
  return ownerReferences.find(({ controller }) => controller === true) ?? null;
}

function workloadName(labels: Readonly<Record<string, string>>, controller: OwnerReference): string {
  // What a Deployment adds to the name of its ReplicaSet.
  const suffix = `-${labels["pod-template-hash"] ?? ""}`;
  const isDeployment = controller.kind === "ReplicaSet" && suffix !== "-" && controller.name.endsWith(suffix);
  return isDeployment ? controller.name.slice(0, -suffix.length) : controller.name;
}

/** null: no time. */
function epochMs(text: string): number | null {
  const time = Date.parse(text);
  return Number.isNaN(time) ? null : time;
}

function identityOf({ namespace = "", name, uid = "", creationTimestamp = "" }: ObjectMeta) {
  return { namespace, name, uid, createdAt: creationTimestamp };
}

function addressesOf({ podIP, podIPs = [] }: NonNullable<Pod["status"]>): readonly string[] {
  if (podIPs.length > 0) return podIPs.map(({ ip }) => ip);
  return podIP === undefined ? [] : [podIP];
}

function tcpPortsOf(ports: readonly ContainerPort[] = []): readonly DeclaredPort[] {
  return ports
    .filter(({ protocol = "TCP" }) => protocol === "TCP")
    .map(({ name, containerPort }) => ({ name: name ?? null, port: containerPort, appProtocol: null }));
}

/** null: it says nothing to us, and shows nothing of ours. */
export function keepService({ metadata, spec }: KubernetesService, reader: AnnotationReader): KeptService | null {
  const annotations = reader.read(ownTexts(metadata.annotations));
  if (annotations.kind === "none" && readShown(metadata.annotations) === NOTHING_SHOWN) return null;
  return {
    ...identityOf(metadata),
    annotations,
    ports: (spec?.ports ?? [])
      .filter(({ protocol = "TCP" }) => protocol === "TCP")
      .map(({ name, port, appProtocol }) => ({ name: name ?? null, port, appProtocol: appProtocol ?? null })),
  };
}

/** null: nobody can say whose it is. Endpoints that are no pods are left out: anybody may write any address there. */
export function keepSlice({ metadata, ports, endpoints }: EndpointSlice): KeptSlice | null {
  const service = metadata.labels?.["kubernetes.io/service-name"];
  if (service === undefined) return null;
  const namespace = metadata.namespace ?? "";
  const all = endpoints ?? [];
  const pods = all.flatMap(({ addresses, targetRef }) => {
    const isPod = targetRef?.kind === "Pod" && (targetRef.namespace ?? namespace) === namespace;
    if (!isPod || targetRef.name === undefined || targetRef.uid === undefined) return [];
    return [{ pod: `${namespace}/${targetRef.name}`, uid: targetRef.uid, addresses }];
  });
  return {
    service: `${namespace}/${service}`,
    ports: (ports ?? []).flatMap(({ name = "", port, protocol = "TCP" }) =>
      port === undefined || protocol !== "TCP" ? [] : [{ name, port }],
    ),
    endpoints: pods,
    strangers: all.length - pods.length,
  };
}

function reasonOf({ containerStatuses = [], conditions = [], reason, message }: NonNullable<Pod["status"]>) {
  const [troubled] = containerStatuses.flatMap((container) => troubleOf(container) ?? []);
  if (troubled !== undefined) return troubled.slice(0, MOST_REASON);
  const unscheduled = conditions.find(({ type, status: is }) => type === "PodScheduled" && is === "False");
  const said = [reason, message ?? unscheduled?.message].filter((part) => part !== undefined);
  return said.length === 0 ? null : said.join(": ").slice(0, MOST_REASON);
}

/** Why a container does not run; null: it does, or did all it had to. */
function troubleOf({ name, state }: ContainerStatus): string | null {
  const { waiting, terminated } = state ?? {};
  if (waiting?.reason !== undefined) {
    return `container ${name}: ${waiting.reason}${waiting.message === undefined ? "" : `: ${waiting.message}`}`;
  }
  if (terminated === undefined || terminated.exitCode === 0) return null;
  return `container ${name}: ${terminated.reason ?? "Error"} (exit code ${String(terminated.exitCode)})`;
}
