import { GATE_PROVIDER, hostPort } from "../model/index.ts";
import { isLoopback } from "../platform/target-check.ts";
import { checkAccess } from "./check-access.ts";
import { checkEnvoy } from "./check-envoy.ts";
import { dotted } from "./config-keys.ts";
import type { Finding } from "./describe-issue.ts";
import type { Config } from "./schema.ts";
import { hostsOf } from "./site.ts";
import { clash, type HostPort, type PortRange } from "./units.ts";

/** Sections that are right by themselves; a check whose sections are not there does not run. */
export type Sections = Partial<Config>;

/** Names that a configured provider cannot have: providers of the gate's own. */
const RESERVED_PROVIDERS: readonly string[] = [GATE_PROVIDER, "local"];

/** A label of 63 characters and a dot go before the domain, and a host name has 253 at most. */
const LONGEST_DOMAIN = 253 - 64;

/** What is wrong between keys: all that the schema cannot say. No I/O. */
export function checkConfig(sections: Sections): Finding[] {
  return [
    checkListen,
    checkPublic,
    checkAdmin,
    checkHosts,
    checkTcpPorts,
    checkClash,
    checkTcpServices,
    checkProviders,
    checkLogin,
    checkAccess,
    checkEnvoy,
  ].flatMap((check) => check(sections));
}

function finding(path: readonly PropertyKey[], message: string): Finding {
  return { path, key: path.map(String).join("."), message };
}

function checkListen({ listen }: Sections): Finding[] {
  if (listen === undefined || listen.tls !== undefined || listen.plainOnPublicAddress) return [];
  if (isLoopback(listen.address.host)) return [];
  return [
    finding(
      ["listen", "address"],
      `${spell(listen.address)} is not loopback, and without listen.tls logins and sessions would cross the network unencrypted: ` +
        "set listen.tls, listen on 127.0.0.1, or set listen.plainOnPublicAddress to true if something before the gate speaks TLS",
    ),
  ];
}

function checkPublic({ listen }: Sections): Finding[] {
  if (listen?.public?.scheme !== "http" || listen.tls === undefined) return [];
  const message = "is http, and with listen.tls visitors speak https to the gate: expected https";
  return [finding(["listen", "public", "scheme"], message)];
}

function checkAdmin({ admin }: Sections): Finding[] {
  if (admin === undefined || !admin.enabled || admin.tokenFile !== undefined || isLoopback(admin.address.host))
    return [];
  const message = `${spell(admin.address)} is not loopback: metrics and health checks ask nobody who they are; expected 127.0.0.1:PORT, or admin.tokenFile`;
  return [finding(["admin", "address"], message)];
}

function checkHosts({ domain, ...sections }: Sections): Finding[] {
  // An absent host is right: it has its default.
  if (domain === undefined) return [];
  const { gateHost, pathHost } = hostsOf({ domain, gateHost: sections.gateHost, pathHost: sections.pathHost });
  const found: Finding[] = [];
  if (domain.length > LONGEST_DOMAIN) {
    found.push(finding(["domain"], `has ${domain.length} characters; NAME.DOMAIN leaves it ${LONGEST_DOMAIN} at most`));
  }
  if (gateHost === pathHost) {
    const message = `is the gate's own host, ${gateHost}: services in path mode share an origin, and must not share the gate's`;
    found.push(finding([sections.pathHost === undefined ? "gateHost" : "pathHost"], message));
  }
  for (const [key, host] of Object.entries({ gateHost, pathHost })) {
    if (isWithin(host, `tls.${domain}`)) {
      found.push(finding([key], `${host} is within tls.${domain}, where TLS services are passed through`));
    }
  }
  return found;
}

function checkTcpPorts({ listen, admin, tcp }: Sections): Finding[] {
  if (tcp === undefined) return [];
  const { from, to } = tcp.ports;
  const own = { "listen.address": listen?.address.port, "admin.address": admin?.enabled ? admin.address.port : 0 };
  return Object.entries(own)
    .filter(([, port]) => port !== undefined && isIn(tcp.ports, port))
    .map(([key, port]) => finding(["tcp", "ports"], `${from}-${to} holds ${String(port)}, the port of ${key}`));
}

function checkClash({ listen, admin }: Sections): Finding[] {
  if (listen === undefined || !admin?.enabled || !clash(listen.address, admin.address)) return [];
  return [finding(["admin", "address"], `${spell(admin.address)} is taken by listen.address; expected another port`)];
}

function checkTcpServices({ tcp }: Sections): Finding[] {
  if (tcp === undefined) return [];
  const { from, to } = tcp.ports;
  const holders = new Map<number, string>();
  return Object.entries(tcp.services).flatMap(([service, port]) => {
    if (port === "auto") return [];
    const at = { path: ["tcp", "services", service], key: `tcp.services.${JSON.stringify(service)}` };
    if (!isIn(tcp.ports, port)) return [{ ...at, message: `${port} is not within tcp.ports, ${from}-${to}` }];
    const holder = holders.get(port);
    if (holder !== undefined) return [{ ...at, message: `${port} is the port of ${holder} already` }];
    holders.set(port, service);
    return [];
  });
}

function checkProviders({ files = [], providers = [] }: Sections): Finding[] {
  const named = [
    ...files.map(({ name }, index) => ({ name, list: "files", index })),
    ...providers.map(({ name }, index) => ({ name, list: "providers", index })),
  ];
  const names = new Set<string>();
  return named.flatMap(({ name, list, index }) => {
    const at = { path: [list, index, "name"], key: `${list}[${index}].name` };
    if (RESERVED_PROVIDERS.includes(name)) return [{ ...at, message: `${name} is a provider of the gate's own; expected another name` }]; // prettier-ignore
    if (names.has(name))
      return [{ ...at, message: `a provider before it has the name ${name}; expected another name` }];
    names.add(name);
    return [];
  });
}

function checkLogin({ login }: Sections): Finding[] {
  const names = new Set<string>();
  return (login?.methods ?? []).flatMap(({ name }, index) => {
    const path = ["login", "methods", index, "name"];
    const message = `a method before it has the name ${name}; expected another name`;
    if (names.has(name)) return [{ path, key: dotted(path), message }];
    names.add(name);
    return [];
  });
}

function isIn(range: PortRange, port: number): boolean {
  return port >= range.from && port <= range.to;
}

function isWithin(host: string, domain: string): boolean {
  return host === domain || host.endsWith(`.${domain}`);
}

function spell({ host, port }: HostPort): string {
  return hostPort(host, port);
}
