import {
  GATE_PROVIDER,
  type Endpoint,
  type Endpoints,
  type Problem,
  type Match,
  type Opening,
  type Route,
  type Upstream,
} from "../model/index.ts";
import type { PortBook } from "./allot-ports.ts";
import {
  buildReplicaRoutes,
  buildRoutes,
  makeServiceRoute,
  type RouteBasis,
  type WantedRoutes,
} from "./build-routes.ts";
import type { KeptEntries } from "./kept-entries.ts";
import type { ProblemBook } from "./problem-book.ts";
import type { ClaimBook } from "./resolve-claims.ts";
import { keepSame, sameContent } from "./same-content.ts";
import type { TableRules } from "./table-rules.ts";

/** What a build works on. */
export interface Books {
  readonly rules: TableRules;
  readonly claims: ClaimBook;
  readonly ports: PortBook;
  readonly problems: ProblemBook;
  readonly upstreams: KeptEntries<Upstream>;
  readonly endpoints: KeptEntries<Endpoints>;
  /** What was given to tasks, by task key. */
  readonly shared: ReadonlyMap<string, readonly Opening[]>;
  /** Of this build; epoch ms. */
  readonly time: { readonly now: number };
  /** Notes that something about a task or service, by key, changed. */
  readonly touch: (subject: string) => void;
}

const NO_ROUTES: readonly Route[] = Object.freeze([]);
const NO_NAMES: readonly string[] = Object.freeze([]);
const NO_PROBLEMS: readonly Problem[] = Object.freeze([]);

/** One service in the table: what it asks for, and what it has. Work is only for what differs from the last `set`. */
export class BuiltService {
  readonly key: string;
  readonly #books: Books;
  #basis: RouteBasis | null = null;
  #problems = NO_PROBLEMS;
  #claimed = NO_ROUTES;
  #generated: Route | null = null;
  #anyPort: Route | null = null;
  #list: readonly Endpoint[] | null = null;
  /** To replicas by their own names, in order of replica. */
  #replicas = NO_ROUTES;

  constructor(key: string, books: Books) {
    this.key = key;
    this.#books = books;
  }

  /** As it was set last; null: not yet. */
  get basis(): RouteBasis | null {
    return this.#basis;
  }

