import { isGateService, type Endpoint, type Route, type Upstream } from "../../../model/index.ts";
import { LOCAL_FLEET } from "../names.ts";
import { ClusterLoadAssignment } from "../proto/tables/endpoint.ts";
import { assignmentName, translateAssignment } from "./load-assignment.ts";
import type { BookDeps, Turn } from "./turn.ts";
import { usableEndpoints } from "./usable-endpoints.ts";

interface OfReplica {
  readonly upstream: string;
  readonly replica: string;
}

/** What Envoys know of endpoints: one assignment of each upstream, and of each replica that has routes of its own. */
export class EndpointBook {
  readonly #deps: BookDeps;
  /** By id: routes to one replica. */
  readonly #routes = new Map<string, OfReplica>();
  /** By upstream, by replica: how many routes lead there. */
  readonly #replicas = new Map<string, Map<string, number>>();

  constructor(deps: BookDeps) {
    this.#deps = deps;
  }

  /** A route to a replica has its assignment for as long as it is there, though the replica may be gone. */
  setRoute({ id, upstream, replica }: Route, turn: Turn): void {
    const before = this.#routes.get(id);
    if (before?.upstream === upstream && before.replica === replica) return;
    if (before !== undefined) this.#release(id, before, turn);
    if (replica === undefined) return;
    this.#routes.set(id, { upstream, replica });
    const counts = this.#replicas.get(upstream) ?? new Map<string, number>();
    this.#replicas.set(upstream, counts.set(replica, (counts.get(replica) ?? 0) + 1));
    turn.upstreams.add(upstream);
  }

  removeRoute(id: string, turn: Turn): void {
    const before = this.#routes.get(id);
    if (before !== undefined) this.#release(id, before, turn);
  }

  /** An upstream, its endpoints or its routes to replicas are new or changed. */
  set(id: string, turn: Turn): void {
    const upstream = turn.table.upstreams.get(id);
    const endpoints = turn.table.endpoints.get(id);
    if (upstream === undefined || endpoints === undefined) return;
    const { list, problems } = usableEndpoints(endpoints, turn.rules);
    this.#deps.problems.set(`endpoints ${id}`, problems);
    this.#setOne(upstream, { list }, turn);
    const replicas = this.#replicas.get(id);
    if (replicas === undefined) return;
    const byReplica = Map.groupBy(list, ({ replica }) => replica);
    for (const replica of replicas.keys())
      this.#setOne(upstream, { list: byReplica.get(replica) ?? [], replica }, turn);
  }

  remove(id: string, turn: Turn): void {
    this.#deps.problems.set(`endpoints ${id}`, []);
    this.#removeOne(id, assignmentName(id), turn);
  }

  #setOne(
    upstream: Upstream,
    of: { readonly list: readonly Endpoint[]; readonly replica?: string },
    { changes }: Turn,
  ): void {
    // prettier-ignore
    const { settings, fleets } = this.#deps;
    const name = assignmentName(upstream.id, of.replica);
    const bodyFor = (endpoints: readonly Endpoint[]) =>
      translateAssignment({ name, endpoints, upstream, secret: settings.secret });
    const subject = upstream.id;
    if (!isGateService(upstream.id)) {
      const body = bodyFor(of.list);
      for (const fleet of fleets.of(upstream.id)) changes.set(ClusterLoadAssignment, { name, fleet, body, subject });
      return;
    }
    // The gate's own is here alone; elsewhere it answers where all services fall back to.
    for (const fleet of fleets.each(upstream.id)) {
      const body = bodyFor(fleet === LOCAL_FLEET ? of.list : []);
      changes.set(ClusterLoadAssignment, { name, fleet, body, subject });
    }
  }

  #removeOne(upstream: string, name: string, { changes }: Turn): void {
    const { fleets } = this.#deps;
    const whose = isGateService(upstream) ? fleets.each(upstream) : fleets.of(upstream);
    for (const fleet of whose) changes.remove(ClusterLoadAssignment, { name, fleet });
  }

  #release(id: string, { upstream, replica }: OfReplica, turn: Turn): void {
    this.#routes.delete(id);
    const counts = this.#replicas.get(upstream);
    const left = (counts?.get(replica) ?? 1) - 1;
    if (left > 0) {
      counts?.set(replica, left);
      return;
    }
    counts?.delete(replica);
    if (counts?.size === 0) this.#replicas.delete(upstream);
    this.#removeOne(upstream, assignmentName(upstream, replica), turn);
  }
}
