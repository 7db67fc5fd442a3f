import { GATE_PROVIDER, isGateService, matchKey, type Claim, type Match } from "../model/index.ts";
import type { Ceiling } from "./access-ceiling.ts";
import { compileRules, type RuleLookup } from "./access-rules.ts";
import type { TableOptions } from "./table-state.ts";

/** Sources whose endpoints may be on this machine's loopback, where options do not say. */
const LOOPBACK_SOURCES = [GATE_PROVIDER, "local", "file"];

/** Options, in the form that a build asks them in. */
export interface TableRules {
  readonly listener: string;
  /** What the key of every host on the listener starts with. */
  readonly hostKey: string;
  readonly domain: string;
  /** What every host under the domain ends with. */
  readonly hostEnd: string;
  /** Under it live the services that are passed through. */
  readonly tlsDomain: string;
  readonly gateHost: string;
  /** Host names may be asked for under these. */
  readonly domains: ReadonlySet<string>;
  readonly pathHost: string;
  readonly pathHosts: readonly string[];
  readonly ports: { readonly from: number; readonly to: number };
  /** By service key. */
  readonly namedPorts: ReadonlyMap<string, number | "auto">;
  /** Ports that config gives to services by name, with their keys: nobody else gets them. */
  readonly reservedPorts: ReadonlyMap<number, ReadonlySet<string>>;
  readonly ceiling: Ceiling;
  /** Of what the administrator gives, who says by each rule until when it holds. */
  readonly ruleCeiling: Ceiling;
  /** What the administrator gives. */
  readonly given: RuleLookup;
  readonly loopback: ReadonlySet<string>;
}

export function tableRules(options: TableOptions): TableRules {
  const namedPorts = new Map(Object.entries(options.tcp.services));
  const reservedPorts = new Map<number, Set<string>>();
  for (const [service, port] of namedPorts) {
    if (port !== "auto") reservedPorts.set(port, (reservedPorts.get(port) ?? new Set()).add(service));
  }
  const ceiling: Ceiling = { links: true, ...options.grantBounds, anyone: options.ceiling };
  return Object.freeze({
    listener: options.listener,
    hostKey: matchKey({ by: "host", listener: options.listener, host: "" }),
    domain: options.domain,
    hostEnd: `.${options.domain}`,
    tlsDomain: `tls.${options.domain}`,
    gateHost: options.gateHost,
    domains: new Set([options.domain, ...(options.domains ?? [])]),
    pathHost: options.pathHost,
    pathHosts: [options.pathHost, ...(options.pathHosts ?? [])],
    ports: options.tcp.ports,
    namedPorts,
    reservedPorts,
    ceiling,
    ruleCeiling: { ...ceiling, longestGrant: undefined, longestLink: undefined },
    given: compileRules(options.accessRules ?? []),
    loopback: new Set(options.loopback ?? LOOPBACK_SOURCES),
  });
}

/** Whether service `key` may hold this port at all. */
export function mayHoldPort(rules: TableRules, key: string, port: number): boolean {
  const reserved = rules.reservedPorts.get(port);
  if (reserved !== undefined) return reserved.has(key);
  return port >= rules.ports.from && port <= rules.ports.to;
}

/** What a match is called where people read it. */
export function matchText(match: Match): string {
  switch (match.by) {
    case "host":
      return `Host ${match.host}`;
    case "path":
      return `Path ${match.host}${match.prefix}`;
    case "headers":
      return `Header ${match.all.map(([name, value]) => `${name}: ${value}`).join(" and ")}`;
    case "serverName":
      return `TLS server name ${match.name}`;
    case "port":
      return `Port ${match.port}`;
  }
}

/** Whether the options still allow what was claimed in an earlier life of the gate. */
export function mayClaim(rules: TableRules, claim: Claim): boolean {
  const { match, service } = claim;
  if (match.by === "port") return mayHoldPort(rules, service, match.port);
  if (match.listener !== rules.listener) return false;
  if (match.by === "path") return rules.pathHosts.includes(match.host);
  if (match.by !== "host") return true;
  if (match.host === rules.gateHost) return isGateService(service);
  return !rules.pathHosts.includes(match.host) && match.host !== rules.tlsDomain;
}
