import { isDeepStrictEqual } from "node:util";
import type { Task } from "../../../model/index.ts";
import type { NetworkPolicy } from "../../../platform/kubernetes/network-policy-objects.ts";
import { objectKey } from "../../../platform/kubernetes/objects.ts";
import { GATE_LABEL } from "../../../platform/kubernetes/gate-marks.ts";
import { isMarked } from "../marks.ts";
import { buildPolicy, mayPick, TASK_ANNOTATION, type PodsOf } from "./network-policy.ts";

export interface PolicyInput {
  readonly mark: string;
  /** All that there are, by id. */
  readonly tasks: ReadonlyMap<string, Task>;
  /** Whether `tasks` are known to be all: else nothing is removed for want of one. */
  readonly isWhole: boolean;
  /** Pods of all Gateways; null: those of one are not known, and nothing new may be closed. */
  readonly gateways: readonly PodsOf[] | null;
  /** Everybody's, by `NAMESPACE/NAME`. */
  readonly policies: ReadonlyMap<string, NetworkPolicy>;
}

/** One write; of `remove` the object as it was observed, of `replace` with the version that it replaces. */
export interface PolicyStep {
  readonly action: "create" | "replace" | "remove";
  readonly object: NetworkPolicy;
}

/**
 * Why a task has no policy: `selector`: nothing tells its pods from others; `policies`: others' policies may be about its pods, and one that
 * leaves open what it does not close would open what they close.
 */
export type Unguarded = "selector" | "policies";

export interface PolicyPlan {
  readonly steps: readonly PolicyStep[];
  /** By task. */
  readonly unguarded: ReadonlyMap<string, Unguarded>;
}

/** Which policies are to be made, changed and removed. Pure. */
export function planPolicies(input: PolicyInput): PolicyPlan {
  const { mark, tasks, isWhole, gateways, policies } = input;
  const { wanted, unguarded } = wantedPolicies(input);
  const steps =
    gateways === null ? [] : [...wanted].flatMap(([key, policy]) => stepTo(policy, policies.get(key), mark));
  for (const [key, policy] of policies) {
    if (wanted.has(key) || !isMarked(policy, mark)) continue;
    const task = policy.metadata.annotations?.[TASK_ANNOTATION] ?? "";
    // Of a task that is there and is to have none, what it has goes though others are not known.
    if (isWhole || unguarded.has(task) || isOver(tasks.get(task))) steps.push({ action: "remove", object: policy });
  }
  return { steps, unguarded };
}

interface Wanted {
  /** By `NAMESPACE/NAME`. */
  readonly wanted: ReadonlyMap<string, NetworkPolicy>;
  readonly unguarded: ReadonlyMap<string, Unguarded>;
}

function wantedPolicies({ mark, tasks, gateways, policies }: PolicyInput): Wanted {
  const foreign = Map.groupBy(
    [...policies.values()].filter((policy) => isInTheWay(policy, mark)),
    ({ metadata }) => metadata.namespace ?? "",
  );
  const wanted = new Map<string, NetworkPolicy>();
  const unguarded = new Map<string, Unguarded>();
  const by = { gateways: gateways ?? [], mark, key: JSON.stringify([gateways, mark]) };
  for (const task of tasks.values()) {
    const policy = policyOf(task, by);
    if (policy === null) continue;
    const pods = task.ref?.pods;
    if (pods === undefined || policy === undefined) unguarded.set(task.id, "selector");
    else if (foreign.get(task.namespace)?.some((other) => mayPick(other, pods)) === true)
      unguarded.set(task.id, "policies");
    else wanted.set(objectKey(policy), policy);
  }
  return { wanted, unguarded };
}

interface Building {
  readonly gateways: readonly PodsOf[];
  readonly mark: string;
  /** The same for the same of both. */
  readonly key: string;
}

/** What was built of a task. There may be thousands, of which one changes at a time. */
const BUILT = new WeakMap<Task, { readonly key: string; readonly policy: NetworkPolicy | null | undefined }>();
/** Of what was observed, what it was found to be like. */
const ALIKE = new WeakMap<NetworkPolicy, NetworkPolicy>();

/** null: the task has nothing to guard; undefined: nothing tells its pods from others. */
function policyOf(task: Task, { gateways, mark, key }: Building): NetworkPolicy | null | undefined {
  const known = BUILT.get(task);
  if (known?.key === key) return known.policy;
  const ports = portsOf(task);
  const { id, namespace, ref } = task;
  const guarded = ref?.pods === undefined ? undefined : { task: id, namespace, pods: ref.pods, ports };
  const policy = ports.length === 0 ? null : guarded && buildPolicy(guarded, gateways, mark);
  BUILT.set(task, { key, policy });
  return policy;
}

function isOver(task: Task | undefined): boolean {
  return task?.state === "finished" || task?.state === "failed";
}

/** Somebody else's; of two gates that would guard the same pods, the one of the lower mark does. */
function isInTheWay({ metadata }: NetworkPolicy, mark: string): boolean {
  const other = metadata.labels?.[GATE_LABEL];
  return other === undefined || other < mark;
}

function stepTo(wanted: NetworkPolicy, there: NetworkPolicy | undefined, mark: string): readonly PolicyStep[] {
  if (there === undefined) return [{ action: "create", object: wanted }];
  if (!isMarked(there, mark) || ALIKE.get(there) === wanted) return [];
  if (isDeepStrictEqual(there.spec, wanted.spec)) {
    ALIKE.set(there, wanted);
    return [];
  }
  const { metadata } = there;
  const annotations = { ...metadata.annotations, ...wanted.metadata.annotations };
  return [{ action: "replace", object: { ...there, metadata: { ...metadata, annotations }, spec: wanted.spec ?? {} } }];
}

/** Ports that its services listen on: those that are known beforehand, and those of its replicas. */
export function portsOf(task: Task): readonly number[] {
  if (isOver(task)) return [];
  const { services, endpoints } = task;
  const declared = services.flatMap(({ port }) => port ?? []);
  const found = Object.values(endpoints).flatMap((list) =>
    list.flatMap(({ address }) => ("ip" in address ? address.port : [])),
  );
  return [...new Set([...declared, ...found])].sort((a, b) => a - b);
}
