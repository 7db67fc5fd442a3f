import type { Problem, Task } from "../../model/index.ts";
import { ToldTasks } from "../told-tasks.ts";
import { NO_TEXTS, type AnnotationReader } from "./annotations.ts";
import { buildPodTask, buildServiceTask, subjectOf, type BuildContext, type Built } from "./build-task.ts";
import type { KeptPod, KeptService, KeptSlice } from "./kept-objects.ts";
import type { KeptNamespace } from "./namespace-rights.ts";
import { readRef, refOf, type ObjectRef } from "./object-ref.ts";
import { OwnerTree, textsOfOwners, type KeptOwner } from "./owners.ts";
import type { Part, StatusObjects } from "./status-plan.ts";

/** Something that is built by itself, again whenever one of its objects changes. */
type Unit =
  | { readonly kind: "pods"; readonly id: string; readonly namespace: string; readonly name: string }
  | { readonly kind: "service"; readonly id: string; readonly key: string }
  | { readonly kind: "bad"; readonly id: string; readonly key: string }
  | { readonly kind: "owner"; readonly id: string; readonly ref: ObjectRef }
  | { readonly kind: "namespace"; readonly id: string; readonly key: string };

/** Objects as they are now, by `NAMESPACE/NAME`. */
export interface Objects {
  pod(key: string): KeptPod | undefined;
  service(key: string): KeptService | undefined;
  slice(key: string): KeptSlice | undefined;
  /** Absent: what makes pods says nothing of them. */
  readonly owner?: (ref: ObjectRef) => KeptOwner | undefined;
  /** By its name; absent: what Namespaces say of rights does not count. */
  readonly namespace?: (name: string) => KeptNamespace | undefined;
}

/** What building came to, since the last time. */
export interface Changes {
  readonly set: readonly Task[];
  readonly removed: readonly string[];
  /** All that there are now; the same array where none changed. */
  readonly problems: readonly Problem[];
  readonly isNews: boolean;
  /** Objects that may have changed, or of which something else may have become. */
  readonly touched: ReadonlySet<ObjectRef>;
}

/** Which objects make which task: work is by what changed, however many there are. Pure but for what it remembers. */
export class TaskBook implements StatusObjects {
  readonly #objects: Objects;
  readonly #context: BuildContext;
  readonly #reader: AnnotationReader;
  readonly #dirty = new Map<string, Unit>();
  /** Of each pod, the unit that it is in. */
  readonly #unitOfPod = new Map<string, Unit>();
  /** Of units of pods, by id, their pods. */
  readonly #podsOf = new Map<string, Set<string>>();
  /** Of each slice its Service, and back. */
  readonly #serviceOfSlice = new Map<string, string>();
  readonly #slicesOf = new Map<string, Set<string>>();
  /** Of pods, the Services that they stand behind, as slices say. */
  readonly #servicesOfPod = new Map<string, Set<string>>();
  readonly #podsOfSlice = new Map<string, readonly string[]>();
  /** Pods, and what makes them. */
  readonly #owners = new OwnerTree();
  readonly #told = new ToldTasks();
  readonly #problems = new Map<string, readonly Problem[]>();
  /** Of units of pods, by id, keys of pods that are no part of the task. */
  readonly #leftOut = new Map<string, ReadonlySet<string>>();
  #allProblems: readonly Problem[] = [];
  #touched = new Set<ObjectRef>();

  constructor(objects: Objects, context: BuildContext, reader: AnnotationReader) {
    this.#objects = objects;
    this.#context = context;
    this.#reader = reader;
  }

