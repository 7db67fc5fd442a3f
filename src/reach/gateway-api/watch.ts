import { isDeepStrictEqual } from "node:util";
import type { Clock } from "../../platform/clock.ts";
import { pauseMs } from "../../platform/kubernetes/bounds.ts";
import type { KubernetesClient } from "../../platform/kubernetes/client.ts";
import {
  GATEWAY_CLASSES,
  GATEWAYS,
  type Gateway,
  type ListenerSet,
  type TcpRoute,
} from "../../platform/kubernetes/gateway-objects.ts";
import { KubernetesError } from "../../platform/kubernetes/kubernetes-error.ts";
import { Mirror } from "../../platform/kubernetes/mirror.ts";
import {
  objectKey,
  withoutManagers,
  type EndpointSlice,
  type KubernetesObject,
  type KubernetesService,
} from "../../platform/kubernetes/objects.ts";
import {
  ENDPOINT_SLICES,
  NAMESPACES,
  SERVICES,
  type ObjectName,
  type Resource,
  type Scope,
} from "../../platform/kubernetes/resource.ts";
import type { Logger } from "../../platform/logger.ts";
import { pause } from "../../platform/pause.ts";
import { discover, type Discovered } from "./discover.ts";
import type { Observed, Served } from "./plan-input.ts";
import { SeenObjects } from "./seen-objects.ts";
import { gatewayKey, type GatewayRef } from "./unit.ts";

/** Custom resources may come, or be upgraded, at any time. */
const DISCOVER_MS = 30_000;
const BY_NAME = "metadata.name=";
const FAILURES = { firstPauseMs: 500, mostPauseMs: 30_000 };

export interface GatewayWatchDeps {
  readonly client: KubernetesClient;
  readonly gateways: readonly GatewayRef[];
  /** Others, where something of ours may be left. Those that may not be read hold nothing up. */
  readonly former: readonly GatewayRef[];
  /** Whether ListenerSets are used at all. */
  readonly withSets: boolean;
  /** Where tasks are; empty: all namespaces. */
  readonly namespaces: readonly string[];
  /** Label selector of what this reach made. */
  readonly own: string;
  /** Anything may be another than it was. */
  readonly changed: () => void;
  /** Between two looks at what the cluster serves, ms. Default: 30 s. */
  readonly discoverMs?: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

interface Watching extends AsyncDisposable {
  readonly isListed: boolean;
}

/** A resource that cannot be read. */
export interface Unread {
  /** As people say it: `tcproutes in namespace a`. */
  readonly what: string;
  readonly error: Error;
}

/**
 * What there is in a cluster of Gateways, of what leads through them, and of what this reach made: read once, then watched. What is written is told to it,
 * so that it is known before the watches tell.
 */
export class GatewayWatch implements AsyncDisposable {
  readonly #deps: GatewayWatchDeps;
  readonly #gateways = new SeenObjects<Gateway>();
  readonly #sets = new SeenObjects<ListenerSet>();
  readonly #services = new SeenObjects<KubernetesService>();
  readonly #slices = new SeenObjects<EndpointSlice>();
  readonly #routes = new SeenObjects<TcpRoute>();
  readonly #taken = new Set<string>();
  /** Keys of Gateways of which all was read that there is to know beside them. */
  readonly #described = new Set<string>();
  #describing: Promise<void> | null = null;
  readonly #controllers = new Map<string, string>();
  readonly #namespaceLabels = new Map<string, Readonly<Record<string, string>>>();
  /** By what they watch. */
  readonly #watching = new Map<string, Watching>();
  /** By the same: what cannot be read just now. */
  readonly #unread = new Map<string, Unread>();
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;
  #discovered: Discovered | null = null;

  constructor(deps: GatewayWatchDeps) {
    this.#deps = deps;
    this.#running = this.#discoverAgain();
  }

  /** Nothing is called once this has begun. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#running;
    await this.#describing;
    await Promise.all([...this.#watching.values()].map((each) => each[Symbol.asyncDispose]()));
  }

  /** What the cluster lacks; null: nothing, or that is not known. */
  get missing(): string | null {
    return this.#discovered !== null && "missing" in this.#discovered ? this.#discovered.missing : null;
  }

