import {
  GATE_PROVIDER,
  matchKey,
  type Access,
  type Exposure,
  type Identity,
  type Match,
  type Problem,
  type Route,
  type Service,
} from "../model/index.ts";
import { askPorts } from "./ask-ports.ts";
import { grantExposure, hostRefusal, needsNoLogin, type NameExposure } from "./grant-exposures.ts";
import { aliasLabel, nameService, replicaLabel, serviceLabel, type Named, type NamedTask } from "./name-hosts.ts";
import { Unusable, whyUnusable } from "./read-value.ts";
import type { TableRules } from "./table-rules.ts";

/** What the routes of all services of a task are made from: the same object for as long as none of it changes. */
export interface TaskBasis extends NamedTask {
  readonly provider: string;
  /** The task's name for people. */
  readonly name: string;
  readonly owner: Identity | null;
}

/** All that the routes of a service are made from, beside its replicas. */
export interface RouteBasis {
  /** Service key. */
  readonly key: string;
  readonly task: TaskBasis;
  readonly service: Service;
  /** Resolved. */
  readonly access: Access;
  /** What of it the ceiling did not allow, in words. */
  readonly refusals: readonly string[];
  /** The service that a task's short name leads to. */
  readonly first: boolean;
}

/** Where a route leads. */
interface Destination {
  readonly basis: RouteBasis;
  readonly replica?: string;
}

/** What a service would like to have. */
export interface WantedRoutes {
  /** Names and ports that are had by claim, best first: the short name, hosts and server names, paths, headers, ports. */
  readonly claimed: readonly Route[];
  /** The generated name, which needs no claim; null for what the gate itself serves. */
  readonly generated: Route | null;
  /** A raw port, whichever is free. */
  readonly anyPort: boolean;
  readonly problems: readonly Problem[];
  /** What its names are made from; null for what the gate itself serves. */
  readonly named: Named | null;
}

const NO_ROUTES: readonly Route[] = Object.freeze([]);
const NO_PROBLEMS: readonly Problem[] = Object.freeze([]);
const RANK: Record<NameExposure["by"], number> = { host: 0, serverName: 0, path: 1, headers: 2 };

/** The routes that a service wants, those it may not have being answered by problems. Whether a name is free is for claims. */
export function buildRoutes(basis: RouteBasis, rules: TableRules): WantedRoutes {
  const { task, service } = basis;
  const isGate = task.provider === GATE_PROVIDER;
  const wanted = new Wanted(basis, rules);
  for (const refusal of basis.refusals) wanted.refuse("access_above_ceiling", refusal);
  if (!isGate) wanted.addNames(nameService(task, service.name));
  if (service.exposures.length > 0) wanted.addExposures();
  wanted.addPorts();
  return wanted;
}

/** Routes to replicas by their own names, in the order of `replicas`. */
export function buildReplicaRoutes(
  basis: RouteBasis,
  named: Named | null,
  replicas: readonly string[],
  rules: TableRules,
): readonly Route[] {
  const names = named ?? nameService(basis.task, basis.service.name);
  return replicas.map((replica) => labelRoute({ basis, replica }, replicaLabel(names, replica), rules));
}

/** A route of a service, to any of its replicas. */
export function makeServiceRoute(basis: RouteBasis, match: Match): Route {
  return makeRoute({ basis }, matchKey(match), match);
}

class Wanted implements WantedRoutes {
  readonly basis: RouteBasis;
  claimed: readonly Route[] = NO_ROUTES;
  generated: Route | null = null;
  anyPort = false;
  problems: readonly Problem[] = NO_PROBLEMS;
  named: Named | null = null;
  readonly #rules: TableRules;

  constructor(basis: RouteBasis, rules: TableRules) {
    this.basis = basis;
    this.#rules = rules;
  }

  refuse(code: string, message: string): void {
    this.problems = [...this.problems, Object.freeze({ subject: this.basis.key, code, message })];
  }

  /** The short name and the generated one. */
  addNames(named: Named): void {
    this.named = named;
    this.generated = labelRoute(this, serviceLabel(named), this.#rules);
    const label = aliasLabel(named, this.basis.first);
    if (label === "") return;
    const alias = labelRoute(this, label, this.#rules);
    const refusal = hostRefusal(label, nameOf(alias.match), this.#rules);
    if (refusal === null) this.#push(alias);
    else this.refuse("name_reserved", refusal);
  }

  addExposures(): void {
    const { access, service, task } = this.basis;
    const asking = { provider: task.provider, service, access };
    for (const exposure of service.exposures.filter(isName).sort(byRank)) {
      try {
        this.#add(grantExposure(exposure, asking, this.#rules));
      } catch (error) {
        if (!(error instanceof Unusable)) throw error;
        this.refuse("exposure_refused", whyUnusable(error));
      }
    }
  }

  addPorts(): void {
    const asked = askPorts(this.basis.key, this.basis.service, this.basis.access, this.#rules);
    for (const port of asked.exact) this.#add({ by: "port", port });
    for (const reason of asked.refused) this.refuse("port_refused", reason);
    this.anyPort = asked.any;
  }

  #add(match: Match): void {
    this.#push(makeServiceRoute(this.basis, match));
  }

  // Mostly there is one, and these lists are kept: one that grows in place has room for sixteen more.
  #push(route: Route): void {
    if (this.claimed.every((other) => other.id !== route.id)) this.claimed = [...this.claimed, route];
  }
}

function byRank(a: NameExposure, b: NameExposure): number {
  return RANK[a.by] - RANK[b.by];
}

function isName(exposure: Exposure): exposure is NameExposure {
  return exposure.by !== "port";
}

/**
 * By a label: as host of the domain, or as server name where the service is passed through. A tls service that leaves the login to the
 * gate is not passed through, because nobody could be asked for one: it has hosts, which `forward` connects to.
 */
function labelRoute(to: Destination, label: string, rules: TableRules): Route {
  const { listener, hostKey } = rules;
  if (to.basis.service.protocol === "tls" && needsNoLogin(to.basis.service, to.basis.access)) {
    const match = { by: "serverName", listener, name: `${label}.${rules.tlsDomain}` } as const;
    return makeRoute(to, matchKey(match), match);
  }
  // A key ends with its host, so the host can share the key's characters: a tenth of the table's memory, and half of the joining.
  const id = hostKey + label + rules.hostEnd;
  const match = { by: "host", listener, host: id.slice(hostKey.length) } as const;
  return makeRoute(to, id, match);
}

function nameOf(match: Match): string {
  return match.by === "host" ? match.host : match.by === "serverName" ? match.name : "";
}

function makeRoute({ basis, replica }: Destination, id: string, match: Match): Route {
  const { key, access, service, task } = basis;
  const { protocol, guard, policy } = service;
  const { owner } = task;
  if (replica === undefined) {
    return { id, match, service: key, protocol, guard, upstream: key, owner, access, policy };
  }
  return { id, match, service: key, replica, protocol, guard, upstream: key, owner, access, policy };
}
