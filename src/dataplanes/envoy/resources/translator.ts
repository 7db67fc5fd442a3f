import type { Certificate, Problem, Route, RouteTable, TableDiff } from "../../../model/index.ts";
import { ownAddresses } from "../../forbidden-target.ts";
import { Cluster } from "../proto/tables/cluster.ts";
import { Listener } from "../proto/tables/listener.ts";
import { Secret } from "../proto/tables/tls.ts";
import type { Resource, ResourceChange } from "../resource.ts";
import { ChangeList } from "./change-list.ts";
import { ClusterBook } from "./cluster-book.ts";
import { fixedClusters } from "./fixed-clusters.ts";
import { certificateName, certificateSecret } from "./downstream-tls.ts";
import { EndpointBook } from "./endpoint-book.ts";
import { Fleets } from "./fleets.ts";
import { translateListeners } from "./listener.ts";
import { PortBook } from "./port-book.ts";
import { ProblemList } from "./problem-list.ts";
import { RouteBook } from "./route-book.ts";
import type { TranslateSettings } from "./settings.ts";
import type { BookDeps, Turn } from "./turn.ts";
import { tunnelTarget } from "./tunnel-target.ts";
import { AUTHORITIES, authoritiesSecret } from "./upstream-socket.ts";

/** Subject of what is nobody's service. */
const ENVOY = "envoy";

/**
 * Turns tables into what Envoys are told. Pure but for what it remembers of the few things that a diff does not say: work is for what the diff
 * names, and memory for what takes more than one entry of the table.
 */
export class Translator {
  readonly #settings: TranslateSettings;
  readonly #deps: BookDeps;
  readonly #clusters: ClusterBook;
  readonly #endpoints: EndpointBook;
  readonly #ports: PortBook;
  readonly #routes: RouteBook;
  #last: Pick<Turn, "table" | "rules"> | null = null;

  constructor(settings: TranslateSettings) {
    this.#settings = settings;
    this.#deps = { settings, fleets: new Fleets(settings.fleets), problems: new ProblemList() };
    this.#clusters = new ClusterBook(this.#deps);
    this.#endpoints = new EndpointBook(this.#deps);
    this.#ports = new PortBook(this.#deps);
    this.#routes = new RouteBook(this.#deps);
  }

  /** What was left out, and why: all that stands. */
  get problems(): readonly Problem[] {
    return this.#deps.problems.all;
  }

  /** Id of the route that a cluster is of; undefined: it is of none. */
  routeId(cluster: string): string | undefined {
    return this.#clusters.routeId(cluster);
  }

  /** What is there whatever the table holds. */
  start(): readonly Resource[] {
    const changes = new ChangeList();
    for (const fleet of this.#settings.fleets) {
      for (const body of translateListeners(fleet, this.#settings)) {
        changes.set(Listener, { name: body.name ?? "", fleet: fleet.name, body, subject: ENVOY });
      }
    }
    for (const body of fixedClusters(this.#settings)) {
      changes.set(Cluster, { name: body.name ?? "", fleet: null, body, subject: ENVOY });
    }
    this.#routes.publish(changes);
    changes.set(Secret, { name: AUTHORITIES, fleet: null, body: authoritiesSecret(), subject: ENVOY });
    return changes.take().set;
  }

  /** What a diff that leads to this table changes. Never throws for a bad entry: that is left out, with a problem. */
  translate(table: RouteTable, diff: TableDiff): ResourceChange {
    const changes = new ChangeList();
    const rules = { ...this.#settings.dialRules, ownAddresses: ownAddresses() };
    const upstreams = new Set([...diff.endpoints.set.map(({ upstream }) => upstream), ...diff.upstreams.set.map(({ id }) => id)]); // prettier-ignore
    const turn: Turn = { table, changes, rules, upstreams };
    for (const id of diff.routes.removed) this.#removeRoute(id, turn);
    for (const route of diff.routes.set) this.#setRoute(route, turn);
    for (const upstream of upstreams) {
      this.#endpoints.set(upstream, turn);
      this.#clusters.endpointsChanged(upstream, turn);
    }
    for (const upstream of diff.endpoints.removed) this.#endpoints.remove(upstream, turn);
    this.#routes.finish(turn);
    this.#last = { table, rules };
    return changes.take();
  }

  /** `IP:PORT` that a tunnel to this route may be led to now; undefined: there is none. */
  tunnelTarget(route: Route): string | undefined {
    if (this.#last === null) return undefined;
    const { table, rules } = this.#last;
    return tunnelTarget(route, table.endpoints.get(route.upstream), { rules, random: Math.random() });
  }

  /** Certificates that the listeners show, in order: as many as the settings say. */
  secrets(certificates: readonly Certificate[]): ResourceChange {
    const changes = new ChangeList();
    for (const [index, certificate] of certificates.entries()) {
      const body = certificateSecret(index, certificate);
      changes.set(Secret, { name: certificateName(index), fleet: null, body, subject: ENVOY });
    }
    return changes.take();
  }

  #setRoute(route: Route, turn: Turn): void {
    this.#clusters.set(route, turn);
    this.#ports.set(route, turn);
    this.#routes.set(route);
    this.#endpoints.setRoute(route, turn);
  }

  #removeRoute(id: string, turn: Turn): void {
    this.#clusters.remove(id, turn);
    this.#ports.remove(id, turn);
    this.#routes.remove(id);
    this.#endpoints.removeRoute(id, turn);
  }
}