  get unread(): readonly Unread[] {
    return [...this.#unread.values()];
  }

  /** Whether all was read, and is current: only then what is not there is known to be gone. */
  get isWhole(): boolean {
    return this.isListed && [...this.#unread.keys()].every((what) => this.#isDispensable(what));
  }

  /** Whether all was read at least once, but for ListenerSets where these may not be read. */
  get isListed(): boolean {
    if (this.#served === null) return false;
    for (const key of this.#gateways.objects.keys()) if (!this.#described.has(key)) return false;
    return [...this.#watching].every(([what, { isListed }]) => isListed || this.#isDispensable(what));
  }

  /** Whether all Gateways are known where something may be left. */
  get knowsFormer(): boolean {
    const known = this.#knownGateways();
    return this.#deps.former.every((ref) => known.has(gatewayKey(ref)));
  }

  /** null: what the cluster serves is not known, or lacks something. */
  get observed(): Observed | null {
    const served = this.#served;
    if (served === null) return null;
    return {
      gateways: this.#knownGateways(),
      listenerSets: this.#hasSets ? this.#sets.objects : null,
      services: this.#services.objects,
      slices: this.#slices.objects,
      routes: this.#routes.objects,
      taken: this.#taken,
      controllers: this.#controllers,
      namespaces: this.#namespaceLabels,
      served,
    };
  }

  /** The object as the server answered it. */
  answered(resource: Resource<KubernetesObject>, object: KubernetesObject): void {
    this.#seen(resource)?.answered(object);
  }

  removed(resource: Resource<KubernetesObject>, object: KubernetesObject): void {
    this.#seen(resource)?.removed(object, this.#deps.clock.now());
  }

  /** Somebody else has one of that name. */
  isTaken(resource: Resource<KubernetesObject>, object: KubernetesObject): void {
    this.#taken.add(`${resource.kind} ${objectKey(object)}`);
  }

  get #served(): Served | null {
    return this.#discovered !== null && "served" in this.#discovered ? this.#discovered.served : null;
  }

  /** Not where somebody may not read them: what is not seen cannot be counted on. */
  get #hasSets(): boolean {
    const names = [...this.#watching.keys()].filter((what) => what.startsWith("sets "));
    return names.length > 0 && names.every((what) => this.#watching.get(what)?.isListed === true);
  }

  #isDispensable(what: string): boolean {
    const isFormer = this.#deps.former.some((ref) => what === `gateway ${gatewayKey(ref)}`);
    return (isFormer || what.startsWith("sets ")) && isForbidden(this.#unread.get(what)?.error);
  }

  get #allGateways(): readonly GatewayRef[] {
    return [...this.#deps.gateways, ...this.#deps.former];
  }

  #knownGateways(): ReadonlyMap<string, Gateway | null> {
    const known = new Map<string, Gateway | null>();
    for (const ref of this.#allGateways) {
      const key = gatewayKey(ref);
      if (this.#watching.get(`gateway ${key}`)?.isListed === true)
        known.set(key, this.#gateways.objects.get(key) ?? null);
    }
    return known;
  }

  #seen({ plural }: Resource<KubernetesObject>): SeenObjects<KubernetesObject> | undefined {
    const all: readonly (readonly [string, unknown])[] = [
      [GATEWAYS.plural, this.#gateways],
      ["listenersets", this.#sets],
      ["xlistenersets", this.#sets],
      [SERVICES.plural, this.#services],
      [ENDPOINT_SLICES.plural, this.#slices],
      ["tcproutes", this.#routes],
    ];
    // What is answered to a write is of the resource that was written.
    return all.find(([each]) => each === plural)?.[1] as SeenObjects<KubernetesObject> | undefined;
  }

  async #discoverAgain(): Promise<void> {
    const { client, clock, discoverMs = DISCOVER_MS } = this.#deps;
    const { signal } = this.#stop;
    // Nothing is called before the constructor has returned.
    await Promise.resolve();
    for (let failures = 0; !signal.aborted;) {
      try {
        await this.#follow(await discover(client, signal));
        await this.#describe(this.#gateways.objects);
        failures = 0;
        if (this.#unread.delete("api")) this.#deps.changed();
      } catch (error) {
        failures += 1;
        this.#unreadable("api", "what the cluster serves", error instanceof Error ? error : new Error(String(error)));
      }
      await pause(clock, failures === 0 ? discoverMs : pauseMs(failures, FAILURES), signal);
    }
  }

  async #follow(found: Discovered): Promise<void> {
    if (this.#stop.signal.aborted || JSON.stringify(found) === JSON.stringify(this.#discovered)) return;
    const before = this.#served;
    this.#discovered = found;
    const after = this.#served;
    if (after === null) await this.#end("");
    else {
      if (after.tcpRoutes.apiVersion !== before?.tcpRoutes.apiVersion) await this.#end("routes ");
      if (after.listenerSets?.apiVersion !== before?.listenerSets?.apiVersion) await this.#end("sets ");
      this.#begin(after);
    }
    this.#deps.changed();
  }

  #begin(served: Served): void {
    const { namespaces, own, withSets } = this.#deps;
    const gateways = this.#allGateways;
    for (const { namespace, name } of gateways) {
      const scope = { namespace, fieldSelector: `${BY_NAME}${name}` };
      this.#mirror(`gateway ${namespace}/${name}`, GATEWAYS, scope, {
        seen: this.#gateways,
        also: () => this.#describeNew(),
      });
    }
    if (served.listenerSets !== null && withSets) {
      for (const namespace of new Set(gateways.map((each) => each.namespace))) {
        this.#mirror(`sets ${namespace}`, served.listenerSets, { namespace }, { seen: this.#sets });
      }
    }
    const scopes: readonly Scope[] = namespaces.length === 0 ? [{}] : namespaces.map((namespace) => ({ namespace }));
    for (const scope of scopes) {
      const where = { ...scope, labelSelector: own };
      this.#mirror(`services ${scope.namespace ?? ""}`, SERVICES, where, { seen: this.#services });
      this.#mirror(`slices ${scope.namespace ?? ""}`, ENDPOINT_SLICES, where, { seen: this.#slices });
      this.#mirror(`routes ${scope.namespace ?? ""}`, served.tcpRoutes, where, { seen: this.#routes });
    }
  }

  async #end(prefix: string): Promise<void> {
    const ended = [...this.#watching].filter(([what]) => what.startsWith(prefix));
    for (const [what] of ended) {
      this.#watching.delete(what);
      this.#unread.delete(what);
    }
    await Promise.all(ended.map(([, each]) => each[Symbol.asyncDispose]()));
  }

  #mirror<T extends KubernetesObject>(
    what: string,
    resource: Resource<T>,
    scope: Scope,
    { seen, also }: { readonly seen: SeenObjects<T>; readonly also?: () => void },
  ): void {
    if (this.#watching.has(what)) return;
    const { client, clock, logger, changed } = this.#deps;
    let isFirst = true;
    const mirror = new Mirror<T, T>({
      ...{ client, resource, scope, clock, logger },
      keep: withoutManagers,
      changed: (keys) => {
        // What a watch before this one saw may be gone since.
        const all = isFirst ? [...keys, ...[...seen.objects.keys()].filter((key) => isWithin(key, scope))] : keys;
        isFirst = false;
        seen.heard(all, mirror.objects, clock.now());
        also?.();
        changed();
      },
      lost: (_since, error) => this.#unreadable(what, `${resource.plural}${inNamespace(scope)}`, error),
      found: () => {
        if (this.#unread.delete(what)) changed();
      },
    });
    this.#watching.set(what, mirror);
  }

  #unreadable(key: string, what: string, error: Error): void {
    const known = this.#unread.get(key);
    if (known?.error.message === error.message) return;
    this.#deps.logger.warn({ what, err: error }, "Gateways cannot be followed");
    this.#unread.set(key, { what, error });
    this.#deps.changed();
  }

  #describeNew(): void {
    const news = new Map([...this.#gateways.objects].filter(([key]) => !this.#described.has(key)));
    if (news.size === 0 || this.#describing !== null || this.#stop.signal.aborted) return;
    this.#describing = this.#describe(news).then(
      () => {
        this.#describing = null;
        // What came meanwhile.
        this.#describeNew();
      },
      // What fails is tried again with all the rest.
      () => void (this.#describing = null),
    );
  }

  /** Reads what says more of Gateways, where it may be read. */
  async #describe(gateways: ReadonlyMap<string, Gateway>): Promise<void> {
    const { signal } = this.#stop;
    for (const [key, gateway] of [...gateways]) {
      const { namespace = "" } = gateway.metadata;
      const classed = await this.#readIfMay(GATEWAY_CLASSES, { name: gateway.spec?.gatewayClassName ?? "" }, signal);
      const labels = (await this.#readIfMay(NAMESPACES, { name: namespace }, signal))?.metadata.labels;
      const controller = classed?.spec?.controllerName;
      const before = [this.#described.has(key), this.#controllers.get(key), this.#namespaceLabels.get(namespace)];
      if (controller !== undefined) this.#controllers.set(key, controller);
      if (labels !== undefined) this.#namespaceLabels.set(namespace, labels);
      this.#described.add(key);
      if (!isDeepStrictEqual(before, [true, controller, labels])) this.#deps.changed();
    }
  }

  async #readIfMay<T extends KubernetesObject>(
    resource: Resource<T>,
    name: ObjectName,
    signal: AbortSignal,
  ): Promise<T | null> {
    try {
      return name.name === "" ? null : await this.#deps.client.get(resource, name, signal);
    } catch (error) {
      if (isForbidden(error)) return null;
      throw error;
    }
  }
}

function isForbidden(error: unknown): boolean {
  return error instanceof KubernetesError && error.status === 403;
}

function isWithin(key: string, { namespace, fieldSelector }: Scope): boolean {
  if (namespace === undefined) return true;
  return fieldSelector === undefined
    ? key.startsWith(`${namespace}/`)
    : key === `${namespace}/${fieldSelector.slice(BY_NAME.length)}`;
}

function inNamespace({ namespace }: Scope): string {
  return namespace === undefined ? "" : ` in namespace ${namespace}`;
}
