import {
  GATEWAY_GROUP,
  GATEWAYS,
  listenerSets,
  tcpRoutes,
  type Gateway,
  type Listener,
  type ListenerSet,
  type TcpRoute,
} from "../../../platform/kubernetes/gateway-objects.ts";
import {
  objectKey,
  type EndpointSlice,
  type KubernetesObject,
  type KubernetesService,
} from "../../../platform/kubernetes/objects.ts";
import { isMarked } from "../marks.ts";
import type { Observed, Step } from "../plan-input.ts";

/** What became of a step. `conflict`: the object is another one by now; `taken`: somebody else has one of that name. */
export type Outcome = "done" | "conflict" | "taken";

/** An API server in memory, as strict as the real one about what a planner can get wrong. */
export class ModelCluster {
  readonly gateways = new Map<string, Gateway>();
  readonly listenerSets = new Map<string, ListenerSet>();
  readonly services = new Map<string, KubernetesService>();
  readonly slices = new Map<string, EndpointSlice>();
  readonly routes = new Map<string, TcpRoute>();
  /** `KIND NAMESPACE/NAME` of what could not be made, by mark. */
  readonly #taken = new Map<string, Set<string>>();
  /** Most listeners of a Gateway, and of a ListenerSet. */
  most = { gateway: 64, set: 64 };
  controller = "example.com/gateway-controller";
  /** Whether it has ListenerSets. */
  servesSets = true;
  #version = 0;

  /** As a gate of this mark sees it. */
  observe(mark: string, names: Iterable<string> = this.gateways.keys()): Observed {
    const own = <T extends KubernetesObject>(objects: ReadonlyMap<string, T>): ReadonlyMap<string, T> =>
      new Map([...objects].filter(([, object]) => isMarked(object, mark)));
    const seen = new Set([...names, ...this.gateways.keys()]);
    return {
      gateways: new Map([...seen].map((name) => [name, this.gateways.get(name) ?? null])),
      listenerSets: this.servesSets ? new Map(this.listenerSets) : null,
      services: own(this.services),
      slices: own(this.slices),
      routes: own(this.routes),
      taken: new Set(this.#taken.get(mark)),
      controllers: new Map([...this.gateways.keys()].map((name) => [name, this.controller])),
      namespaces: new Map(),
      served: {
        tcpRoutes: tcpRoutes("v1"),
        listenerSets: this.servesSets ? listenerSets(GATEWAY_GROUP, "v1") : null,
        gatewayListeners: { least: 1, most: this.most.gateway },
        setListeners: this.most.set,
      },
    };
  }

  /** Of a gate that starts, which knows of no names that are taken. */
  forget(mark: string): void {
    this.#taken.delete(mark);
  }

  apply(step: Step, mark: string): Outcome {
    const { kind } = step.resource;
    const objects = this.#objectsOf(kind);
    const key = objectKey(step.object);
    const live = objects.get(key);
    if (step.action === "create") {
      if (live === undefined) {
        this.put(kind, step.object);
        return "done";
      }
      if (isMarked(live, mark)) return "conflict";
      this.#taken.set(mark, (this.#taken.get(mark) ?? new Set()).add(`${kind} ${key}`));
      return "taken";
    }
    if (live === undefined || live.metadata.resourceVersion !== step.object.metadata.resourceVersion) return "conflict";
    if (step.action === "remove") objects.delete(key);
    else this.put(kind, step.object);
    return "done";
  }

  /** Writes an object as anybody might. Throws where an API server would refuse it. */
  put(kind: string, object: KubernetesObject): void {
    checkMetadata(object);
    if (kind === GATEWAYS.kind) checkListeners(object, this.most.gateway);
    if (kind === "ListenerSet") checkListeners(object, this.most.set);
    const { uid, creationTimestamp } = this.#objectsOf(kind).get(objectKey(object))?.metadata ?? {};
    const version = String(++this.#version);
    const metadata = {
      ...object.metadata,
      uid: uid ?? `uid-${version}`,
      creationTimestamp: creationTimestamp ?? new Date(this.#version * 1000).toISOString(),
      resourceVersion: version,
    };
    this.#objectsOf(kind).set(objectKey(object), withDefaults(kind, { ...object, metadata }));
  }

  remove(kind: string, key: string): void {
    this.#objectsOf(kind).delete(key);
  }

  /** All objects, by kind and name. */
  all(): ReadonlyMap<string, KubernetesObject> {
    const all = new Map<string, KubernetesObject>();
    for (const kind of KINDS) for (const [key, object] of this.#objectsOf(kind)) all.set(`${kind} ${key}`, object);
    return all;
  }

  #objectsOf(kind: string): Map<string, KubernetesObject> {
    if (kind === GATEWAYS.kind) return this.gateways;
    if (kind === "ListenerSet") return this.listenerSets;
    if (kind === "Service") return this.services;
    if (kind === "EndpointSlice") return this.slices;
    if (kind === "TCPRoute") return this.routes;
    throw new Error(`no ${kind} here`);
  }
}

const KINDS = ["Gateway", "ListenerSet", "Service", "EndpointSlice", "TCPRoute"];

function checkMetadata({ metadata }: KubernetesObject): void {
  const { name, annotations = {}, labels = {} } = metadata;
  if (!/^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$/.test(name)) throw new Error(`no name: ${name}`);
  for (const key of [...Object.keys(annotations), ...Object.keys(labels)]) {
    if (!/^([a-z0-9.-]+\/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/.test(key)) throw new Error(`no key: ${key}`);
  }
  for (const value of Object.values(labels)) {
    if (!/^([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?$/.test(value)) throw new Error(`no label value: ${value}`);
  }
}

function checkListeners({ spec }: Gateway | ListenerSet, most: number): void {
  const listeners = spec?.listeners ?? [];
  if (listeners.length < 1 || listeners.length > most) throw new Error(`${String(listeners.length)} listeners`);
  const unique = (name: (listener: Listener) => string): boolean =>
    new Set(listeners.map(name)).size === listeners.length;
  if (!unique(({ name }) => name)) throw new Error("two listeners of one name");
  if (!unique(({ port, protocol, hostname = "" }) => `${String(port)} ${protocol} ${hostname}`)) {
    throw new Error("two listeners that are the same");
  }
}

// What a server fills in is no difference from what is wanted.
function withDefaults<T extends KubernetesObject>(kind: string, object: T): T {
  if (kind === "Service") {
    const { spec } = object as KubernetesService;
    const ports = (spec?.ports ?? []).map((port) => ({ targetPort: port.port, protocol: "TCP", ...port }));
    return { ...object, spec: { clusterIP: "10.96.0.9", sessionAffinity: "None", ...spec, ports } };
  }
  if (kind === "TCPRoute") {
    const { spec } = object as TcpRoute;
    const parentRefs = (spec?.parentRefs ?? []).map((parent) => ({ group: GATEWAY_GROUP, kind: "Gateway", ...parent }));
    const rules = (spec?.rules ?? []).map((rule) => ({
      ...rule,
      backendRefs: (rule.backendRefs ?? []).map((backend) => ({ group: "", weight: 1, ...backend })),
    }));
    return { ...object, spec: { ...spec, parentRefs, rules } };
  }
  return object;
}
