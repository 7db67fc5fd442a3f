import {
  whoText,
  type Endpoint,
  type Health,
  type Identity,
  type Problem,
  type Service,
  type Task,
} from "../../model/index.ts";
import { canonicalIp } from "../../platform/target-check.ts";
import { buildAccess, buildService } from "../build-service.ts";
import { mergeFirst, type Annotated, type AnnotatedService } from "./annotations.ts";
import { declaredServices } from "./declared-services.ts";
import type { DeclaredPort } from "./declared-port.ts";
import { commonSelector } from "./exact-labels.ts";
import type { KeptPod, KeptService, KeptSlice } from "./kept-objects.ts";
import type { Known } from "./known-kinds.ts";
import type { RightsBook } from "./namespace-rights.ts";
import type { Rights } from "./rights.ts";

/** What building needs to know beside the objects. */
export interface BuildContext {
  /** Name of the provider. */
  readonly provider: string;
  readonly rights: RightsBook;
  /** Why nobody may dial that, in words that follow the address; null: anybody may. */
  readonly refuseTarget: (ip: string, port: number) => string | null;
}

/** What became of one task's objects. */
export interface Built {
  /** null: nothing of them can be used. */
  readonly task: Task | null;
  readonly problems: readonly Problem[];
  /** Pods of the task's name that are no part of it. Default: none. */
  readonly leftOut?: ReadonlySet<KeptPod>;
}

/** An object of which something is wrong, as a problem's subject says it. */
export function subjectOf(provider: string, kind: string, object: { namespace: string; name: string }): string {
  return `${provider}/${object.namespace}/${kind}/${object.name}`;
}

/** What one object says, in so far as it may. */
interface Entitled {
  readonly annotated: Annotated;
  readonly owner: Identity;
  readonly services: readonly AnnotatedService[];
}

interface Member extends Entitled {
  readonly pod: KeptPod;
}

/** One task of all pods that share its name in their namespace. */
export function buildPodTask(id: string, name: string, pods: readonly KeptPod[], context: BuildContext): Built {
  const problems: Problem[] = [];
  const members = oneOwner(
    [...pods].sort(byAge).flatMap((pod) => {
      const entitled = readObject("Pod", pod, { context, problems });
      return entitled === null ? [] : [{ ...entitled, pod }];
    }),
    { name, context, problems },
  );
  const spec = specOf(members);
  if (spec === undefined) return { task: null, problems };
  const { pod } = spec;
  const services = offered(spec, members);
  const endpoints = services.map((service) => {
    const list = members.flatMap((member) => endpointOf(member, service.name, { context, problems }));
    return [service.name, list] as const;
  });
  const instance = instanceOf(members);
  const startedAt = Math.min(...members.map((member) => member.pod.startedAt ?? Infinity));
  const leftOut = new Set(pods).difference(new Set(members.map((member) => member.pod)));
  const task: Task = {
    ...common({ ...spec, services }, { id, name, namespace: pod.namespace, kind: "pod" }),
    ...(instance === null ? {} : { instance }),
    ref: refOf(context.provider, pod, { members, leftOut }),
    ...stateOf(members.map((member) => member.pod)),
    ...(startedAt === Infinity ? {} : { startedAt }),
    endpoints: Object.fromEntries(endpoints),
  };
  return leftOut.size === 0 ? { task, problems } : { task, problems, leftOut };
}

/** Where the task is, as the pod says that tells how it is to be; and what tells its pods from others. */
function refOf(
  cluster: string,
  { name, uid, controller, known }: KeptPod,
  { members, leftOut }: { readonly members: readonly Member[]; readonly leftOut: ReadonlySet<KeptPod> },
): NonNullable<Task["ref"]> {
  const pods = commonSelector(
    members.map(({ pod }) => pod.exact),
    [...leftOut].map(({ exact }) => exact),
  );
  return {
    ...{ cluster, kind: controller?.kind ?? "Pod", name: controller?.name ?? name, uid: controller?.uid ?? uid },
    ...(known?.selector === undefined ? {} : { selector: known.selector }),
    ...(known?.size === undefined ? {} : { size: known.size }),
    ...(pods === null ? {} : { pods }),
  };
}

