import { hash } from "node:crypto";
import type { FrontConfig } from "../../config/front-config.ts";
import type { Site } from "../../model/index.ts";
import { GATE_LABEL } from "../../platform/kubernetes/gate-marks.ts";
import { GATEWAY_GROUP, type ListenerSet, type ParentReference } from "../../platform/kubernetes/gateway-objects.ts";
import type { KubernetesObject, OwnerReference } from "../../platform/kubernetes/objects.ts";
import type { Wanted } from "../front.ts";
import { listenerFor, MOST_LISTENERS } from "./listeners.ts";
import { MADE, type FrontRoute, type Made, type ReferenceGrant } from "./objects.ts";

/** An object as it should be. */
export interface Built {
  readonly plural: Made;
  readonly object: KubernetesObject;
  /** The service that comes in by it alone; null: all do. */
  readonly service: string | null;
  /** What comes in by it, as people say it. */
  readonly what: string;
}

export interface BuildInput {
  readonly config: FrontConfig;
  readonly site: Pick<Site, "domain" | "gateHost" | "pathHost">;
  readonly wanted: Wanted;
  /** `ID-front`. */
  readonly mark: string;
  /** The Service that all lead to, where they are beside it: they go with it. null: they are not, or it is not known. */
  readonly owner: OwnerReference | null;
  /** By port: the listener of the Gateway that serves it; where ListenerSets do, it is not asked for. */
  readonly portListeners: ReadonlyMap<number, string>;
}

/** All that a front makes beside listeners of the Gateway itself. */
export function buildObjects(input: BuildInput): readonly Built[] {
  const { config } = input;
  const hosts = hostsOf(input);
  const serverNames = serverNamesOf(input);
  return [
    ...byNames(input, "httproutes", hosts, [config.listeners.https, config.listeners.http]),
    ...byNames(input, "grpcroutes", hosts, [config.listeners.grpc]),
    ...byNames(input, "tlsroutes", serverNames, [config.listeners.tls]),
    ...(config.tcp === "listenerSets" ? listenerSets(input) : []),
    ...tcpRoutes(input),
    ...grants(input),
  ];
}

/** Which of them a configuration may need at all. */
export function madeBy({ listeners, tcp, namespace, service }: FrontConfig): readonly Made[] {
  return [
    "httproutes",
    ...(listeners.grpc === undefined ? [] : (["grpcroutes"] as const)),
    ...(listeners.tls === undefined ? [] : (["tlsroutes"] as const)),
    ...((tcp ?? "off") === "off" ? [] : (["tcproutes"] as const)),
    ...(tcp === "listenerSets" ? (["listenersets"] as const) : []),
    ...((namespace ?? service.namespace) === service.namespace ? [] : (["referencegrants"] as const)),
  ];
}

/** Names that come in by one object, or by one each. */
interface Names {
  readonly common: readonly string[];
  /** With their services. */
  readonly apart: readonly (readonly [name: string, service: string])[];
}

function hostsOf({ site: { domain, gateHost, pathHost }, wanted }: BuildInput): Names {
  const own = [gateHost, pathHost].filter((host) => !isWithin(host, domain));
  const common = [`*.${domain}`, ...new Set(own)];
  const apart = [...wanted.hosts].filter(([host]) => !isWithin(host, domain) && !own.includes(host));
  return { common, apart };
}

function serverNamesOf({ site: { domain }, wanted }: BuildInput): Names {
  const passed = `tls.${domain}`;
  return { common: [`*.${passed}`], apart: [...wanted.serverNames].filter(([name]) => !isWithin(name, passed)) };
}

function isWithin(host: string, domain: string): boolean {
  return host.endsWith(`.${domain}`);
}

function byNames(
  input: BuildInput,
  plural: "httproutes" | "grpcroutes" | "tlsroutes",
  { common, apart }: Names,
  sections: readonly (string | undefined)[],
): Built[] {
  const parents = sections.filter((name) => name !== undefined).map((name) => gatewayRef(input, name));
  if (parents.length === 0) return [];
  const rule = ruleOf(plural, backendRef(input, input.config.service.port));
  const route = (hostnames: readonly string[], suffix: string): FrontRoute => ({
    metadata: metadata(input, `${SHORT[plural]}${suffix}`),
    spec: { parentRefs: parents, hostnames, rules: [rule] },
  });
  return [
    { plural, object: route(common, ""), service: null, what: common.join(", ") },
    ...apart.map(([name, service]) => ({
      ...{ plural, service, what: name },
      object: route([name], `-${hash("sha256", name, "hex").slice(0, 16)}`),
    })),
  ];
}

