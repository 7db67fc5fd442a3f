import { isGateService, type Upstream } from "../../../model/index.ts";
import { ClusterLoadAssignment } from "../proto/tables/endpoint.ts";
import { assignmentName, replicasOf, translateAssignment } from "./load-assignment.ts";
import type { BookDeps, Turn } from "./translator.ts";
import { usableEndpoints } from "./usable-endpoints.ts";

const NONE: readonly string[] = Object.freeze([]);

/** What Envoys know of endpoints: one assignment of each upstream, and of each replica that has routes of its own. */
export class EndpointBook {
  readonly #deps: BookDeps;
  /** By upstream, where there are any: replicas that have assignments. */
  readonly #replicas = new Map<string, readonly string[]>();

  constructor(deps: BookDeps) {
    this.#deps = deps;
  }

  /** An upstream or its endpoints are new or changed. */
  set(id: string, turn: Turn): void {
    const upstream = turn.table.upstreams.get(id);
    const endpoints = turn.table.endpoints.get(id);
    if (upstream === undefined || endpoints === undefined) return;
    // The gate's own answers where all services fall back to: it needs no endpoint beside that.
    const own = isGateService(id) ? { ...endpoints, list: [] } : endpoints;
    const { list, problems } = usableEndpoints(own, turn.rules);
    this.#deps.problems.set(`endpoints ${id}`, problems);
    this.#setOne(upstream, { endpoints: list }, turn);
    const replicas = isGateService(id) ? NONE : replicasOf(endpoints);
    const ofReplica = replicas.length === 0 ? null : Map.groupBy(list, ({ replica }) => replica);
    for (const replica of replicas) this.#setOne(upstream, { endpoints: ofReplica?.get(replica) ?? [], replica }, turn);
    this.#keepReplicas(id, replicas, turn);
  }

  remove(id: string, turn: Turn): void {
    this.#deps.problems.set(`endpoints ${id}`, []);
    this.#keepReplicas(id, NONE, turn);
    this.#removeOne(assignmentName(id), turn);
  }

  #setOne(
    upstream: Upstream,
    of: { endpoints: Parameters<typeof translateAssignment>[0]["endpoints"]; replica?: string },
    turn: Turn,
  ): void {
    // prettier-ignore
    const { settings, fleets } = this.#deps;
    const name = assignmentName(upstream.id, of.replica);
    const body = translateAssignment({ name, endpoints: of.endpoints, upstream, secret: settings.secret });
    for (const fleet of fleets.of(upstream.id)) {
      turn.changes.set(ClusterLoadAssignment, { name, fleet, body, subject: upstream.id });
    }
  }

  #removeOne(name: string, { changes }: Turn): void {
    for (const fleet of this.#deps.fleets.of(name)) changes.remove(ClusterLoadAssignment, { name, fleet });
  }

  #keepReplicas(id: string, replicas: readonly string[], turn: Turn): void {
    const before = this.#replicas.get(id) ?? NONE;
    if (replicas.length > 0) this.#replicas.set(id, replicas);
    else this.#replicas.delete(id);
    if (before.length === 0) return;
    const staying = new Set(replicas);
    for (const replica of before) if (!staying.has(replica)) this.#removeOne(assignmentName(id, replica), turn);
  }
}
