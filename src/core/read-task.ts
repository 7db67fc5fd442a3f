import { GATE_PROVIDER, type Endpoint, type Problem, type Service, type Task } from "../model/index.ts";
import { LIMITS } from "./limits.ts";
import { readAccess, readIdentity } from "./read-access.ts";
import { readEndpoints } from "./read-endpoints.ts";
import { readService, SERVICE_NAME } from "./read-service.ts";
import {
  own,
  readChoice,
  readFields,
  readInteger,
  readList,
  readProse,
  readText,
  readWord,
  Unusable,
  whyUnusable,
  type Fields,
} from "./read-value.ts";
import { keepSame } from "./same-content.ts";
import type { Writable } from "./writable.ts";

const STATES = ["starting", "running", "stopping", "finished", "failed"] as const;
const NO_PROBLEMS: readonly Problem[] = Object.freeze([]);
const NO_NAMES: ReadonlySet<string> = new Set();
const NO_ENDPOINTS: readonly Endpoint[] = Object.freeze([]);
const LABEL = /^[A-Za-z0-9][A-Za-z0-9._/:-]{0,316}$/;

/** Task ids: in keys and URLs, so one word without `/`. */
const TASK_ID = /^[A-Za-z0-9][A-Za-z0-9._:@~+=-]{0,252}$/;

export interface TaskSource {
  readonly provider: string;
  readonly id: string;
  readonly key: string;
  /** The task may be at addresses of this machine. */
  readonly loopback: boolean;
  /** As read before: what is equal keeps its identity. */
  readonly previous: Task | null;
}

export interface ReadTask {
  /** A copy of what is usable; null where the task as a whole is not. */
  readonly task: Task | null;
  /** Names of services that are listed but not usable. */
  readonly broken: ReadonlySet<string>;
  readonly problems: readonly Problem[];
}

/** The id of what a provider calls a task; null: none that can be used. Never throws. */
export function readTaskId(raw: unknown): string | null {
  try {
    const id = readFields(raw, "task").id;
    return typeof id === "string" && TASK_ID.test(id) ? id : null;
  } catch {
    // Accessors of a hostile object may throw anything: such a task has no usable id.
    return null;
  }
}

/** Reads what a provider calls a task, which may be anything. Never throws: what is wrong is in `problems`, at most so many. */
export function readTask(raw: unknown, source: TaskSource): ReadTask {
  const found = new Findings(source.key);
  try {
    const task = readFields(raw, "task");
    const services = readServices(task, source, found);
    const endpoints = readAllEndpoints(task, { services, source, found });
    return { task: assemble(task, source, { services, endpoints, found }), broken: found.broken, problems: found.list };
  } catch (error) {
    found.add("task_invalid", source.key, whyUnusable(error));
    return { task: null, broken: found.broken, problems: found.list };
  }
}

class Findings {
  list: readonly Problem[] = NO_PROBLEMS;
  broken: ReadonlySet<string> = NO_NAMES;
  readonly key: string;

  constructor(key: string) {
    this.key = key;
  }

  add(code: string, subject: string, message: string): void {
    if (this.list.length >= LIMITS.problemsPerTask) return;
    this.list = [...this.list, Object.freeze({ subject, code, message })];
  }

  addBroken(name: string): void {
    this.broken = new Set([...this.broken, name]);
  }

  ofService(code: string, name: string, message: string): void {
    this.add(code, `${this.key}/${name}`, message);
  }
}

function assemble(
  task: Fields,
  source: TaskSource,
  parts: { services: readonly Service[]; endpoints: Task["endpoints"]; found: Findings },
): Task {
  const { previous } = source;
  const { owner, ref, reason, startedAt, instance } = task;
  const next: Writable<Task> = {
    id: source.id,
    name: readText(task.name, "name", 253),
    kind: readText(task.kind, "kind", 128),
    owner: owner === null ? null : keepSame(previous?.owner ?? undefined, readIdentity(owner, "owner")),
    namespace: readNamespace(task.namespace),
    labels: keepSame(previous?.labels, readLabels(task.labels, parts.found)),
    state: readChoice(task.state, "state", STATES),
    services: parts.services,
    endpoints: parts.endpoints,
    access: keepSame(previous?.access, readAccess(task.access)),
  };
  // Set one by one: spreading optional parts into a literal costs several times as much.
  if (ref !== undefined) next.ref = keepSame(previous?.ref, readRef(ref));
  if (instance !== undefined) next.instance = readText(instance, "instance", 253);
  if (reason !== undefined) next.reason = readProse(reason, "reason", 4096);
  if (startedAt !== undefined) next.startedAt = readInteger(startedAt, "startedAt", 0, Number.MAX_SAFE_INTEGER);
  return keepSame(previous ?? undefined, next);
}

