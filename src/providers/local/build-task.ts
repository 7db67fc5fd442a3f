import {
  OWNER_ONLY,
  type Access,
  type Endpoint,
  type Exposure,
  type Identity,
  type Policy,
  type Protocol,
  type Service,
  type Task,
  type TaskState,
} from "../../model/index.ts";
import { openPort, type OpenPorts } from "./found-services.ts";
import { describeState } from "./describe-state.ts";
import type { RunView } from "./run-view.ts";
import type { AttachRecord, Recognition, RunRecord } from "./task-record.ts";

/** An attached port's public face. */
export interface AttachView {
  readonly record: AttachRecord;
  readonly state: TaskState;
  readonly reason: string | null;
  /** null: nothing listens. */
  readonly ip: string | null;
}

const NO_POLICY: Policy = Object.freeze({});
/** What a port that turns out to speak HTTP is mostly called: its visitors' sessions then stay good. */
const AWAITED = "web";
const NOT_YET = Object.freeze({ [AWAITED]: Object.freeze([]) });

/** Whether all that the task declares listens; without declarations, whether anything does that is a service. */
export function isReady(record: RunRecord, open: OpenPorts): boolean {
  const replicas = replicasOf(record);
  if (record.declared.length === 0) {
    return record.found.some((service) => replicas.some((replica) => openPort(open, replica, service.ports[replica])));
  }
  return record.declared.every(({ ports }) =>
    replicas.every((replica) => openPort(open, replica, ports[Number(replica)]) !== undefined),
  );
}

/** "0", "1", … */
export function replicasOf(record: RunRecord): readonly string[] {
  return Array.from({ length: record.replicas }, (_, index) => String(index));
}

/** A command that we run, as the model has it. Pure. */
export function buildRunTask(view: RunView, owner: Identity): Task {
  const { record, open } = view;
  const { state, reason } = describeState(view);
  const named = [
    ...record.declared.map(({ name, protocol, ports }) => ({
      name,
      protocol,
      portOf: (r: string) => ports[Number(r)],
    })),
    ...record.found.map(({ name, ports }) => ({ name, protocol: null, portOf: (r: string) => ports[r] })),
  ];
  const services = named.map(({ name, protocol, portOf }, index) => {
    const port = record.replicas === 1 ? portOf("0") : undefined;
    // Who says which services there are means those when they open them to others, and not a debugger's port beside them.
    const own = record.declared.length > 0 && protocol === null;
    return buildService(record, { name, protocol, port, first: index === 0, own });
  });
  const endpoints = named.map(({ name, portOf }) => {
    const list = replicasOf(record).flatMap((replica) => buildEndpoint(open, replica, portOf(replica)));
    return [name, list] as const;
  });
  return {
    ...commonTask(record, owner),
    kind: record.taskKind ?? kindOf(services, record.recognised) ?? "process",
    state,
    ...(reason === null ? {} : { reason }),
    ...(view.state === null ? {} : { startedAt: view.state.startedAt }),
    services: services.length === 0 ? [buildAwaited(record)] : services,
    endpoints: services.length === 0 ? NOT_YET : Object.fromEntries(endpoints),
  };
}

/** A port of somebody else's process, as the model has it. Pure. */
export function buildAttachTask(view: AttachView, owner: Identity): Task {
  const { record, state, reason, ip } = view;
  const { service, port } = record;
  const services =
    service === null
      ? [buildAwaited(record)]
      : [buildService(record, { name: service, protocol: record.protocol, port, first: true, own: false })];
  const list: Endpoint[] = ip === null ? [] : [{ address: { ip, port }, replica: "0", weight: 1, health: "healthy" }];
  return {
    ...commonTask(record, owner),
    kind: record.taskKind ?? kindOf(services, record.recognised) ?? "attached",
    state,
    ...(reason === null ? {} : { reason }),
    startedAt: record.createdAt,
    services,
    endpoints: service === null ? NOT_YET : { [service]: list },
  };
}

function commonTask(
  record: RunRecord | AttachRecord,
  owner: Identity,
): Pick<Task, "id" | "instance" | "name" | "owner" | "namespace" | "labels" | "access"> {
  const access: Access = { grants: [], anyone: record.anyone };
  const { name } = record;
  return { id: name, instance: String(record.createdAt), name, owner, namespace: "default", labels: {}, access };
}

function buildService(
  record: RunRecord | AttachRecord,
  wanted: {
    readonly name: string;
    readonly protocol: Protocol | null;
    readonly port: number | undefined;
    readonly first: boolean;
    /** For the owner alone, whatever the task says of its services. */
    readonly own: boolean;
  },
): Service {
  const recognition = record.recognised[wanted.name];
  const protocol = wanted.protocol ?? recognition?.protocol ?? "tcp";
  return {
    name: wanted.name,
    protocol,
    ...(wanted.port === undefined ? {} : { port: wanted.port }),
    guard: "gate",
    ...(recognition?.landingPath === undefined ? {} : { landingPath: recognition.landingPath }),
    exposures: wanted.own ? [] : exposuresOf(record, protocol, wanted.first),
    ...(wanted.own && { access: OWNER_ONLY }),
    policy: policyOf(record, recognition),
  };
}

function policyOf(record: RunRecord | AttachRecord, recognition: Recognition | undefined): Policy {
  const policy = recognition?.policy ?? NO_POLICY;
  if (record.kind !== "run" || (record.idleStop === undefined && record.policy === undefined)) return policy;
  return { ...policy, ...record.policy, ...(record.idleStop === undefined ? {} : { cull: record.idleStop }) };
}

/** What stands for the services of a task of which none is known yet, so that its name says how it is doing. */
function buildAwaited(record: RunRecord | AttachRecord): Service {
  const exposures = exposuresOf(record, "http", true);
  return {
    name: AWAITED,
    protocol: "http",
    guard: "gate",
    exposures,
    policy: policyOf(record, undefined),
    awaited: true,
  };
}

function exposuresOf(record: RunRecord | AttachRecord, protocol: Protocol, first: boolean): readonly Exposure[] {
  const exposures: Exposure[] = [];
  if (first && record.path !== null) exposures.push({ by: "path", prefix: record.path, strip: true });
  if (protocol === "tcp" && record.anyone === "public") exposures.push({ by: "port" });
  return exposures;
}

/** An endpoint is there while its port is open in the task's own processes: whoever else has that port is never sent its visitors. */
function buildEndpoint(open: OpenPorts, replica: string, port: number | undefined): readonly Endpoint[] {
  const found = openPort(open, replica, port);
  if (found === undefined) return [];
  return [{ address: { ip: found.ip, port: found.port }, replica, weight: 1, health: "healthy" }];
}

function kindOf(services: readonly Service[], recognised: Readonly<Record<string, Recognition>>): string | null {
  return services.map((service) => recognised[service.name]?.kind ?? null).find((kind) => kind !== null) ?? null;
}
