import { addressText, type Changed, type Route } from "../../../model/index.ts";
import type { Clock } from "../../../platform/clock.ts";
import type { Logger } from "../../../platform/logger.ts";
import { pause } from "../../../platform/pause.ts";
import type { AskAdmin } from "../local/ask-admin.ts";
import type { EndpointHealth, Sight } from "./endpoint-health.ts";

const POLL_MS = 500;
/** Answers that are read in a row may come so often, of all Envoys together: a gate has other things to do. */
const APART_MS = 50;
/** Names in one question: more would be a larger pattern than Envoy takes. */
const MOST_NAMES = 100;

export interface ClusterPollDeps {
  readonly clusterOf: (route: Route) => string;
  readonly health: Pick<EndpointHealth, "sighted" | "troubled">;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** What Envoy's `/clusters?format=json` says of a cluster, as far as anybody here looks (envoy.admin.v3.ClusterStatus). */
interface ClusterStatus {
  readonly name: string;
  readonly host_statuses?: readonly HostStatus[];
}

interface HostStatus {
  readonly address?: {
    readonly socket_address?: { readonly address: string; readonly port_value: number };
    readonly pipe?: { readonly path: string };
  };
  readonly health_status?: {
    readonly failed_active_health_check?: boolean;
    readonly failed_outlier_check?: boolean;
    /** Nothing was heard of it yet. */
    readonly pending_active_hc?: boolean;
  };
}

/** An Envoy that can be asked. */
interface Asked {
  readonly envoy: string;
  readonly ask: AskAdmin;
  readonly stop: AbortController;
  running: Promise<void> | null;
  failing: boolean;
}

/**
 * Asks Envoys which endpoints they pass over, of those clusters alone of which that may be so: where they check endpoints, and where requests
 * failed. Two times a second, less often where there is much to ask, and not at all while there is nothing. Disposing ends it.
 */
export class ClusterPoll implements AsyncDisposable {
  readonly #deps: ClusterPollDeps;
  /** Of each upstream, all: each is a cluster, which passes endpoints over by itself. */
  readonly #routes = new Map<string, readonly Route[]>();
  /** Upstreams whose endpoints Envoys check by themselves. */
  readonly #checked = new Set<string>();
  readonly #byId = new Map<string, Route>();
  readonly #asked = new Set<Asked>();

  constructor(deps: ClusterPollDeps) {
    this.#deps = deps;
  }

  /** From now on this Envoy is asked, too, by `ask`, until it is disposed of. */
  follow(envoy: string, ask: AskAdmin): AsyncDisposable {
    const asked: Asked = { envoy, ask, stop: new AbortController(), running: null, failing: false };
    this.#asked.add(asked);
    this.#look(asked);
    return { [Symbol.asyncDispose]: () => this.#leave(asked) };
  }

  apply({ set, removed }: Changed<Route>): void {
    for (const id of removed) this.#drop(id);
    for (const route of set) {
      const { id, upstream, policy } = route;
      this.#drop(id);
      this.#byId.set(id, route);
      this.#routes.set(upstream, [...(this.#routes.get(upstream) ?? []), route]);
      if (policy.activeHealth === undefined) this.#checked.delete(upstream);
      else this.#checked.add(upstream);
    }
    this.look();
  }

  /** There may be something to ask for. */
  look(): void {
    for (const asked of this.#asked) this.#look(asked);
  }

  /** Whose endpoints these are; undefined: of nobody who is known. */
  serviceOf(upstream: string): string | undefined {
    return this.#routes.get(upstream)?.[0]?.service;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#asked].map((asked) => this.#leave(asked)));
  }

  async #leave(asked: Asked): Promise<void> {
    this.#asked.delete(asked);
    asked.stop.abort();
    await asked.running;
  }

  #look(asked: Asked): void {
    if (asked.running !== null || asked.stop.signal.aborted || this.#toAsk(asked).length === 0) return;
    asked.running = this.#run(asked).finally(() => (asked.running = null));
  }

  #drop(id: string): void {
    const route = this.#byId.get(id);
    if (route === undefined) return;
    const { upstream } = route;
    this.#byId.delete(id);
    const left = (this.#routes.get(upstream) ?? []).filter((other) => other !== route);
    if (left.length > 0) {
      this.#routes.set(upstream, left);
      return;
    }
    this.#routes.delete(upstream);
    this.#checked.delete(upstream);
  }

  async #run(asked: Asked): Promise<void> {
    const { signal } = asked.stop;
    for (let routes = this.#toAsk(asked); routes.length > 0 && !signal.aborted; routes = this.#toAsk(asked)) {
      let questions = 0;
      for (const some of together(routes)) {
        questions += 1;
        await this.#ask(asked, some);
      }
      await pause(this.#deps.clock, Math.max(POLL_MS, APART_MS * questions * this.#asked.size), signal);
    }
  }

  /** By upstream: one route to all its endpoints is enough where these are checked, as all its clusters come to the same. */
  #toAsk({ envoy }: Asked): readonly (readonly Route[])[] {
    const troubled = this.#deps.health.troubled(envoy);
    return [...this.#checked.union(troubled)].flatMap((upstream) => {
      const routes = this.#routes.get(upstream);
      const whole = troubled.has(upstream) ? undefined : routes?.find(({ replica }) => replica === undefined);
      return routes === undefined ? [] : [whole === undefined ? routes : [whole]];
    });
  }

