import { createServer, type Server } from "node:net";
import { isDeepStrictEqual } from "node:util";
import { systemClock } from "../../../platform/clock.ts";
import type { KubernetesClient } from "../../../platform/kubernetes/client.ts";
import {
  GATEWAYS,
  type Condition,
  type Gateway,
  type Listener,
  type ListenerSet,
  type TcpRoute,
} from "../../../platform/kubernetes/gateway-objects.ts";
import { Mirror } from "../../../platform/kubernetes/mirror.ts";
import {
  type EndpointSlice,
  type KubernetesObject,
  type KubernetesService,
} from "../../../platform/kubernetes/objects.ts";
import { ENDPOINT_SLICES, SERVICES, type Resource } from "../../../platform/kubernetes/resource.ts";
import { silentLogger as logger } from "../../../platform/logger.ts";

export type WriteStatus = (resource: Resource<KubernetesObject>, object: KubernetesObject) => Promise<void>;

export interface ScriptedControllerDeps {
  readonly client: KubernetesClient;
  readonly routes: Resource<TcpRoute>;
  /** null: it knows none. */
  readonly sets: Resource<ListenerSet> | null;
  /** Writes the object's status. */
  readonly writeStatus: WriteStatus;
}

/** What the test has it say otherwise. */
export interface Script {
  /** Of a listener: conditions in place of those that all is well; null: nothing is said of it. */
  listener: (listener: Listener) => readonly Condition[] | null | undefined;
  route: (route: TcpRoute) => readonly Condition[] | null | undefined;
  /** Whether it listens. */
  listens: (port: number) => boolean;
}

/**
 * In place of a controller of Gateways and its proxy: says of what it finds that all is well, and listens at loopback, where who connects is told which
 * pod's address and port the route leads to, as `IP:PORT`, or what `greetings` has for that.
 */
export class ScriptedController implements AsyncDisposable {
  readonly greetings = new Map<string, string>();
  readonly script: Script = { listener: () => undefined, route: () => undefined, listens: () => true };
  readonly #deps: ScriptedControllerDeps;
  readonly #gateways: Mirror<Gateway, Gateway>;
  readonly #routes: Mirror<TcpRoute, TcpRoute>;
  readonly #services: Mirror<KubernetesService, KubernetesService>;
  readonly #slices: Mirror<EndpointSlice, EndpointSlice>;
  readonly #sets: Mirror<ListenerSet, ListenerSet> | null;
  readonly #servers = new Map<number, Server>();
  #working: Promise<void> = Promise.resolve();
  #isDue = false;
  #isOver = false;

  constructor(deps: ScriptedControllerDeps) {
    this.#deps = deps;
    this.#gateways = this.#mirror(GATEWAYS);
    this.#routes = this.#mirror(deps.routes);
    this.#services = this.#mirror(SERVICES);
    this.#slices = this.#mirror(ENDPOINT_SLICES);
    this.#sets = deps.sets === null ? null : this.#mirror(deps.sets);
  }

