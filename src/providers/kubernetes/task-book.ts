import type { Problem, Task } from "../../model/index.ts";
import { ToldTasks } from "../told-tasks.ts";
import { buildPodTask, buildServiceTask, subjectOf, type BuildContext, type Built } from "./build-task.ts";
import type { KeptPod, KeptService, KeptSlice } from "./kept-objects.ts";

/** Something that is built by itself, again whenever one of its objects changes. */
type Unit =
  | { readonly kind: "pods"; readonly id: string; readonly namespace: string; readonly name: string }
  | { readonly kind: "service"; readonly id: string; readonly key: string }
  | { readonly kind: "bad"; readonly id: string; readonly key: string };

/** Objects as they are now, by `NAMESPACE/NAME`. */
export interface Objects {
  pod(key: string): KeptPod | undefined;
  service(key: string): KeptService | undefined;
  slice(key: string): KeptSlice | undefined;
}

/** What building came to, since the last time. */
export interface Changes {
  readonly set: readonly Task[];
  readonly removed: readonly string[];
  /** All that there are now; the same array where none changed. */
  readonly problems: readonly Problem[];
  readonly isNews: boolean;
}

/** Which objects make which task: work is by what changed, however many there are. Pure but for what it remembers. */
export class TaskBook {
  readonly #objects: Objects;
  readonly #context: BuildContext;
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
  readonly #told = new ToldTasks();
  readonly #problems = new Map<string, readonly Problem[]>();
  #allProblems: readonly Problem[] = [];

  constructor(objects: Objects, context: BuildContext) {
    this.#objects = objects;
    this.#context = context;
  }

  podChanged(key: string): void {
    const pod = this.#objects.pod(key);
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
    this.#dirty.set(id, { kind: "service", id, key });
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
      const { task, problems } = this.#build(unit);
      this.#told.tell(id, task, { set, removed });
      isOtherProblem = this.#note(id, problems) || isOtherProblem;
    }
    this.#dirty.clear();
    if (isOtherProblem) this.#allProblems = [...this.#problems.values()].flat();
    const isNews = set.length + removed.length > 0 || isOtherProblem;
    return { set, removed, problems: this.#allProblems, isNews };
  }

  /** Whether they differ from what was. */
  #note(id: string, problems: readonly Problem[]): boolean {
    const before = this.#problems.get(id) ?? [];
    if (JSON.stringify(before) === JSON.stringify(problems)) return false;
    if (problems.length === 0) this.#problems.delete(id);
    else this.#problems.set(id, problems);
    return true;
  }

  #build(unit: Unit): Built {
    if (unit.kind === "pods") {
      const pods = [...(this.#podsOf.get(unit.id) ?? [])].flatMap((key) => this.#objects.pod(key) ?? []);
      return buildPodTask(unit.id, unit.name, pods, this.#context);
    }
    if (unit.kind === "bad") return this.#buildBad(unit.key);
    const service = this.#objects.service(unit.key);
    if (service === undefined) return { task: null, problems: [] };
    const slices = [...(this.#slicesOf.get(unit.key) ?? [])].sort().flatMap((key) => this.#objects.slice(key) ?? []);
    const podOf = (key: string): KeptPod | undefined => this.#objects.pod(key);
    return buildServiceTask(unit.id, service, { slices, podOf }, this.#context);
  }

  #buildBad(key: string): Built {
    const pod = this.#objects.pod(key);
    if (pod?.annotations.kind !== "bad") return { task: null, problems: [] };
    const message = `The Pod is left out: ${pod.annotations.message}.`;
    return {
      task: null,
      problems: [{ subject: subjectOf(this.#context.provider, "Pod", pod), code: "task_invalid", message }],
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

/** null: it asks for nothing. */
function unitOf(key: string, pod: KeptPod): Unit | null {
  const { annotations, namespace } = pod;
  if (annotations.kind === "none") return null;
  if (annotations.kind === "bad") return { kind: "bad", id: `bad ${key}`, key };
  const name = annotations.annotated.name ?? workloadName(pod);
  return { kind: "pods", id: `${namespace}.${name}`, namespace, name };
}

/** The name of what made the pod, as people know it: a Deployment's, not its ReplicaSet's. */
function workloadName({ name, controller, templateHash }: KeptPod): string {
  if (controller === null) return name;
  const suffix = templateHash === null ? "" : `-${templateHash}`;
  const isDeployment = controller.kind === "ReplicaSet" && suffix !== "" && controller.name.endsWith(suffix);
  return isDeployment ? controller.name.slice(0, -suffix.length) : controller.name;
}

/** No name of a pod holds a colon, so that no pod can be taken for a Service. */
function serviceId(key: string): string {
  const at = key.indexOf("/");
  return `${key.slice(0, at)}.service:${key.slice(at + 1)}`;
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
