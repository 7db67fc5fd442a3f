import type { Address, Route } from "../../../model/index.ts";
import { Cluster } from "../proto/tables/cluster.ts";
import { clusterName, clusterOfId, hasCluster, routeIdOf } from "./cluster-name.ts";
import { unpassed } from "./passed-names.ts";
import { translateCluster } from "./cluster.ts";
import type { BookDeps, Turn } from "./turn.ts";
import { namesAddresses, unusableTls } from "./upstream-socket.ts";
import { usableEndpoints } from "./usable-endpoints.ts";

const NO_ADDRESSES: readonly Address[] = Object.freeze([]);

/** What Envoys know of where routes lead: one cluster of each, whose endpoints are by the upstream's name. */
export class ClusterBook {
  readonly #deps: BookDeps;
  /** Ids of routes that have no cluster. */
  readonly #none = new Set<string>();
  /** By cluster: ids of routes by header, which their clusters do not spell. */
  readonly #byHeaders = new Map<string, string>();
  /** By upstream: ids of routes whose clusters follow from its endpoints, too. */
  readonly #byAddress = new Map<string, Set<string>>();
  /** By id, of those: their upstream. */
  readonly #upstreamOf = new Map<string, string>();

  constructor(deps: BookDeps) {
    this.#deps = deps;
  }

  routeId(cluster: string): string | undefined {
    return this.#byHeaders.get(cluster) ?? routeIdOf(cluster, this.#deps.settings.listener);
  }

  set(route: Route, turn: Turn): void {
    const { settings, fleets } = this.#deps;
    const problem = unpassed(route, settings) ?? unusableTls(route);
    this.#deps.problems.set(`route ${route.id}`, problem === null ? [] : [problem]);
    if (problem !== null || !hasCluster(route)) return this.#setNone(route.id, turn);
    this.#none.delete(route.id);
    const name = clusterName(route, settings.site);
    if (route.match.by === "headers") this.#byHeaders.set(name, route.id);
    this.#noteAddresses(route.id, namesAddresses(route) ? route.upstream : undefined);
    const body = translateCluster(route, this.#addresses(route, turn), settings);
    const whose = fleets.of(route.upstream);
    for (const fleet of fleets.any) if (!whose.includes(fleet)) turn.changes.remove(Cluster, { name, fleet });
    for (const fleet of whose) turn.changes.set(Cluster, { name, fleet, body, subject: route.service });
  }

  remove(id: string, { changes }: Turn): void {
    this.#deps.problems.set(`route ${id}`, []);
    if (!this.#none.delete(id)) this.#removeCluster(id, { changes });
  }

  #removeCluster(id: string, { changes }: Pick<Turn, "changes">): void {
    const { settings, fleets } = this.#deps;
    const name = clusterOfId(id, settings.site);
    this.#byHeaders.delete(name);
    this.#noteAddresses(id, undefined);
    for (const fleet of fleets.any) changes.remove(Cluster, { name, fleet });
  }

  #setNone(id: string, turn: Turn): void {
    if (this.#none.has(id)) return;
    this.#removeCluster(id, turn);
    this.#none.add(id);
  }

  /** An upstream has other endpoints. */
  endpointsChanged(upstream: string, turn: Turn): void {
    for (const id of this.#byAddress.get(upstream) ?? []) {
      const route = turn.table.routes.get(id);
      if (route !== undefined) this.set(route, turn);
    }
  }

  /** The upstream whose endpoints the route's cluster names; undefined: it names none. */
  #noteAddresses(id: string, upstream: string | undefined): void {
    const before = this.#upstreamOf.get(id);
    if (before === upstream) return;
    if (before !== undefined) {
      const ids = this.#byAddress.get(before);
      ids?.delete(id);
      if (ids?.size === 0) this.#byAddress.delete(before);
      this.#upstreamOf.delete(id);
    }
    if (upstream === undefined) return;
    this.#byAddress.set(upstream, (this.#byAddress.get(upstream) ?? new Set<string>()).add(id));
    this.#upstreamOf.set(id, upstream);
  }

  #addresses(route: Route, { table, rules }: Turn): readonly Address[] {
    const endpoints = namesAddresses(route) ? table.endpoints.get(route.upstream) : undefined;
    return endpoints === undefined
      ? NO_ADDRESSES
      : usableEndpoints(endpoints, rules).list.map(({ address }) => address);
  }
}