  get ports(): readonly number[] {
    return [...this.#servers.keys()];
  }

  /** To be called when the script is another. */
  look(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    this.#working = this.#working.then(() => this.#work());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true;
    const mirrors = [this.#gateways, this.#routes, this.#services, this.#slices, this.#sets];
    for (const mirror of mirrors) await mirror?.[Symbol.asyncDispose]();
    await this.#working;
    for (const server of this.#servers.values()) server.close();
  }

  #mirror<T extends KubernetesObject>(resource: Resource<T>): Mirror<T, T> {
    return new Mirror<T, T>({
      ...{ client: this.#deps.client, resource, scope: {}, clock: systemClock, logger },
      keep: (object) => object,
      changed: () => this.look(),
      lost: () => undefined,
      found: () => undefined,
    });
  }

  async #work(): Promise<void> {
    this.#isDue = false;
    if (this.#isOver) return;
    const { routes, sets } = this.#deps;
    for (const gateway of this.#gateways.objects.values())
      await this.#say(GATEWAYS, gateway, this.#gatewayStatus(gateway));
    if (sets !== null) {
      for (const set of this.#sets?.objects.values() ?? []) await this.#say(sets, set, this.#gatewayStatus(set));
    }
    for (const route of this.#routes.objects.values()) await this.#say(routes, route, this.#routeStatus(route));
    this.#listen();
  }

  async #say(resource: Resource<KubernetesObject>, object: KubernetesObject, status: object): Promise<void> {
    const before = (object as { readonly status?: object }).status ?? {};
    const after = { ...before, ...status };
    if (isDeepStrictEqual(withoutTimes(before), withoutTimes(after))) return;
    // Somebody else may have written or removed it: its watch tells.
    await this.#deps.writeStatus(resource, { ...object, status: after } as KubernetesObject).catch(() => undefined);
  }

  #gatewayStatus({ metadata, spec }: Gateway | ListenerSet): object {
    const listeners = (spec?.listeners ?? []).flatMap((listener) => {
      const said = this.script.listener(listener);
      if (said === null) return [];
      const conditions = said ?? [condition("Accepted"), condition("Programmed"), condition("ResolvedRefs")];
      const attachedRoutes = this.#routesOf(listener.port).length;
      return [
        {
          ...{ name: listener.name, attachedRoutes, supportedKinds: [{ kind: "TCPRoute" }] },
          conditions: conditions.map((each) => of(metadata.generation, each)),
        },
      ];
    });
    const conditions = [condition("Accepted"), condition("Programmed")].map((each) => of(metadata.generation, each));
    return { conditions, listeners };
  }

  #routeStatus(route: TcpRoute): object {
    const said = this.script.route(route);
    const conditions = said ?? [condition("Accepted"), condition("ResolvedRefs")];
    const parents = (route.spec?.parentRefs ?? []).map((parentRef) => ({
      ...{ parentRef, controllerName: "taskgate.test/scripted" },
      conditions: conditions.map((each) => of(route.metadata.generation, each)),
    }));
    return { parents: said === null ? [] : parents };
  }

  #routesOf(port: number): readonly TcpRoute[] {
    const leadsFrom = (route: TcpRoute): boolean =>
      route.spec?.parentRefs?.some((parent) => parent.port === port) === true;
    return [...this.#routes.objects.values()].filter(leadsFrom);
  }

  #listen(): void {
    const all = [...this.#gateways.objects.values(), ...(this.#sets?.objects.values() ?? [])];
    const wanted = new Set(all.flatMap(({ spec }) => spec?.listeners ?? []).map(({ port }) => port));
    for (const [port, server] of this.#servers) {
      if (wanted.has(port) && this.script.listens(port)) continue;
      server.close();
      this.#servers.delete(port);
    }
    for (const port of wanted) {
      if (this.#servers.has(port) || !this.script.listens(port) || this.#routesOf(port).length === 0) continue;
      const server = createServer((socket) => socket.on("error", () => undefined).end(this.#greet(port)));
      server.on("error", () => this.#servers.delete(port)).listen(port, "127.0.0.1");
      this.#servers.set(port, server);
    }
  }

  /** By what is there when somebody comes. */
  #greet(port: number): string {
    const [route] = this.#routesOf(port);
    const backend = route?.spec?.rules?.[0]?.backendRefs?.[0];
    if (route === undefined || backend === undefined) return "no route\n";
    const at = this.#behind(route.metadata.namespace ?? "", backend.name);
    return at === null ? "no service\n" : (this.greetings.get(at) ?? `${at}\n`);
  }

  #behind(namespace: string, name: string): string | null {
    const isOf = ({ metadata }: EndpointSlice): boolean =>
      metadata.namespace === namespace && metadata.labels?.["kubernetes.io/service-name"] === name;
    const slice = [...this.#slices.objects.values()].find(isOf);
    const ip = slice?.endpoints?.[0]?.addresses[0];
    const port = slice?.ports?.[0]?.port;
    if (!this.#services.objects.has(`${namespace}/${name}`) || ip === undefined || port === undefined) return null;
    return `${ip}:${String(port)}`;
  }
}

/** That all is well. */
function condition(type: string): Condition {
  return { type, status: "True", reason: type, message: "" };
}

function of(generation: number | undefined, each: Condition): object {
  return {
    ...(generation === undefined ? {} : { observedGeneration: generation }),
    ...{ message: "", reason: "Said" },
    ...each,
    lastTransitionTime: "2026-01-01T00:00:00Z",
  };
}

function withoutTimes(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value, (key, each: unknown) => (key === "lastTransitionTime" ? undefined : each)));
}

/** Writes by the subresource, as controllers do. */
export function statusWriter(client: KubernetesClient): WriteStatus {
  const { signal } = new AbortController();
  return async (resource, object) => {
    const { name, namespace } = object.metadata;
    const status = (object as { readonly status?: object }).status;
    const of: KubernetesObject = {
      metadata: { name, ...(namespace === undefined ? {} : { namespace }) },
      ...{ status },
    };
    await client.apply(resource, of, {
      fieldManager: "scripted",
      force: true,
      subresource: "status",
      signal,
    });
  };
}