/** The newest that stays says how the task is to be; each says itself where its services are. */
function specOf(members: readonly Member[]): Member | undefined {
  const staying = members.filter(({ pod }) => !pod.isLeaving);
  return staying.findLast(({ pod }) => pod.known?.follows !== true) ?? staying.at(-1) ?? members.at(-1);
}

/** The task of an annotated Service. */
export function buildServiceTask(id: string, service: KeptService, behind: Behind, context: BuildContext): Built {
  const problems: Problem[] = [];
  const entitled = readObject("Service", service, { context, problems });
  if (entitled === null) return { task: null, problems };
  const name = entitled.annotated.name ?? service.name;
  const pods = new Map<string, KeptPod>();
  const endpoints = entitled.services.map((each) => {
    const port = portOf(each.targetPort, service.ports);
    const places = port === null ? [] : placesOf(port, behind);
    for (const { pod } of places) pods.set(pod.name, pod);
    return [each.name, places.flatMap((place) => endpointAt(place, { context, problems }))] as const;
  });
  const passedOver = countStrangers(behind);
  if (passedOver > 0) {
    const message = `${String(passedOver)} of the endpoints in its EndpointSlices are passed over: no pod here has such an address.`;
    problems.push({ subject: subjectOf(context.provider, "Service", service), code: "endpoint_invalid", message });
  }
  const { namespace, uid } = service;
  const task: Task = {
    ...common(entitled, { id, name, namespace, kind: "service" }),
    instance: uid,
    ref: { cluster: context.provider, kind: "Service", name: service.name, uid },
    ...(pods.size === 0
      ? { state: "starting" as const, reason: "no pod is behind the Service" }
      : stateOf([...pods.values()])),
    endpoints: Object.fromEntries(endpoints),
  };
  return { task, problems };
}

interface Noting {
  readonly context: BuildContext;
  readonly problems: Problem[];
}

/** What an object says, where its namespace has the right to say it; null: nothing that could be served. */
function readObject(
  kind: "Pod" | "Service",
  object: KeptPod | KeptService,
  { context, problems }: Noting,
): Entitled | null {
  const subject = subjectOf(context.provider, kind, object);
  const refuse = (code: string, message: string): null => {
    problems.push({ subject, code, message: `The ${kind} is left out: ${message}.` });
    return null;
  };
  const { annotations } = object;
  if (annotations.kind === "none") return null;
  if (annotations.kind === "bad") return refuse("task_invalid", annotations.message);
  const { annotated } = annotations;
  const known = "known" in object ? object.known : null;
  const rights = context.rights.of(object.namespace);
  const owner =
    annotated.owner === undefined
      ? knownOwner(known, { rights, subject, problems })
      : rights.ownerNamed(annotated.owner);
  if ("refusal" in owner) return refuse("claim_refused", owner.refusal);
  if ("hostNetwork" in object && object.hostNetwork && !rights.hostNetwork) {
    return refuse("claim_refused", `namespace ${object.namespace} has no right to hostNetwork`);
  }
  const services = annotated.services ?? mergeFirst(declaredServices(object.ports), annotated.first);
  if ("refusal" in services) return refuse("task_invalid", services.refusal);
  if (services.length === 0) {
    return refuse("task_invalid", "it declares no port that could be served; name one in taskgate.dev/services");
  }
  return {
    annotated,
    owner,
    services: services.map((service) => withinRights(service, { rights, subject, problems })),
  };
}

interface Claiming {
  readonly rights: Rights;
  readonly subject: string;
  readonly problems: Problem[];
}

/** Who labels say it is, where the namespace may name them; else whose all is there. */
function knownOwner(known: Known | null, { rights, subject, problems }: Claiming): Identity {
  if (known?.owner === undefined) return rights.owner;
  const owner = rights.ownerNamed(`${rights.owner.realm}/${known.owner}`);
  if (!("refusal" in owner)) return owner;
  const message = `The task is ${whoText(rights.owner)}'s: ${owner.refusal}, whom its labels name.`;
  problems.push({ subject, code: "claim_refused", message });
  return rights.owner;
}