  /** Best first: short name, hosts asked for, generated host, paths, headers, ports, and after those the replicas'. */
  routes(): readonly Route[] {
    const hosts = this.#claimed.filter(isHost);
    const others = this.#claimed.filter((route) => !isHost(route));
    const all = [...hosts, this.#generated, ...others, this.#anyPort, ...this.#replicas];
    return all.filter((route) => route !== null && this.#books.claims.holds(route)) as Route[];
  }

  set(basis: RouteBasis, list: readonly Endpoint[]): void {
    if (this.#basis === null || !sameBasis(this.#basis, basis)) this.#setEndpoints(basis, list, this.#setBasis(basis));
    else if (this.#list !== list) this.#setEndpoints(basis, list, null);
  }

  /** Gives everything up: the service is gone. */
  release(): void {
    this.#leave((route) => this.#books.claims.release(route));
  }

  /** Takes everything out of the table but keeps what it claimed, whose keys are returned: the service is there, but cannot be used. */
  suspend(): readonly string[] {
    const { claims, ports } = this.#books;
    const held = [...this.#claimed, this.#anyPort].filter((route) => route !== null && claims.holds(route)) as Route[];
    for (const route of held) ports.remember(route);
    this.#leave((route) => claims.suspend(route));
    return held.map((route) => route.id);
  }

  /** The port that it was allotted, by its claim's key, is another's or nobody's now: it seeks one again. Nothing for what it asked for by number. */
  lostPort(claim: string): void {
    if (this.#anyPort?.id !== claim || this.#basis === null) return;
    this.#books.claims.release(this.#anyPort);
    this.#anyPort = null;
    this.#seekPort(this.#basis);
  }

  #leave(drop: (route: Route) => void): void {
    const { claims, ports, problems } = this.#books;
    ports.giveUp(this.key);
    for (const route of [...this.#claimed, this.#anyPort]) if (route !== null) drop(route);
    for (const route of [this.#generated, ...this.#replicas]) if (route !== null) claims.release(route);
    problems.replace(this.#problems, NO_PROBLEMS);
    this.#books.upstreams.delete(this.key);
    this.#books.endpoints.delete(this.key);
  }

  #setBasis(basis: RouteBasis): WantedRoutes {
    const { rules, problems } = this.#books;
    const wanted = buildRoutes(basis, rules);
    problems.replace(this.#problems, wanted.problems);
    this.#problems = wanted.problems;
    this.#setClaimed(basis, wanted);
    this.#setGenerated(wanted.generated);
    this.#setUpstream(basis);
    this.#basis = basis;
    return wanted;
  }

  #setGenerated(route: Route | null): void {
    if (this.#generated === null && route !== null) this.#books.claims.place(route, false);
    else route = this.#swap(asList(this.#generated), asList(route), false)[0] ?? null;
    this.#generated = route;
  }

  #setClaimed(basis: RouteBasis, wanted: WantedRoutes): void {
    const { ports } = this.#books;
    const port = wanted.anyPort ? this.#heldPort() : null;
    const before = this.#anyPort === null ? this.#claimed : [...this.#claimed, this.#anyPort];
    const after = port === null ? wanted.claimed : [...wanted.claimed, makeServiceRoute(basis, port)];
    const kept = this.#swap(before, after, true);
    this.#claimed = port === null ? kept : kept.slice(0, -1);
    this.#anyPort = port === null ? null : (kept.at(-1) ?? null);
    if (wanted.anyPort && port === null) this.#seekPort(basis);
    else ports.giveUp(this.key);
  }

  #seekPort(basis: RouteBasis): void {
    const make = (match: Match) => makeServiceRoute(basis, match);
    this.#books.ports.seek({ key: this.key, make, granted: (route) => (this.#anyPort = route) });
  }

  /** A port that it has, be it one that it asked for by number until now: whoever wants any port wants that. */
  #heldPort(): Match | null {
    const routes = [this.#anyPort, ...this.#claimed].filter((route) => route?.match.by === "port");
    return routes.find((route) => route !== null && this.#books.claims.holds(route))?.match ?? null;
  }

  /** `wanted` of a new basis, whose routes are all made anew; null: only the list is new. */
  #setEndpoints(basis: RouteBasis, list: readonly Endpoint[], wanted: WantedRoutes | null): void {
    // The gate's own services have no replicas with names: they are only where they ask to be.
    const names = basis.task.provider === GATE_PROVIDER ? NO_NAMES : replicaNames(list);
    if (wanted !== null || !this.#hasReplicas(names)) this.#setReplicas(basis, names, wanted);
    if (this.#list === list) return;
    this.#books.endpoints.set(this.key, { upstream: this.key, list });
    this.#books.touch(this.key);
    this.#list = list;
  }

  #hasReplicas(names: readonly string[]): boolean {
    return names.length === this.#replicas.length && names.every((name, at) => name === this.#replicas[at]?.replica);
  }

  #setReplicas(basis: RouteBasis, names: readonly string[], wanted: WantedRoutes | null): void {
    if (names.length === 0 && this.#replicas.length === 0) return;
    this.#replicas = this.#swap(this.#replicas, this.#replicaRoutes(basis, names, wanted), false);
  }

  #replicaRoutes(basis: RouteBasis, names: readonly string[], wanted: WantedRoutes | null): readonly Route[] {
    const { rules } = this.#books;
    if (wanted !== null) return buildReplicaRoutes(basis, wanted.named, names, rules);
    // Those that are there already are not made again: in a service of thousands, one more costs one more.
    const known = new Map(this.#replicas.map((route) => [route.replica, route]));
    const missing = names.filter((name) => !known.has(name));
    const made = buildReplicaRoutes(basis, null, missing, rules);
    for (const route of made) known.set(route.replica, route);
    return names.flatMap((name) => known.get(name) ?? []);
  }

  #setUpstream({ service }: RouteBasis): void {
    const { upstreams } = this.#books;
    const { protocol, policy } = service;
    const before = this.#basis?.service;
    if (before?.protocol === protocol && sameContent(before.policy, policy)) return;
    upstreams.set(this.key, { id: this.key, protocol, policy });
  }

  /** Puts routes in the place of others. A name that is in both is never let go in between; an equal route stays the object it was. */
  #swap(before: readonly Route[], after: readonly Route[], claimed: boolean): readonly Route[] {
    const { claims } = this.#books;
    if (before.length === 0) {
      for (const route of after) claims.place(route, claimed);
      return after;
    }
    const former = new Map(before.map((route) => [route.id, route]));
    const kept = after.map((route) => keepSame(former.get(route.id), route));
    for (const route of kept) {
      const replaced = former.get(route.id);
      former.delete(route.id);
      if (replaced === undefined) claims.place(route, claimed);
      else if (replaced !== route) claims.replace(replaced, route);
    }
    for (const route of former.values()) claims.release(route);
    return kept;
  }
}

function sameBasis(a: RouteBasis, b: RouteBasis): boolean {
  return (
    a.service === b.service &&
    a.task === b.task &&
    a.access === b.access &&
    a.refusals === b.refusals &&
    a.first === b.first
  );
}

function isHost(route: Route): boolean {
  return route.match.by === "host" || route.match.by === "serverName";
}

function asList(route: Route | null): readonly Route[] {
  return route === null ? NO_ROUTES : [route];
}

/** Names of the replicas, where there is more than one; endpoints come in order of replica. */
function replicaNames(list: readonly Endpoint[]): readonly string[] {
  if (list.length < 2 || list[0]?.replica === list.at(-1)?.replica) return NO_NAMES;
  const names: string[] = [];
  for (const { replica } of list) if (replica !== names.at(-1)) names.push(replica);
  return names;
}
