import type { Endpoint, Service, Task } from "../../model/index.ts";
import { dnsLabel, shortHash } from "./marks.ts";
import type { Backing, DeterminedMarks, Unit } from "./unit.ts";

/** A unit of a task, and what of the task it makes reachable. */
export interface TaskUnit {
  readonly unit: Unit;
  /** null: none is there yet, its port is known beforehand. */
  readonly endpoint: Endpoint | null;
}

/**
 * Units of a task, by its services and their replicas. Of a service that has no endpoint yet there is one where it is known by what its pods will
 * be found: what is made for it is there when the pod is. Unix sockets and endpoints in no known pod make none, neither does a task that has ended.
 */
export function unitsOf(task: Task): readonly TaskUnit[] {
  if (task.state === "finished" || task.state === "failed") return [];
  const determined = determinedMarks(task);
  return task.services.flatMap((service, index) => unitsOfService(task, service, { index, determined }));
}

interface Of {
  /** Of the service, in its task. */
  readonly index: number;
  readonly determined: DeterminedMarks | null;
}

function unitsOfService(task: Task, service: Service, of: Of): readonly TaskUnit[] {
  const endpoints = new Map<string, Endpoint>();
  for (const endpoint of task.endpoints[service.name] ?? []) {
    // A pod with two addresses is one replica.
    if ("ip" in endpoint.address && !endpoints.has(endpoint.replica)) endpoints.set(endpoint.replica, endpoint);
  }
  const only = endpoints.size === 1 ? endpoints.get(ONLY_REPLICA) : undefined;
  if (only !== undefined || (endpoints.size === 0 && isAlone(task))) {
    const units = unitOfAllocation(task, service, { ...of, only: only ?? null });
    if (units !== null) return units;
  }
  return [...endpoints.values()].flatMap((endpoint) => {
    const unit = unitOfPod(task, service, { ...of, endpoint });
    return unit === null ? [] : [{ unit, endpoint }];
  });
}

/** As far as anything says so. */
function isAlone({ ref }: Task): boolean {
  return (ref?.size ?? 1) === 1;
}

/** Of all of an allocation's pods, of which there is but one. `only`: null: it is still to come. null: it is no allocation of Determined's. */
function unitOfAllocation(
  task: Task,
  service: Service,
  { index, determined, only }: Of & { readonly only: Endpoint | null },
): readonly TaskUnit[] | null {
  if (determined === null) return null;
  const port = portOf(only) ?? service.port;
  if (port === undefined) return [];
  const backing: Backing = { by: "selector", selector: { determined: determined.allocation } };
  const objectName = dnsLabel(`${determined.job}-${String(index)}`);
  const unit = { ...common(task, service, ONLY_REPLICA), port, objectName, backing, determined };
  return [{ unit, endpoint: only }];
}

function unitOfPod(task: Task, service: Service, of: Of & { readonly endpoint: Endpoint }): Unit | null {
  const { endpoint, determined, index } = of;
  if ("unix" in endpoint.address || endpoint.pod === undefined) return null;
  const { ip, port } = endpoint.address;
  const backing: Backing = { by: "pod", pod: endpoint.pod, ip };
  const base = common(task, service, endpoint.replica);
  if (determined === null) return { ...base, port, objectName: `taskgate-${shortHash(base.id)}`, backing };
  const { job } = determined;
  const rank = endpoint.replica.startsWith(`${job}-`) ? endpoint.replica.slice(job.length + 1) : endpoint.replica;
  return { ...base, port, objectName: dnsLabel(`${job}-${String(index)}-${rank}`), backing, determined };
}

function common(
  task: Task,
  service: Service,
  replica: string,
): Pick<Unit, "id" | "task" | "service" | "replica" | "namespace"> {
  const id = [task.id, service.name, replica].map(idPart).join("/");
  return { id, task: task.id, service: service.name, replica, namespace: task.namespace };
}

// Parts may hold what parts are told apart by.
function idPart(text: string): string {
  return text.replaceAll("%", "%25").replaceAll("/", "%2F");
}

function portOf(endpoint: Endpoint | null): number | undefined {
  return endpoint !== null && "ip" in endpoint.address ? endpoint.address.port : undefined;
}

/** What the replica of a task is called that has but one, whichever pod that is. */
const ONLY_REPLICA = "0";

function determinedMarks({ ref }: Task): DeterminedMarks | null {
  const allocation = ref?.selector?.determined;
  if (ref?.kind !== "Job" || allocation === undefined) return null;
  return { allocation, job: ref.name };
}
