import { GATE_PROVIDER, type Access, type Exposure, type Match, type Service } from "../model/index.ts";
import { isHashLabel } from "./name-hosts.ts";
import { Unusable } from "./read-value.ts";
import type { TableRules } from "./table-rules.ts";

const LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
const HOST = /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/;
/** Field names are tokens (RFC 9110, section 5.1), here in lower case. */
const HEADER_NAME = /^[a-z0-9!#$%&'*+.^_`|~-]+$/;
const HEADER_VALUE = /^[\u0021-\u007e]([\u0020-\u007e]*[\u0021-\u007e])?$/;
/** `pchar` without percent-encoding (RFC 3986, section 3.3): two spellings of one path must not lead to two services. */
const SEGMENT = /^[A-Za-z0-9._~!$&'()*+,;=:@-]+$/;

/** Never what a route is found by: those of one connection (RFC 9110, section 7.6.1), of framing, and those that hold credentials. */
const FORBIDDEN_HEADERS: ReadonlySet<string> = new Set([
  ...[
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "content-length",
  ],
  ...["host", "authorization", "proxy-authorization", "cookie", "x-taskgate-authorization"],
]);

/** Who asks for an exposure. */
export interface Asking {
  readonly provider: string;
  readonly service: Service;
  /** Resolved. */
  readonly access: Access;
}

export type NameExposure = Exclude<Exposure, { by: "port" }>;

/** Whether whoever reaches this pass-through service may be let in without the gate's login, which TLS pass-through cannot carry. */
export function needsNoLogin(service: Service, access: Access): boolean {
  return service.guard === "self" || access.anyone === "public";
}

/** The match that an exposure asks for, if it may be had at all; whether it is free is for claims. Throws Unusable. */
export function grantExposure(exposure: NameExposure, asking: Asking, rules: TableRules): Match {
  const { listener } = rules;
  switch (exposure.by) {
    case "host":
      return { by: "host", listener, host: grantHost(exposure, asking, rules) };
    case "path": {
      const host = exposure.host ?? rules.pathHost;
      demandHttp(asking.service, "a path");
      demandOwnersAlone(asking.access, host);
      if (!rules.pathHosts.includes(host) || host === rules.gateHost) {
        throw new Unusable(`A path on host ${host} is not given; leave the host out, then it is on ${rules.pathHost}.`);
      }
      return { by: "path", listener, host, prefix: pathPrefix(exposure.prefix), strip: exposure.strip };
    }
    case "serverName":
      return { by: "serverName", listener, name: grantServerName(exposure.name, asking, rules) };
    case "headers":
      demandHttp(asking.service, "headers");
      return { by: "headers", listener, all: headerSet(exposure.all) };
  }
}

/** Why nobody gets this host by asking; null: it may be had. `label` is its first part. */
export function hostRefusal(label: string, host: string, rules: TableRules): string | null {
  if (host === rules.gateHost || rules.pathHosts.includes(host) || host === rules.tlsDomain) {
    return `Host ${host} belongs to the gate; choose another name.`;
  }
  if (isHashLabel(label)) return `Host ${host} has the form of a generated name; choose another name.`;
  return null;
}

function grantHost(exposure: Exposure & { by: "host" }, asking: Asking, rules: TableRules): string {
  const { label } = exposure;
  const domain = exposure.domain ?? rules.domain;
  const host = `${label}.${domain}`;
  if (asking.service.protocol === "tls") {
    throw new Unusable(`Host ${host} is not given to a tls service; ask for a serverName.`);
  }
  if (!LABEL.test(label)) throw new Unusable(`The host label is "${label}"; expected a DNS label such as nb.`);
  if (host === rules.gateHost && asking.provider === GATE_PROVIDER) return host;
  if (!rules.domains.has(domain)) {
    throw new Unusable(`Hosts under ${domain} are not given here; expected ${[...rules.domains].join(", ")}.`);
  }
  const refusal = hostRefusal(label, host, rules);
  if (refusal !== null) throw new Unusable(refusal);
  return host;
}

// Names that the gate answers for itself must never be passed through: that would hand a service's visitors to another one.
function grantServerName(name: string, asking: Asking, rules: TableRules): string {
  if (asking.service.protocol !== "tls") {
    throw new Unusable(
      `Server name ${name} is not given to a service that speaks ${asking.service.protocol}; only tls.`,
    );
  }
  if (!needsNoLogin(asking.service, asking.access)) {
    throw new Unusable(`Server name ${name} is not given: TLS that is passed through carries no login. Guard the service by itself, or use forward.`); // prettier-ignore
  }
  if (!HOST.test(name)) throw new Unusable(`The server name is "${name}"; expected a host name in lower case.`);
  const label = name.split(".", 1)[0] ?? "";
  if (name === `${label}.${rules.tlsDomain}` && !isHashLabel(label)) return name;
  const within = [...rules.domains, ...rules.pathHosts, rules.gateHost].find((host) => name === host || name.endsWith(`.${host}`)); // prettier-ignore
  if (within !== undefined) {
    throw new Unusable(`Server name ${name} is not given: names of ${within} are the gate's. Ask for one of *.${rules.tlsDomain}.`); // prettier-ignore
  }
  return name;
}

/** Services at paths share one origin, where scripts of one can do what its visitor may at all others: that is for nobody's guests. */
function demandOwnersAlone({ anyone, grants, authority }: Access, host: string): void {
  if (anyone === "nobody" && grants.length === 0 && authority === undefined) return;
  throw new Unusable(`A path on host ${host} is not given to a service that others may use: all that is there is one origin to a browser. Use the service's own host, or share it with nobody.`); // prettier-ignore
}

function demandHttp(service: Service, what: string): void {
  if (service.protocol === "http" || service.protocol === "grpc") return;
  throw new Unusable(`A service that speaks ${service.protocol} cannot be found by ${what}; only http and grpc.`);
}

/** Starts and ends with `/`, holds no segment that a server could resolve away. */
function pathPrefix(prefix: string): string {
  const segments = prefix.replace(/^\/|\/$/g, "").split("/");
  for (const segment of segments) {
    if (segment === "." || segment === ".." || !SEGMENT.test(segment)) {
      throw new Unusable(
        `The path prefix is "${prefix}"; expected one such as /nb/, without dot segments and escapes.`,
      );
    }
  }
  // Anywhere, not only in front: `/nb/.taskgate/` is where the login of who has `/nb/` comes back with its code.
  if (segments.some((segment) => segment.toLowerCase() === ".taskgate")) {
    throw new Unusable("Paths with a segment .taskgate belong to the gate.");
  }
  return `/${segments.join("/")}/`;
}

/** Sorted, so that equal conjunctions are equal. */
function headerSet(all: readonly (readonly [string, string])[]): readonly (readonly [string, string])[] {
  const sorted = all.map(([name, value]) => [name.toLowerCase(), value] as const).sort(([a], [b]) => (a < b ? -1 : 1)); // prettier-ignore
  if (sorted.length === 0) throw new Unusable("No header is named; expected at least one.");
  for (const [index, [name, value]] of sorted.entries()) {
    if (!HEADER_NAME.test(name) || FORBIDDEN_HEADERS.has(name)) {
      throw new Unusable(`Services are not found by header "${name}"; choose one that is the application's own.`);
    }
    if (!HEADER_VALUE.test(value)) throw new Unusable(`Header ${name} asks for a value that cannot be sent.`);
    if (name === sorted[index + 1]?.[0])
      throw new Unusable(`Header ${name} is named twice; expected every header once.`);
  }
  return sorted;
}
