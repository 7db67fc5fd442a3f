import { addressText, type Address, type Changed, type Route } from "../../../model/index.ts";
import type { Clock } from "../../../platform/clock.ts";
import type { Logger } from "../../../platform/logger.ts";
import { pause } from "../../../platform/pause.ts";
import type { AskAdmin } from "../local/ask-admin.ts";
import type { EndpointHealth } from "./endpoint-health.ts";

const POLL_MS = 500;
/** Names in one question: more would be a larger pattern than Envoy takes. */
const MOST_NAMES = 100;

export interface ClusterPollDeps {
  /** Asks the admin of an Envoy on this machine. */
  readonly ask: AskAdmin;
  readonly clusterOf: (route: Route) => string;
  readonly health: Pick<EndpointHealth, "sighted" | "troubled">;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** What Envoy's `/clusters?format=json` says of a cluster, as far as anybody here looks (envoy.admin.v3.ClusterStatus). */
interface ClusterStatus {
  readonly name: string;
  readonly host_statuses?: readonly {
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
  }[];
}

/**
 * Asks an Envoy of this machine which endpoints it passes over, of those clusters alone of which that may be so: where it checks endpoints, and
 * where requests failed. Two times a second, and not at all while there are none. Disposing ends it.
 */
export class ClusterPoll implements AsyncDisposable {
  readonly #deps: ClusterPollDeps;
  /** One route of each upstream. */
  readonly #routes = new Map<string, Route>();
  /** Upstreams whose endpoints Envoy checks by itself. */
  readonly #checked = new Set<string>();
  readonly #byId = new Map<string, Route>();
  readonly #stop = new AbortController();
  #running: Promise<void> | null = null;
  #failing = false;

  constructor(deps: ClusterPollDeps) {
    this.#deps = deps;
  }

  apply({ set, removed }: Changed<Route>): void {
    for (const id of removed) {
      const route = this.#byId.get(id);
      this.#byId.delete(id);
      if (route === undefined || this.#routes.get(route.upstream)?.id !== id) continue;
      this.#routes.delete(route.upstream);
      this.#checked.delete(route.upstream);
    }
    for (const route of set) {
      const { id, upstream, policy } = route;
      this.#byId.set(id, route);
      this.#routes.set(upstream, route);
      if (policy.activeHealth === undefined) this.#checked.delete(upstream);
      else this.#checked.add(upstream);
    }
    this.look();
  }

  /** There may be something to ask for. */
  look(): void {
    if (this.#running !== null || this.#stop.signal.aborted || this.#asked().length === 0) return;
    this.#running = this.#run().finally(() => (this.#running = null));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    for (let asked = this.#asked(); asked.length > 0 && !signal.aborted; asked = this.#asked()) {
      for (let at = 0; at < asked.length; at += MOST_NAMES) await this.#ask(asked.slice(at, at + MOST_NAMES));
      await pause(this.#deps.clock, POLL_MS, signal);
    }
  }

  #asked(): readonly Route[] {
    return [...this.#checked.union(this.#deps.health.troubled)].flatMap((upstream) => this.#routes.get(upstream) ?? []);
  }

  async #ask(routes: readonly Route[]): Promise<void> {
    const { ask, clusterOf, logger } = this.#deps;
    const byCluster = new Map(routes.map((route) => [clusterOf(route), route]));
    const names = [...byCluster.keys()].map((name) => name.replace(/[^\w/-]/g, "\\$&")).join("|");
    try {
      const { body } = await ask(`/clusters?format=json&filter=${encodeURIComponent(`^(${names})$`)}`);
      const { cluster_statuses: found = [] } = JSON.parse(body) as { cluster_statuses?: readonly ClusterStatus[] };
      for (const status of found) this.#read(status, byCluster.get(status.name));
      this.#failing = false;
    } catch (err) {
      if (!this.#failing) logger.debug({ err }, "Envoy does not say how its endpoints are");
      this.#failing = true;
    }
  }

  #read({ host_statuses: hosts = [] }: ClusterStatus, route: Route | undefined): void {
    if (route === undefined) return;
    const { upstream, policy } = route;
    for (const { address: { socket_address: socket, pipe } = {}, health_status: said = {} } of hosts) {
      const address: Address | null =
        pipe !== undefined
          ? { unix: pipe.path }
          : socket !== undefined
            ? { ip: socket.address, port: socket.port_value }
            : null;
      if (address === null || said.pending_active_hc === true) continue;
      const text = addressText(address);
      this.#deps.health.sighted(upstream, text, {
        ejected: said.failed_outlier_check === true,
        checked: policy.activeHealth === undefined ? null : said.failed_active_health_check !== true,
      });
    }
  }
}
