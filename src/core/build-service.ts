import type { Access, Endpoint, Endpoints, Route, Upstream } from "../model/index.ts";
import type { PortBook } from "./allot-ports.ts";
import {
  buildReplicaRoute,
  buildRoutes,
  makeServiceRoute,
  replicaUpstream,
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
  /** Notes that something about a task or service, by key, changed. */
  readonly touch: (subject: string) => void;
}

const NO_ROUTES: readonly Route[] = Object.freeze([]);
const NO_REPLICAS: ReadonlyMap<string, Route | null> = new Map();

/** One service in the table: what it asks for, and what it has. Work is only for what differs from the last `set`. */
export class BuiltService {
  readonly key: string;
  readonly #books: Books;
  #basis: RouteBasis | null = null;
  #wanted: WantedRoutes | null = null;
  #claimed = NO_ROUTES;
  #generated: Route | null = null;
  #anyPort: Route | null = null;
  #list: readonly Endpoint[] | null = null;
  /** Replicas that have a name of their own. */
  #replicas = NO_REPLICAS;

  constructor(key: string, books: Books) {
    this.key = key;
    this.#books = books;
  }

  /** Best first: short name, hosts asked for, generated host, paths, headers, ports, and after those the replicas'. */
  routes(): readonly Route[] {
    const hosts = this.#claimed.filter(isHost);
    const others = this.#claimed.filter((route) => !isHost(route));
    const all = [...hosts, this.#generated, ...others, this.#anyPort, ...this.#replicas.values()];
    return all.filter((route) => route !== null && this.#books.claims.holds(route)) as Route[];
  }

  set(basis: RouteBasis, list: readonly Endpoint[]): void {
    const isNewBasis = this.#basis === null || !sameBasis(this.#basis, basis);
    if (isNewBasis) this.#setBasis(basis);
    if (isNewBasis || this.#list !== list) this.#setEndpoints(basis, list, isNewBasis);
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

  #leave(drop: (route: Route) => void): void {
    const { ports, problems, upstreams, endpoints } = this.#books;
    ports.giveUp(this.key);
    for (const route of this.#claimed) drop(route);
    for (const route of [this.#generated, this.#anyPort]) if (route !== null) drop(route);
    for (const [replica, route] of this.#replicas) this.#dropReplica(replica, route);
    problems.replace(this.#wanted?.problems ?? [], []);
    upstreams.delete(this.key);
    endpoints.delete(this.key);
  }

  #setBasis(basis: RouteBasis): void {
    const { rules, problems, upstreams } = this.#books;
    const wanted = buildRoutes(basis, rules);
    problems.replace(this.#wanted?.problems ?? [], wanted.problems);
    this.#claimed = this.#swap(this.#claimed, wanted.claimed, true);
    const generated = this.#swap(asList(this.#generated), asList(wanted.generated), false);
    this.#generated = generated[0] ?? null;
    this.#basis = basis;
    this.#wanted = wanted;
    this.#setAnyPort(basis, wanted);
    const { protocol, policy } = basis.service;
    setIfOther(upstreams, this.key, Object.freeze({ id: this.key, protocol, policy }));
  }

  #setAnyPort(basis: RouteBasis, wanted: WantedRoutes): void {
    const { claims, ports } = this.#books;
    const before = this.#anyPort;
    if (!wanted.anyPort) {
      ports.giveUp(this.key);
      if (before !== null) claims.release(before);
      this.#anyPort = null;
    } else if (before === null) {
      const make = (match: Route["match"]) => makeServiceRoute(basis, wanted.access, match);
      ports.seek({ key: this.key, make, granted: (route) => (this.#anyPort = route) });
    } else {
      this.#anyPort = this.#swap([before], [makeServiceRoute(basis, wanted.access, before.match)], true)[0] ?? null;
    }
  }

  #setEndpoints(basis: RouteBasis, list: readonly Endpoint[], isNewBasis: boolean): void {
    const { endpoints, touch } = this.#books;
    if (this.#list !== list) {
      endpoints.set(this.key, Object.freeze({ upstream: this.key, list }));
      touch(this.key);
      this.#list = list;
    }
    const groups = byReplica(list);
    const before = this.#replicas;
    if (groups.size === 0 && before.size === 0) return;
    const replicas = new Map<string, Route | null>();
    for (const [replica, group] of groups) {
      const former = before.get(replica);
      const isSame = former !== undefined && !isNewBasis;
      replicas.set(replica, isSame ? former : this.#setReplica(basis, replica, former ?? null));
      this.#setReplicaEndpoints(replicaUpstream(this.key, replica), group);
    }
    for (const [replica, route] of before) if (!groups.has(replica)) this.#dropReplica(replica, route);
    this.#replicas = replicas;
  }

  #setReplica(basis: RouteBasis, replica: string, before: Route | null): Route | null {
    const { rules, upstreams } = this.#books;
    const access: Access = this.#wanted?.access ?? basis.access;
    const after = buildReplicaRoute(basis, access, replica, rules);
    const { protocol, policy } = basis.service;
    const id = replicaUpstream(this.key, replica);
    setIfOther(upstreams, id, Object.freeze({ id, protocol, policy }));
    return this.#swap(asList(before), asList(after), false)[0] ?? null;
  }

  #setReplicaEndpoints(upstream: string, list: readonly Endpoint[]): void {
    setIfOther(this.#books.endpoints, upstream, Object.freeze({ upstream, list: Object.freeze(list) }));
  }

  #dropReplica(replica: string, route: Route | null): void {
    const { claims, upstreams, endpoints } = this.#books;
    const upstream = replicaUpstream(this.key, replica);
    if (route !== null) claims.release(route);
    upstreams.delete(upstream);
    endpoints.delete(upstream);
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
    a.owner === b.owner &&
    a.access === b.access &&
    a.first === b.first &&
    a.named.taskName === b.named.taskName
  );
}

function isHost(route: Route): boolean {
  return route.match.by === "host" || route.match.by === "serverName";
}

function asList(route: Route | null): readonly Route[] {
  return route === null ? NO_ROUTES : [route];
}

function setIfOther<T>(entries: KeptEntries<T>, key: string, after: T): void {
  const before = entries.get(key);
  if (before === undefined || !sameContent(before, after)) entries.set(key, after);
}

/** Endpoints of each replica, where there is more than one; they come in order of replica. */
function byReplica(list: readonly Endpoint[]): ReadonlyMap<string, readonly Endpoint[]> {
  const groups = new Map<string, Endpoint[]>();
  if (list.length < 2 || list[0]?.replica === list.at(-1)?.replica) return groups;
  for (const endpoint of list) {
    const group = groups.get(endpoint.replica);
    if (group === undefined) groups.set(endpoint.replica, [endpoint]);
    else group.push(endpoint);
  }
  return groups;
}
