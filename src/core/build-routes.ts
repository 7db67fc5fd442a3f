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
import { aliasLabel, replicaLabel, serviceLabel, type Named } from "./name-hosts.ts";
import { Unusable, whyUnusable } from "./read-value.ts";
import { withinCeiling, type TableRules } from "./table-rules.ts";

/** All that the routes of a service are made from, beside its replicas. */
export interface RouteBasis {
  /** Service key. */
  readonly key: string;
  readonly named: Named;
  readonly owner: Identity | null;
  readonly service: Service;
  /** The service's own, else its task's; not yet within the ceiling. */
  readonly access: Access;
  /** The service that a task's short name leads to. */
  readonly first: boolean;
}

/** What a service would like to have. */
export interface WantedRoutes {
  /** Resolved. */
  readonly access: Access;
  /** Names and ports that are had by claim, best first: the short name, hosts and server names, paths, headers, ports. */
  readonly claimed: readonly Route[];
  /** The generated name, which needs no claim; null for what the gate itself serves. */
  readonly generated: Route | null;
  /** A raw port, whichever is free. */
  readonly anyPort: boolean;
  readonly problems: readonly Problem[];
}

const RANK: Record<NameExposure["by"], number> = { host: 0, serverName: 0, path: 1, headers: 2 };

/** The routes that a service wants, those it may not have being answered by problems. Whether a name is free is for claims. */
export function buildRoutes(basis: RouteBasis, rules: TableRules): WantedRoutes {
  const access = basis.named.provider === GATE_PROVIDER ? basis.access : withinCeiling(basis.access, rules.ceiling);
  const wanted = new Wanted(basis, access, rules);
  if (access !== basis.access) {
    wanted.refuse("access_above_ceiling", `Its access is for ${basis.access.anyone}; the most that is allowed here is ${rules.ceiling}.`); // prettier-ignore
  }
  if (basis.named.provider !== GATE_PROVIDER) wanted.addAlias();
  wanted.addExposures();
  wanted.addPorts();
  return wanted.result();
}

/** The route to one replica by its own name; null for what the gate itself serves. */
export function buildReplicaRoute(basis: RouteBasis, access: Access, replica: string, rules: TableRules): Route | null {
  if (basis.named.provider === GATE_PROVIDER) return null;
  const match = labelMatch(replicaLabel(basis.named, replica), basis.service, access, rules);
  return makeRoute(basis, access, match, replica);
}

/** Id of the upstream that leads to one replica. */
export function replicaUpstream(key: string, replica: string): string {
  return `${key}@${replica}`;
}

/** A route of a service, to any of its replicas. */
export function makeServiceRoute(basis: RouteBasis, access: Access, match: Match): Route {
  return makeRoute(basis, access, match, undefined);
}

class Wanted {
  readonly #basis: RouteBasis;
  readonly #access: Access;
  readonly #rules: TableRules;
  readonly #claimed: Route[] = [];
  readonly #problems: Problem[] = [];
  #anyPort = false;

  constructor(basis: RouteBasis, access: Access, rules: TableRules) {
    this.#basis = basis;
    this.#access = access;
    this.#rules = rules;
  }

  refuse(code: string, message: string): void {
    this.#problems.push(Object.freeze({ subject: this.#basis.key, code, message }));
  }

  addAlias(): void {
    const { named, service, first } = this.#basis;
    const label = aliasLabel(named.taskName, service.name, first);
    if (label === "") return;
    const match = labelMatch(label, service, this.#access, this.#rules);
    const refusal = match.by === "host" ? hostRefusal(label, match.host, this.#rules) : null;
    if (refusal === null) this.#add(match);
    else this.refuse("name_reserved", refusal);
  }

  addExposures(): void {
    const { service, named } = this.#basis;
    if (service.exposures.length === 0) return;
    const asking = { provider: named.provider, service, access: this.#access };
    for (const exposure of service.exposures.filter(isName).sort((a, b) => RANK[a.by] - RANK[b.by])) {
      try {
        this.#add(grantExposure(exposure, asking, this.#rules));
      } catch (error) {
        if (!(error instanceof Unusable)) throw error;
        this.refuse("exposure_refused", whyUnusable(error));
      }
    }
  }

  addPorts(): void {
    const asked = askPorts(this.#basis.key, this.#basis.service, this.#access, this.#rules);
    for (const port of asked.exact) this.#add(Object.freeze({ by: "port", port }));
    for (const reason of asked.refused) this.refuse("port_refused", reason);
    this.#anyPort = asked.any;
  }

  result(): WantedRoutes {
    const generated = this.#basis.named.provider === GATE_PROVIDER ? null : this.#generated();
    const { length } = this.#claimed;
    const claimed = length < 2 ? this.#claimed : [...new Map(this.#claimed.map((route) => [route.id, route])).values()];
    return { access: this.#access, claimed, generated, anyPort: this.#anyPort, problems: this.#problems };
  }

  #generated(): Route {
    const { named, service } = this.#basis;
    return makeServiceRoute(
      this.#basis,
      this.#access,
      labelMatch(serviceLabel(named), service, this.#access, this.#rules),
    );
  }

  #add(match: Match): void {
    this.#claimed.push(makeServiceRoute(this.#basis, this.#access, match));
  }
}

function isName(exposure: Exposure): exposure is NameExposure {
  return exposure.by !== "port";
}

/**
 * A label as host of the domain, or as server name where the service is passed through. A tls service that leaves the login to the gate is
 * not passed through, because nobody could be asked for one: it has hosts, which `forward` connects to.
 */
function labelMatch(label: string, service: Service, access: Access, rules: TableRules): Match {
  const { listener } = rules;
  if (service.protocol === "tls" && needsNoLogin(service, access)) {
    return Object.freeze({ by: "serverName", listener, name: `${label}.${rules.tlsDomain}` });
  }
  return Object.freeze({ by: "host", listener, host: `${label}.${rules.domain}` });
}

function makeRoute(basis: RouteBasis, access: Access, match: Match, replica: string | undefined): Route {
  const { key, service, owner } = basis;
  const { protocol, guard, policy } = service;
  const id = matchKey(match);
  if (replica === undefined) {
    return Object.freeze({ id, match, service: key, protocol, guard, upstream: key, owner, access, policy });
  }
  const upstream = replicaUpstream(key, replica);
  return Object.freeze({ id, match, service: key, replica, protocol, guard, upstream, owner, access, policy });
}