const SHORT = { httproutes: "http", grpcroutes: "grpc", tlsroutes: "tls" } as const;

/** What the API server adds by itself is there already, so that what is read can be held against it. */
function ruleOf(plural: "httproutes" | "grpcroutes" | "tlsroutes", backend: object): object {
  if (plural !== "httproutes") return { backendRefs: [backend] };
  return {
    matches: [{ path: { type: "PathPrefix", value: "/" } }],
    // Streams and WebSockets last as long as they do: the gate ends what is silent.
    timeouts: { request: "0s" },
    backendRefs: [backend],
  };
}

function tcpRoutes(input: BuildInput): Built[] {
  const { config, wanted, portListeners } = input;
  if ((config.tcp ?? "off") === "off") return [];
  return [...wanted.ports].flatMap(([port, service]): Built[] => {
    const section = config.tcp === "listenerSets" ? null : portListeners.get(port);
    if (section === undefined) return [];
    const parent = section === null ? setRef(input, port) : gatewayRef(input, section);
    const spec = { parentRefs: [parent], rules: [{ backendRefs: [backendRef(input, port)] }] };
    const object: FrontRoute = { metadata: metadata(input, `tcp-${String(port)}`), spec };
    return [{ plural: "tcproutes", object, service, what: `port ${String(port)}` }];
  });
}

/** A set has the ports of one block of numbers, so that a port that comes or goes changes its own set alone. */
function listenerSets(input: BuildInput): Built[] {
  const { config, wanted } = input;
  const blocks = Map.groupBy(
    [...wanted.ports.keys()].sort((a, b) => a - b),
    blockOf,
  );
  return [...blocks].map(([block, ports]) => {
    const { name, namespace } = config.gateway;
    const object: ListenerSet = {
      metadata: metadata(input, `tcp-set-${String(block)}`),
      spec: {
        parentRef: { group: GATEWAY_GROUP, kind: "Gateway", name, namespace },
        listeners: ports.map((port) => listenerFor(port, routeNamespace(config))),
      },
    };
    return { plural: "listenersets", object, service: null, what: `ports ${ports.join(", ")}` };
  });
}

function blockOf(port: number): number {
  return Math.floor(port / MOST_LISTENERS);
}

function setRef(input: BuildInput, port: number): ParentReference {
  const { name, namespace } = metadata(input, `tcp-set-${String(blockOf(port))}`);
  return { group: GATEWAY_GROUP, kind: "ListenerSet", namespace, name, sectionName: listenerFor(port, namespace).name };
}

/** Lets routes of their namespace lead to the Service in another one. */
function grants(input: BuildInput): Built[] {
  const { config } = input;
  const namespace = routeNamespace(config);
  if (namespace === config.service.namespace) return [];
  const routes = madeBy(config).filter((plural) => plural.endsWith("routes"));
  const object: ReferenceGrant = {
    metadata: { ...metadata(input, "routes"), namespace: config.service.namespace },
    spec: {
      from: routes.map((plural) => ({ group: GATEWAY_GROUP, kind: MADE[plural].kind, namespace })),
      to: [{ group: "", kind: "Service", name: config.service.name }],
    },
  };
  return [{ plural: "referencegrants", object, service: null, what: "the Service" }];
}

export function routeNamespace({ namespace, service }: FrontConfig): string {
  return namespace ?? service.namespace;
}

function metadata({ config, mark, owner }: BuildInput, suffix: string) {
  return {
    name: `taskgate-${mark}-${suffix}`,
    namespace: routeNamespace(config),
    labels: { [GATE_LABEL]: mark, "app.kubernetes.io/managed-by": "taskgate" },
    ...(owner !== null && { ownerReferences: [owner] }),
  };
}

function gatewayRef({ config: { gateway } }: BuildInput, sectionName: string): ParentReference {
  return { group: GATEWAY_GROUP, kind: "Gateway", namespace: gateway.namespace, name: gateway.name, sectionName };
}

function backendRef({ config: { service } }: BuildInput, port: number): object {
  return { group: "", kind: "Service", name: service.name, namespace: service.namespace, port, weight: 1 };
}