/** What a task of pods has: of known kinds what any of them has, and those of the one that it is as before the others'. */
function offered(spec: Member, members: readonly Member[]): readonly AnnotatedService[] {
  const { known } = spec.pod;
  if (known === null) return spec.services;
  if (known.isReplaced && members.every(({ pod }) => isOver(pod))) return [];
  const services = new Map(spec.services.map((service) => [service.name, service]));
  for (const member of members) {
    for (const service of member.services) if (!services.has(service.name)) services.set(service.name, service);
  }
  return [...services.values()];
}

/** The service without what it may not ask for: its own names work. */
function withinRights(service: AnnotatedService, { rights, subject, problems }: Claiming): AnnotatedService {
  const refusal = rights.refuseService(service);
  if (refusal === null) return service;
  const message = `Service ${service.name} has its own names alone: ${refusal}.`;
  problems.push({ subject, code: "claim_refused", message });
  const { name, protocol, guard, landingPath, access, policy, targetPort } = service;
  const rest = { name, protocol, guard, policy, targetPort };
  return {
    ...rest,
    ...(landingPath === undefined ? {} : { landingPath }),
    ...(access === undefined ? {} : { access }),
  };
}

/** Whoever was there first owns the task: pods that say otherwise are none of it. */
function oneOwner(
  members: readonly Member[],
  { name, context, problems }: Noting & { readonly name: string },
): readonly Member[] {
  const owner = members[0]?.owner;
  return members.filter(({ owner: own, pod }) => {
    if (own.realm === owner?.realm && own.name === owner.name) return true;
    const message = `The Pod is left out: task ${name} of namespace ${pod.namespace} is another owner's.`;
    problems.push({ subject: subjectOf(context.provider, "Pod", pod), code: "claim_refused", message });
    return false;
  });
}

function common(
  { annotated, owner, services }: Entitled,
  task: { readonly id: string; readonly name: string; readonly namespace: string; readonly kind: string },
) {
  return {
    id: task.id,
    name: task.name,
    kind: annotated.kind ?? task.kind,
    owner,
    namespace: task.namespace,
    labels: {},
    services: services.map((service) => serviceOf(service, owner)),
    access: buildAccess(annotated.access, owner),
  };
}

function serviceOf(service: AnnotatedService, owner: Identity): Service {
  const { targetPort } = service;
  return { ...buildService(service, owner), ...(typeof targetPort === "number" ? { port: targetPort } : {}) };
}

/** Different for a later task of the same name, where the objects tell; null: they do not. */
function instanceOf(members: readonly Member[]): string | null {
  const all = new Set(
    members.map(({ annotated, pod }) => {
      if (pod.known?.instance !== undefined) return pod.known.instance;
      // A Deployment has another ReplicaSet after each change of its pods, and is the same task.
      if (pod.controller !== null) return pod.controller.kind === "ReplicaSet" ? null : pod.controller.uid;
      return annotated.name === undefined ? pod.uid : null;
    }),
  );
  const [instance = null] = all;
  return all.size === 1 ? instance : null;
}

/** Where a pod offers the service of that name: none where it has no address, or no such port. */
function endpointOf({ pod, services }: Member, name: string, noting: Noting): readonly Endpoint[] {
  const service = services.find((each) => each.name === name);
  const [ip] = pod.ips;
  if (service === undefined || ip === undefined || !isUp(pod)) return [];
  const port = portOf(service.targetPort, pod.ports);
  if (port !== null) return endpointAt({ pod, ip, port: port.port }, noting);
  const message = `Service ${name} is nowhere there: it has no port named ${String(service.targetPort)}.`;
  const subject = subjectOf(noting.context.provider, "Pod", pod);
  noting.problems.push({ subject, code: "endpoint_invalid", message });
  return [];
}

/** Numbers need not be declared. */
function portOf(target: number | string, ports: readonly DeclaredPort[]): DeclaredPort | null {
  const declared = ports.find(({ name, port }) => (typeof target === "number" ? port === target : name === target));
  if (declared !== undefined) return declared;
  return typeof target === "number" ? { name: null, port: target, appProtocol: null } : null;
}