  podChanged(key: string): void {
    this.#touched.add(refOf("Pod", key));
    const pod = this.#pod(key);
    if (this.#objects.owner !== undefined) this.#owners.place(refOf("Pod", key), aboveOf(pod));
    const before = this.#unitOfPod.get(key);
    const now = pod === undefined ? null : unitOf(key, pod);
    if (before !== undefined && before.id !== now?.id) this.#leave(before, key);
    if (now === null) this.#unitOfPod.delete(key);
    else {
      this.#unitOfPod.set(key, now);
      members(this.#podsOf, now.id).add(key);
      this.#dirty.set(now.id, now);
    }
    for (const service of this.#servicesOfPod.get(key) ?? []) this.serviceChanged(service);
  }

  serviceChanged(key: string): void {
    const id = serviceId(key);
    this.#touched.add(refOf("Service", key));
    this.#dirty.set(id, { kind: "service", id, key });
  }

  ownerChanged(ref: ObjectRef): void {
    const below = this.#owners.below(ref);
    this.#owners.place(ref, aboveOf(this.#objects.owner?.(ref)));
    const id = `owner ${ref}`;
    this.#dirty.set(id, { kind: "owner", id, ref });
    this.#touched.add(ref);
    for (const each of below) if (each.startsWith("Pod ")) this.podChanged(each.slice("Pod ".length));
  }

  /** What the Namespace of that name says of rights. */
  namespaceChanged(name: string): void {
    this.#context.rights.give(name, this.#objects.namespace?.(name)?.given ?? null);
    const id = `namespace ${name}`;
    this.#dirty.set(id, { kind: "namespace", id, key: name });
    for (const ref of [...this.all()]) {
      const { kind, key } = readRef(ref);
      if (!key.startsWith(`${name}/`)) continue;
      if (kind === "Pod") this.podChanged(key);
      else this.serviceChanged(key);
    }
  }

  sliceChanged(key: string): void {
    const slice = this.#objects.slice(key);
    const before = this.#serviceOfSlice.get(key);
    if (before !== undefined) {
      this.serviceChanged(before);
      drop(this.#slicesOf, before, key);
      for (const pod of this.#podsOfSlice.get(key) ?? []) drop(this.#servicesOfPod, pod, before);
    }
    if (slice === undefined) {
      this.#serviceOfSlice.delete(key);
      this.#podsOfSlice.delete(key);
    } else {
      this.#serviceOfSlice.set(key, slice.service);
      members(this.#slicesOf, slice.service).add(key);
      this.#podsOfSlice.set(
        key,
        slice.endpoints.map(({ pod }) => pod),
      );
      this.serviceChanged(slice.service);
    }
    // Another slice of the same Service may name the same pods.
    for (const service of [before, slice?.service]) if (service !== undefined) this.#indexPods(service);
  }

  /** Builds what may have changed. */
  takeChanges(): Changes {
    const set: Task[] = [];
    const removed: string[] = [];
    let isOtherProblem = false;
    for (const [id, unit] of this.#dirty) {
      const { task, problems, leftOut } = this.#build(unit);
      if (leftOut === undefined) this.#leftOut.delete(id);
      else this.#leftOut.set(id, new Set([...leftOut].map(({ namespace, name }) => `${namespace}/${name}`)));
      this.#told.tell(id, task, { set, removed });
      isOtherProblem = this.#note(id, problems) || isOtherProblem;
    }
    this.#dirty.clear();
    if (isOtherProblem) this.#allProblems = Object.freeze([...this.#problems.values()].flat());
    const isNews = set.length + removed.length > 0 || isOtherProblem;
    const touched = this.#touched;
    this.#touched = new Set();
    return { set, removed, problems: this.#allProblems, isNews, touched };
  }

  find(ref: ObjectRef): KeptPod | KeptService | KeptOwner | undefined {
    const { kind, key } = readRef(ref);
    if (kind === "Pod") return this.#objects.pod(key);
    return kind === "Service" ? this.#objects.service(key) : this.#objects.owner?.(ref);
  }

  partOf(ref: ObjectRef): Part | null {
    const { kind, key } = readRef(ref);
    const id = kind === "Pod" ? this.#unitOfPod.get(key)?.id : serviceId(key);
    if (id === undefined || (kind !== "Pod" && kind !== "Service")) return null;
    if (!this.#told.has(id) || this.#leftOut.get(id)?.has(key) === true) {
      return this.#problems.has(id) ? { id, is: "refused", isFirst: true } : null;
    }
    const first = this.#podsOf.get(id)?.values().take(FIRST_PODS).toArray() ?? [key];
    return { id, is: "made", isFirst: first.includes(key) };
  }

  *objectsOf(id: string): Iterable<ObjectRef> {
    for (const key of this.#podsOf.get(id) ?? []) yield refOf("Pod", key);
    const service = keyOfService(id);
    if (service !== null) yield refOf("Service", service);
  }

  *all(): Iterable<ObjectRef> {
    for (const key of this.#unitOfPod.keys()) yield refOf("Pod", key);
    for (const id of new Set([...this.#told.ids(), ...this.#problems.keys()])) {
      const service = keyOfService(id);
      if (service !== null) yield refOf("Service", service);
    }
  }

  /** Whether they differ from what was. */
  #note(id: string, problems: readonly Problem[]): boolean {
    const before = this.#problems.get(id) ?? [];
    if (JSON.stringify(before) === JSON.stringify(problems)) return false;
    if (problems.length === 0) this.#problems.delete(id);
    else
      this.#problems.set(
        id,
        problems.map((problem) => Object.freeze(problem)),
      );
    return true;
  }

  #build(unit: Unit): Built {
    if (unit.kind === "pods") {
      const pods = [...(this.#podsOf.get(unit.id) ?? [])].flatMap((key) => this.#pod(key) ?? []);
      return buildPodTask(unit.id, unit.name, pods, this.#context);
    }
    if (unit.kind === "bad") return this.#buildBad(unit.key);
    if (unit.kind === "owner") return this.#buildOwner(unit.ref);
    if (unit.kind === "namespace") return this.#buildNamespace(unit.key);
    const service = this.#objects.service(unit.key);
    if (service === undefined) return { task: null, problems: [] };
    const slices = [...(this.#slicesOf.get(unit.key) ?? [])].sort().flatMap((key) => this.#objects.slice(key) ?? []);
    const podOf = (key: string): KeptPod | undefined => this.#objects.pod(key);
    return buildServiceTask(unit.id, service, { slices, podOf }, this.#context);
  }

  /** The pod with what its owners say of it, too. */
  #pod(key: string): KeptPod | undefined {
    const pod = this.#objects.pod(key);
    const { owner } = this.#objects;
    if (pod === undefined || owner === undefined || pod.controller === null) return pod;
    const texts = textsOfOwners(pod, owner);
    if (texts === NO_TEXTS) return pod;
    // What is wrong with an owner is said of the owner.
    const annotations =
      texts === "bad" ? ({ kind: "none" } as const) : this.#reader.read({ ...pod.known?.texts, ...texts, ...pod.own });
    return { ...pod, annotations };
  }

  #buildBad(key: string): Built {
    const pod = this.#pod(key);
    const refusal = pod === undefined ? null : refusalOf(pod);
    return pod === undefined || refusal === null
      ? NOTHING
      : this.#invalid("Pod", pod, `The Pod is left out: ${refusal}.`);
  }

  #buildOwner(ref: ObjectRef): Built {
    const owner = this.#objects.owner?.(ref);
    if (owner?.refusal == null) return NOTHING;
    return this.#invalid(owner.kind, owner, `The pods of the ${owner.kind} are left out: ${owner.refusal}.`);
  }

  #buildNamespace(name: string): Built {
    const refusal = this.#objects.namespace?.(name)?.refusal ?? null;
    if (refusal === null) return NOTHING;
    const message = `Namespace ${name} gives no rights: ${refusal}.`;
    const subject = `${this.#context.provider}/Namespace/${name}`;
    return { task: null, problems: [{ subject, code: "rights_invalid", message }] };
  }

  #invalid(kind: string, object: { readonly namespace: string; readonly name: string }, message: string): Built {
    return {
      task: null,
      problems: [{ subject: subjectOf(this.#context.provider, kind, object), code: "task_invalid", message }],
    };
  }

  #leave(unit: Unit, key: string): void {
    drop(this.#podsOf, unit.id, key);
    this.#dirty.set(unit.id, unit);
  }

  #indexPods(service: string): void {
    for (const slice of this.#slicesOf.get(service) ?? []) {
      for (const pod of this.#podsOfSlice.get(slice) ?? []) members(this.#servicesOfPod, pod).add(service);
    }
  }
}

/** Of a task of many pods, those that stand for all where one would do. */
const FIRST_PODS = 5;

const NOTHING: Built = Object.freeze({ task: null, problems: [] });

/** null: it asks for nothing. */
function unitOf(key: string, pod: KeptPod): Unit | null {
  const { annotations, known, namespace, workload } = pod;
  if (annotations.kind === "none") return null;
  if (annotations.kind === "bad" || refusalOf(pod) !== null) return { kind: "bad", id: `bad ${key}`, key };
  const said = annotations.annotated.name;
  if (said !== undefined || known === null) {
    const name = said ?? workload;
    return { kind: "pods", id: `${namespace}.${name}`, namespace, name };
  }
  // No name holds a colon: what kinds call their tasks is nobody else's.
  return { kind: "pods", id: `${namespace}.${known.kind}:${known.group}`, namespace, name: known.name };
}

/** Why nothing can be made of the pod; null: something can. */
function refusalOf({ annotations, known }: KeptPod): string | null {
  if (annotations.kind === "bad") {
    // Nobody wrote what the kind says as annotations: whoever reads this has to know where it comes from.
    return known === null ? annotations.message : `${annotations.message} (its labels say ${known.kind})`;
  }
  return annotations.kind === "task" && annotations.annotated.name === undefined ? (known?.refusal ?? null) : null;
}

/** What makes it; null: nothing does, or it is gone. */
function aboveOf(object: KeptPod | KeptOwner | undefined): ObjectRef | null {
  const controller = object?.controller ?? null;
  return controller === null ? null : refOf(controller.kind, `${object?.namespace ?? ""}/${controller.name}`);
}

/** No name of a pod holds a colon, so that no pod can be taken for a Service. */
function serviceId(key: string): string {
  const at = key.indexOf("/");
  return `${key.slice(0, at)}.service:${key.slice(at + 1)}`;
}

/** `NAMESPACE/NAME`; null: it is the id of no Service. */
function keyOfService(id: string): string | null {
  const [, namespace, name] = /^([^.]+)\.service:(.+)$/.exec(id) ?? [];
  return name === undefined ? null : `${String(namespace)}/${name}`;
}

function members(index: Map<string, Set<string>>, key: string): Set<string> {
  const set = index.get(key) ?? new Set<string>();
  index.set(key, set);
  return set;
}

function drop(index: Map<string, Set<string>>, key: string, member: string): void {
  const set = index.get(key);
  set?.delete(member);
  if (set?.size === 0) index.delete(key);
}
