import type { Anyone, AttachSpec, Policy, Protocol, RestartPolicy, RunPolicy, RunSpec } from "../../model/index.ts";

/** What a service turned out to be. */
export interface Recognition {
  readonly kind: string | null;
  readonly protocol: Protocol;
  readonly landingPath?: string;
  readonly policy: Policy;
}

/** A service that was told in advance, with its port in each replica. */
export interface DeclaredRecord {
  readonly name: string;
  readonly protocol: Protocol;
  readonly ports: readonly number[];
}

/** A service that a task opened by itself: on record, so that its name does not change with the order in which ports open. */
export interface FoundRecord {
  readonly name: string;
  /** What it was recognised as; `name` may be numbered. */
  readonly base: string;
  /** By replica: the last known port. */
  readonly ports: Readonly<Record<string, number>>;
}

interface CommonRecord {
  /** Also its key and the task's id. */
  readonly name: string;
  /** As its owner called it; null: after what it is recognised as. */
  readonly taskKind: string | null;
  readonly anyone: Anyone;
  readonly path: string | null;
  /** Epoch ms. */
  readonly createdAt: number;
  /** By service name. */
  readonly recognised: Readonly<Record<string, Recognition>>;
}

/** A command that we run. */
export interface RunRecord extends CommonRecord {
  readonly kind: "run";
  readonly declared: readonly DeclaredRecord[];
  readonly found: readonly FoundRecord[];
  /** One for each replica where nothing is declared: what PORT says. */
  readonly sparePorts: readonly number[];
  readonly replicas: number;
  readonly restart: RestartPolicy;
  readonly user: string | null;
  /** See `RunSpec`. */
  readonly idleStop?: string;
  /** See `RunSpec`. */
  readonly policy?: RunPolicy;
  /** Why the gate stopped it by itself, in words for its owner. */
  readonly stoppedFor?: string | null;
  /** Rises with every start by a new supervisor. */
  readonly generation: number;
}

/** A port of somebody else's process. */
export interface AttachRecord extends CommonRecord {
  readonly kind: "attach";
  readonly port: number;
  /** As its owner said; null: as recognised. */
  readonly protocol: Protocol | null;
  /** Null until it is known what it is. */
  readonly service: string | null;
}

/** What the store keeps of a task of this machine. Its command and environment are in its own folder instead. */
export type TaskRecord = RunRecord | AttachRecord;

/** Ports that a task was told to listen on. */
export function portsOf(record: TaskRecord): readonly number[] {
  return record.kind === "attach" ? [] : [...record.declared.flatMap((service) => service.ports), ...record.sparePorts];
}

/** A new task; `picked` are the ports for what has none of its own, as many as `portsWanted` says. */
export function runRecordOf(
  spec: RunSpec,
  place: { readonly name: string; readonly picked: readonly number[]; readonly now: number },
): RunRecord {
  const left = [...place.picked];
  const each = (fixed?: number): readonly number[] =>
    Array.from({ length: spec.replicas }, () => fixed ?? left.shift() ?? 0);
  const declared = spec.services.map(({ name, protocol, port }) => ({ name, protocol, ports: each(port) }));
  return {
    ...commonRecordOf(spec, place),
    kind: "run",
    declared,
    found: [],
    sparePorts: declared.length === 0 ? each() : [],
    replicas: spec.replicas,
    restart: spec.restart,
    user: spec.user ?? null,
    ...(spec.idleStop === undefined ? {} : { idleStop: spec.idleStop }),
    ...(spec.policy === undefined ? {} : { policy: spec.policy }),
    generation: 1,
  };
}

/** How many ports the gate has to pick. */
export function portsWanted(spec: RunSpec): number {
  const services =
    spec.services.length === 0 ? 1 : spec.services.filter((service) => service.port === undefined).length;
  return services * spec.replicas;
}

/** A port that is just taken in. */
export function attachRecordOf(spec: AttachSpec, place: { readonly name: string; readonly now: number }): AttachRecord {
  return {
    ...commonRecordOf(spec, place),
    kind: "attach",
    port: spec.port,
    protocol: spec.protocol ?? null,
    service: null,
  };
}

function commonRecordOf(
  spec: RunSpec | AttachSpec,
  place: { readonly name: string; readonly now: number },
): Pick<TaskRecord, "name" | "taskKind" | "anyone" | "path" | "createdAt" | "recognised"> {
  return {
    name: place.name,
    taskKind: spec.kind ?? null,
    anyone: spec.anyone,
    path: spec.path ?? null,
    createdAt: place.now,
    recognised: {},
  };
}