  async #ask(asked: Asked, routes: readonly Route[]): Promise<void> {
    const { clusterOf, logger } = this.#deps;
    const { envoy, ask } = asked;
    const byCluster = new Map(routes.map((route) => [clusterOf(route), route]));
    const names = [...byCluster.keys()].map((name) => name.replace(/[^\w/-]/g, "\\$&")).join("|");
    const isOver = (): boolean => asked.stop.signal.aborted;
    if (isOver()) return;
    try {
      const { body } = await ask(`/clusters?format=json&filter=${encodeURIComponent(`^(${names})$`)}`);
      const { cluster_statuses: found = [] } = JSON.parse(body) as { cluster_statuses?: readonly ClusterStatus[] };
      if (isOver()) return;
      this.#tell(envoy, sightsOf(found, byCluster));
      asked.failing = false;
    } catch (err) {
      if (!asked.failing) logger.debug({ err, envoy }, "Envoy does not say how its endpoints are");
      asked.failing = true;
    }
  }

  #tell(envoy: string, sights: ReadonlyMap<string, ReadonlyMap<string, Sight>>): void {
    for (const [upstream, addresses] of sights)
      for (const [address, sight] of addresses) this.#deps.health.sighted({ envoy, upstream, address }, sight);
  }
}

/** As many routes at a time as fit in one question, those of an upstream never apart. */
function* together(upstreams: readonly (readonly Route[])[]): Generator<readonly Route[], void> {
  let some: Route[] = [];
  for (const routes of upstreams) {
    if (some.length > 0 && some.length + routes.length > MOST_NAMES) {
      yield some;
      some = [];
    }
    some.push(...routes);
  }
  if (some.length > 0) yield some;
}

/** By upstream and address: an endpoint is as it is in the cluster in which it is worst. */
function sightsOf(found: readonly ClusterStatus[], byCluster: ReadonlyMap<string, Route>) {
  const sights = new Map<string, Map<string, Sight>>();
  for (const { name, host_statuses: hosts = [] } of found) {
    const route = byCluster.get(name);
    if (route === undefined) continue;
    let addresses = sights.get(route.upstream);
    if (addresses === undefined) sights.set(route.upstream, (addresses = new Map<string, Sight>()));
    for (const host of hosts) {
      const address = addressOf(host.address);
      const sight = sightOf(host.health_status, route);
      if (address !== null && sight !== null) addresses.set(address, worse(sight, addresses.get(address)));
    }
  }
  return sights;
}

/** null: nothing is known of it yet. */
function sightOf(said: HostStatus["health_status"] = {}, { policy }: Route): Sight | null {
  if (said.pending_active_hc === true) return null;
  return {
    ejected: said.failed_outlier_check === true,
    checked: policy.activeHealth === undefined ? null : said.failed_active_health_check !== true,
  };
}

function worse(one: Sight, other: Sight = one): Sight {
  const checked = one.checked === null ? null : one.checked && other.checked !== false;
  return { ejected: one.ejected || other.ejected, checked };
}

/** null: the gate behind them. */
function addressOf({ socket_address: socket, pipe }: NonNullable<HostStatus["address"]> = {}): string | null {
  if (pipe !== undefined) return addressText({ unix: pipe.path });
  return socket === undefined ? null : addressText({ ip: socket.address, port: socket.port_value });
}