function readNamespace(value: unknown): string {
  return value === "" ? "" : readText(value, "namespace", 253);
}

function readServices(task: Fields, source: TaskSource, found: Findings): readonly Service[] {
  const values = readList(task.services, "services", LIMITS.servicesPerTask);
  // Of its final length from the start: lists are kept, and one that grows in place has room for sixteen more.
  const services = new Array<Service>(values.length);
  const names = new Array<string>(values.length);
  let named = 0;
  let usable = 0;
  for (const value of values) {
    try {
      const fields = readFields(value, "service");
      const name = readWord(fields.name, "service.name", SERVICE_NAME);
      if (names.includes(name)) throw new Unusable(`Two services are named ${name}; expected every name once.`);
      names[named++] = name;
      const service = readOneService(fields, { name, source, found });
      if (service !== null) services[usable++] = service;
    } catch (error) {
      found.add("service_invalid", source.key, whyUnusable(error));
    }
  }
  services.length = usable;
  return keepSame(source.previous?.services, services);
}

function readOneService(
  fields: Fields,
  context: { name: string; source: TaskSource; found: Findings },
): Service | null {
  const { name, source, found } = context;
  try {
    const { service, refused } = readService(fields, name, source.provider === GATE_PROVIDER);
    for (const reason of refused) found.ofService("exposure_invalid", name, reason);
    return keepSame(
      source.previous?.services.find((before) => before.name === name),
      service,
    );
  } catch (error) {
    found.addBroken(name);
    found.ofService("service_invalid", name, whyUnusable(error));
    return null;
  }
}

// Every service has an entry of its own, so that looking up one called `constructor` never finds something of Object's.
function readAllEndpoints(
  task: Fields,
  context: { services: readonly Service[]; source: TaskSource; found: Findings },
): Task["endpoints"] {
  const { services, source, found } = context;
  const fields = readFields(task.endpoints, "endpoints");
  const all: Record<string, readonly Endpoint[]> = {};
  let left = LIMITS.endpointsPerTask;
  for (const { name } of services) {
    const list = readServiceEndpoints(own(fields, name), { name, source, found, most: left });
    const before = source.previous?.endpoints;
    all[name] = keepSame(before !== undefined && Object.hasOwn(before, name) ? before[name] : undefined, list);
    left -= list.length;
  }
  return keepSame(source.previous?.endpoints, all);
}

function readServiceEndpoints(
  value: unknown,
  context: { name: string; source: TaskSource; found: Findings; most: number },
): readonly Endpoint[] {
  const { name, source, found, most } = context;
  if (value === undefined) return NO_ENDPOINTS;
  try {
    const values = readList(value, "endpoints", Math.min(most, LIMITS.endpointsPerService));
    const { list, refused } = readEndpoints(values, source.loopback);
    for (const reason of refused) found.ofService("endpoint_invalid", name, reason);
    return list;
  } catch (error) {
    found.ofService("endpoint_invalid", name, whyUnusable(error));
    return NO_ENDPOINTS;
  }
}

function readLabels(value: unknown, found: Findings): Readonly<Record<string, string>> {
  const fields = readFields(value, "labels");
  const names = Object.keys(fields);
  if (names.length > LIMITS.labelsPerTask) {
    throw new Unusable(`labels has ${names.length} entries; expected ${LIMITS.labelsPerTask} at most.`);
  }
  // No prototype can be meant by a name that LABEL lets through.
  const labels: Record<string, string> = {};
  for (const name of names) {
    const label = fields[name];
    if (LABEL.test(name) && typeof label === "string" && label.length <= 4096) labels[name] = label.toWellFormed();
    else found.add("label_invalid", found.key, `The label ${JSON.stringify(name.slice(0, 60))} is left out; expected a name such as team and text of 4096 characters at most.`); // prettier-ignore
  }
  return labels;
}

function readRef(value: unknown): NonNullable<Task["ref"]> {
  const fields = readFields(value, "ref");
  const read = (name: string) => readText(own(fields, name), `ref.${name}`, 253);
  const selector = fields.selector;
  return {
    cluster: read("cluster"),
    kind: read("kind"),
    name: read("name"),
    uid: read("uid"),
    ...(selector !== undefined && { selector: readSelector(selector) }),
  };
}

function readSelector(value: unknown): Readonly<Record<string, string>> {
  const entries = Object.entries(readFields(value, "ref.selector"));
  if (entries.length > LIMITS.labelsPerTask) throw new Unusable(`ref.selector has ${entries.length} entries.`);
  const texts = entries.map(([name, label]) => [name, typeof label === "string" ? label : readText(label, `ref.selector.${name}`, 253)]); // prettier-ignore
  return Object.fromEntries(texts) as Record<string, string>;
}
