import type { FrontConfig } from "../../config/front-config.ts";
import type { Problem } from "../../model/index.ts";
import type { Clock } from "../../platform/clock.ts";
import { pauseMs } from "../../platform/kubernetes/bounds.ts";
import type { KubernetesClient } from "../../platform/kubernetes/client.ts";
import { GATEWAYS, type Gateway } from "../../platform/kubernetes/gateway-objects.ts";
import { Mirror } from "../../platform/kubernetes/mirror.ts";
import {
  objectKey,
  withoutManagers,
  type KubernetesObject,
  type OwnerReference,
} from "../../platform/kubernetes/objects.ts";
import { SERVICES, type Resource, type Scope } from "../../platform/kubernetes/resource.ts";
import { ServedResources } from "../../platform/kubernetes/served-resources.ts";
import type { Logger } from "../../platform/logger.ts";
import { pause } from "../../platform/pause.ts";
import { routeNamespace } from "./build-objects.ts";
import { FRONT_SUBJECT } from "./judge.ts";
import { MADE, resourceOf, type Made } from "./objects.ts";

/** Custom resources may come at any time. */
const DISCOVER_MS = 30_000;
const FAILURES = { firstPauseMs: 500, mostPauseMs: 30_000 };

/** What there is, all of it read. */
export interface Seen {
  /** By plural, then key: what the front made. */
  readonly objects: ReadonlyMap<Made, ReadonlyMap<string, KubernetesObject>>;
  readonly served: ReadonlyMap<Made, Resource<KubernetesObject>>;
  /** null: there is none. */
  readonly gateway: Gateway | null;
  /** The Service, where routes are beside it; null: they are not, or it is not there. */
  readonly owner: OwnerReference | null;
}

export interface FrontWatchDeps {
  readonly config: FrontConfig;
  readonly client: () => Promise<KubernetesClient>;
  /** Of what it makes, these are looked at. */
  readonly kinds: readonly Made[];
  /** Label selector of what the front made. */
  readonly own: string;
  readonly changed: () => void;
  readonly clock: Clock;
  readonly logger: Logger;
}

type Watched = Mirror<KubernetesObject, KubernetesObject>;

/** What a front made, its Gateway and the gate's Service: read once, then watched. */
export class FrontWatch implements AsyncDisposable {
  readonly #deps: FrontWatchDeps;
  readonly #made = new Map<Made, Watched>();
  readonly #served = new Map<Made, Resource<KubernetesObject>>();
  #gateways: Watched | null = null;
  #services: Watched | null = null;
  /** By what cannot be read. */
  readonly #lost = new Map<string, Problem>();
  #missing: readonly Problem[] = [];
  #isDiscovered = false;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;

  constructor(deps: FrontWatchDeps) {
    this.#deps = deps;
    this.#running = this.#run();
  }

  get problems(): readonly Problem[] {
    return [...this.#missing, ...this.#lost.values()];
  }

  /** null: not all was read yet. */
  get seen(): Seen | null {
    const [gateways, services] = [this.#gateways, this.#services];
    const all = [gateways, services, ...this.#made.values()];
    if (!this.#isDiscovered || gateways === null || services === null || !all.every((each) => each?.isListed))
      return null;
    const { config } = this.#deps;
    const gateway = gateways.objects.get(objectKey({ metadata: config.gateway }));
    return {
      objects: new Map([...this.#made].map(([plural, mirror]) => [plural, mirror.objects] as const)),
      served: this.#served,
      gateway: gateway ?? null,
      owner: this.#owner(services),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#running;
    for (const mirror of [this.#gateways, this.#services, ...this.#made.values()])
      await mirror?.[Symbol.asyncDispose]();
  }

  #owner(services: Watched): OwnerReference | null {
    const { service } = this.#deps.config;
    const uid = services.objects.get(objectKey({ metadata: service }))?.metadata.uid;
    if (uid === undefined || routeNamespace(this.#deps.config) !== service.namespace) return null;
    return { apiVersion: SERVICES.apiVersion, kind: SERVICES.kind, name: service.name, uid };
  }

  /** Until all that is needed is served. */
  async #run(): Promise<void> {
    const { clock } = this.#deps;
    const { signal } = this.#stop;
    // Nothing is called before the constructor has returned.
    await Promise.resolve();
    let failures = 0;
    while (!signal.aborted) {
      const missing = await this.#tryDiscover(signal);
      if (missing?.length === 0) return;
      failures = missing === null ? failures + 1 : 0;
      await pause(clock, missing === null ? pauseMs(failures, FAILURES) : DISCOVER_MS, signal);
    }
  }

  /** What is not served; null: the cluster cannot be asked. */
  async #tryDiscover(signal: AbortSignal): Promise<readonly Made[] | null> {
    try {
      const missing = await this.#discover(await this.#deps.client(), signal);
      this.#isDiscovered = true;
      this.#missing = missing.map(unserved);
      this.#tell("API", null);
      this.#deps.changed();
      return missing;
    } catch (error) {
      if (!signal.aborted) this.#tell("API", error instanceof Error ? error : new Error(String(error)));
      return null;
    }
  }

  /** What is not served. Throws KubernetesError. */
  async #discover(client: KubernetesClient, signal: AbortSignal): Promise<readonly Made[]> {
    const { config, kinds, own } = this.#deps;
    const { gateway, service } = config;
    const named = ({ name, namespace }: typeof gateway): Scope => ({
      namespace,
      fieldSelector: `metadata.name=${name}`,
    });
    this.#gateways ??= this.#mirror(client, GATEWAYS, named(gateway));
    this.#services ??= this.#mirror(client, SERVICES, named(service));
    const served = new ServedResources(client, signal);
    const missing: Made[] = [];
    for (const plural of kinds) {
      if (this.#made.has(plural)) continue;
      const resource = await served.first(MADE[plural].versions.map((version) => resourceOf(plural, version)));
      if (resource === null) {
        missing.push(plural);
        continue;
      }
      const namespace = plural === "referencegrants" ? service.namespace : routeNamespace(config);
      this.#served.set(plural, resource);
      this.#made.set(plural, this.#mirror(client, resource, { namespace, labelSelector: own }));
    }
    return missing;
  }

  #mirror(client: KubernetesClient, resource: Resource<KubernetesObject>, scope: Scope): Watched {
    const { clock, logger, changed } = this.#deps;
    return new Mirror<KubernetesObject, KubernetesObject>({
      ...{ client, resource, scope, clock, logger, changed },
      keep: withoutManagers,
      lost: (_since, error) => this.#tell(resource.plural, error),
      found: () => this.#tell(resource.plural, null),
    });
  }

  #tell(what: string, error: Error | null): void {
    if (error === null) {
      if (this.#lost.delete(what)) this.#deps.changed();
      return;
    }
    const { name, namespace } = this.#deps.config.gateway;
    const message = `What leads to the gate by the Gateway ${namespace}/${name} is not known: ${error.message}`;
    this.#lost.set(what, { subject: FRONT_SUBJECT, code: "front_unavailable", message });
    this.#deps.changed();
  }
}

function unserved(plural: Made): Problem {
  const { kind } = MADE[plural];
  const message = `The cluster has no ${kind} of the Gateway API: install the channel that has them, or take what needs them out of front`;
  return { subject: FRONT_SUBJECT, code: "front_unsupported", message };
}