interface Place {
  readonly pod: KeptPod;
  readonly ip: string;
  readonly port: number;
}

/** What stands behind a Service. */
interface Behind {
  readonly slices: readonly KeptSlice[];
  /** By `NAMESPACE/NAME`. */
  readonly podOf: (key: string) => KeptPod | undefined;
}

/** Endpoints that are no pods, or give a pod's name to an address that is not its own. */
function countStrangers({ slices, podOf }: Behind): number {
  const lies = slices.flatMap(({ endpoints }) =>
    endpoints.filter(({ pod: key, uid, addresses }) => {
      const pod = podOf(key);
      return pod?.uid === uid && isUp(pod) && pod.ips.length > 0 && ownAddress(pod, addresses) === undefined;
    }),
  );
  return slices.reduce((sum, { strangers }) => sum + strangers, lies.length);
}

function ownAddress({ ips }: KeptPod, addresses: readonly string[]): string | undefined {
  return ips.find((own) => addresses.some((address) => canonicalIp(address) === canonicalIp(own)));
}

/** Of each pod behind a Service's port one address, which has to be the pod's own. */
function placesOf({ name }: DeclaredPort, { slices, podOf }: Behind): readonly Place[] {
  const places = new Map<string, Place>();
  for (const { ports, endpoints } of slices) {
    const port = ports.find((each) => each.name === (name ?? ""))?.port;
    if (port === undefined) continue;
    for (const { pod: key, uid, addresses } of endpoints) {
      const pod = podOf(key);
      if (pod?.uid !== uid || !isUp(pod)) continue;
      const ip = ownAddress(pod, addresses);
      if (ip !== undefined && (!places.has(key) || ip === pod.ips[0])) places.set(key, { pod, ip, port });
    }
  }
  return [...places.values()];
}

function endpointAt({ pod, ip, port }: Place, { context, problems }: Noting): readonly Endpoint[] {
  const note = (code: string, message: string): readonly Endpoint[] => {
    problems.push({ subject: subjectOf(context.provider, "Pod", pod), code, message });
    return [];
  };
  if (pod.hostNetwork && !context.rights.of(pod.namespace).hostNetwork) {
    return note("claim_refused", `The Pod is passed over: namespace ${pod.namespace} has no right to hostNetwork.`);
  }
  const refusal = context.refuseTarget(ip, port);
  if (refusal !== null) return note("endpoint_invalid", `The Pod is passed over: ${ip}:${String(port)} ${refusal}.`);
  return [
    {
      address: { ip: canonicalIp(ip), port },
      ...{ replica: pod.rank ?? pod.name, pod: pod.name, weight: 1, health: healthOf(pod) },
    },
  ];
}

function healthOf(pod: KeptPod): Health {
  if (pod.isLeaving) return "draining";
  return pod.isReady ? "healthy" : "unhealthy";
}

function isOver({ phase }: KeptPod): boolean {
  return phase === "Succeeded" || phase === "Failed";
}

function isUp({ phase }: KeptPod): boolean {
  return phase === "Running" || phase === "Unknown";
}

function stateOf(pods: readonly KeptPod[]): Pick<Task, "state" | "reason"> {
  const staying = pods.filter((pod) => !pod.isLeaving);
  if (staying.length === 0) return { state: "stopping" };
  const up = staying.filter(isUp);
  const why = (of: readonly KeptPod[], otherwise: string) =>
    of.find(({ reason }) => reason !== null)?.reason ?? otherwise;
  if (up.some(({ isReady }) => isReady)) return { state: "running" };
  if (up.length > 0) return { state: "running", reason: why(up, "no pod is ready yet") };
  const pending = staying.filter(({ phase }) => phase === "Pending");
  if (pending.length > 0) return { state: "starting", reason: why(pending, "no pod runs yet") };
  const failed = staying.filter(({ phase }) => phase === "Failed");
  return failed.length === 0 ? { state: "finished" } : { state: "failed", reason: why(failed, "a pod failed") };
}

function byAge(a: KeptPod, b: KeptPod): number {
  if (a.createdAt !== b.createdAt) return a.createdAt < b.createdAt ? -1 : 1;
  return a.name < b.name ? -1 : 1;
}
