import { GATE_PATH, isGateService, type Changed, type RequestHead, type Route } from "../model/index.ts";
import { parseHost } from "./parse-host.ts";

/** Replaces the host for clients that cannot set one. */
export const ID_HEADER = "x-taskgate-service";

export type Found =
  | {
      readonly kind: "route";
      readonly route: Route;
      /** Path mode: what the job does not see of the path, `/nb/`; null: it sees all. */
      readonly strip: string | null;
      /** The path is the prefix without its last slash: the visitor belongs at the prefix. */
      readonly bare: string | null;
      /** The path belongs to the gate: no job ever gets it. */
      readonly gatePath: boolean;
    }
  /** Nothing has this name. */
  | { readonly kind: "unknown" }
  /** Host and header name different services. */
  | { readonly kind: "misdirected" };

interface HostEntry {
  route: Route | null;
  readonly paths: Map<string, Route>;
  /** Most slashes in any prefix so far: bounds the look-ups for hostile paths. */
  depth: number;
}

type HeadersMatch = Extract<Route["match"], { by: "headers" }>;

/** Which route a request takes. Kept by change; every look-up is a few Map accesses, whatever the size of the table. */
export class RouteIndex {
  readonly #domain: string;
  readonly #routes = new Map<string, Route>();
  readonly #hosts = new Map<string, HostEntry>();
  readonly #ports = new Map<number, Route>();
  readonly #serverNames = new Map<string, Route>();
  /** By name and value of the first pair. */
  readonly #headers = new Map<string, Set<Route>>();
  /** How many routes ask for that name as their first pair. */
  readonly #headerNames = new Map<string, number>();
  readonly #services = new Map<string, number>();

  constructor(domain: string) {
    this.#domain = domain;
  }

  /** Routes by port, for who opens those ports. */
  get ports(): ReadonlyMap<number, Route> {
    return this.#ports;
  }

  /** Names of the fields by which routes are found, in lower case: one of each route's, without which none takes it. */
  get headerNames(): readonly string[] {
    return [...this.#headerNames.keys()];
  }

  hasService(service: string): boolean {
    return this.#services.has(service);
  }

  /** Gives back the routes, as they were, that went away or now lead elsewhere: what is open there must end. */
  apply(changed: Changed<Route>): readonly Route[] {
    const lost: Route[] = [];
    for (const id of changed.removed) {
      const before = this.#routes.get(id);
      if (before === undefined) continue;
      this.#remove(before);
      lost.push(before);
    }
    for (const route of changed.set) {
      const before = this.#routes.get(route.id);
      if (before !== undefined) {
        this.#remove(before);
        if (before.service !== route.service || before.upstream !== route.upstream) lost.push(before);
      }
      this.#add(route);
    }
    return lost;
  }

  /** One look-up: what it gives is what is authorised and what is routed. */
  find(head: RequestHead): Found {
    const host = parseHost(head.host);
    const entry = host === null ? undefined : this.#hosts.get(host);
    const named = this.#named(head);
    if (entry === undefined) return named === null ? UNKNOWN : named === "unknown" ? UNKNOWN : whole(named, head.path);
    const found = findInHost(entry, head.path);
    if (named === null) return found;
    // The header may repeat what Host says, no more: a header that wins over Host is how one service's login opens another.
    return found.kind === "route" && named !== "unknown" && sameGoal(found.route, named) ? found : MISDIRECTED;
  }

  /** Who is passed TLS through to. */
  findServerName(name: string): Route | null {
    return this.#serverNames.get(name) ?? null;
  }

  /** The host's own route, for CONNECT. */
  findHost(host: string): Route | null {
    return this.#hosts.get(host)?.route ?? null;
  }

  /** What the headers name: null where they name nothing, "unknown" where they name nothing that is here. */
  #named(head: RequestHead): Route | "unknown" | null {
    const id = head.header(ID_HEADER);
    const byId = id === undefined ? null : (this.#byId(id) ?? "unknown");
    const byHeaders = this.#byHeaders(head);
    if (byId === null || byHeaders === null) return byId ?? byHeaders;
    return byId !== "unknown" && sameGoal(byId, byHeaders) ? byId : "unknown";
  }

  #byId(id: string): Route | null {
    const host = parseHost(id.trim());
    if (host === null) return null;
    const route = this.findHost(`${host}.${this.#domain}`) ?? this.findHost(host);
    // The gate's own answers by its own name alone: a page that rebound its name to this machine can send headers, too.
    return route === null || isGateService(route.service) ? null : route;
  }

  #byHeaders(head: RequestHead): Route | null {
    let best: Route | null = null;
    for (const name of this.#headerNames.keys()) {
      const value = head.header(name);
      if (value === undefined) continue;
      for (const route of this.#headers.get(pairKey(name, value)) ?? []) {
        if (matchesAll(route, head) && (best === null || isCloser(route, best))) best = route;
      }
    }
    return best;
  }

  #add(route: Route): void {
    this.#routes.set(route.id, route);
    this.#services.set(route.service, (this.#services.get(route.service) ?? 0) + 1);
    const { match } = route;
    switch (match.by) {
      case "host":
        this.#host(match.host).route = route;
        break;
      case "path": {
        const entry = this.#host(match.host);
        entry.paths.set(match.prefix, route);
        entry.depth = Math.max(entry.depth, match.prefix.split("/").length);
        break;
      }
      case "port":
        this.#ports.set(match.port, route);
        break;
      case "headers":
        this.#addHeaders(route, match);
        break;
      case "serverName":
        this.#serverNames.set(match.name, route);
        break;
    }
  }

  #remove(route: Route): void {
    this.#routes.delete(route.id);
    const left = (this.#services.get(route.service) ?? 1) - 1;
    if (left > 0) this.#services.set(route.service, left);
    else this.#services.delete(route.service);
    const { match } = route;
    switch (match.by) {
      case "host":
      case "path": {
        const entry = this.#host(match.host);
        if (match.by === "host") entry.route = null;
        else entry.paths.delete(match.prefix);
        if (entry.route === null && entry.paths.size === 0) this.#hosts.delete(match.host);
        break;
      }
      case "port":
        this.#ports.delete(match.port);
        break;
      case "headers":
        this.#removeHeaders(route, match);
        break;
      case "serverName":
        this.#serverNames.delete(match.name);
        break;
    }
  }

  #host(host: string): HostEntry {
    let entry = this.#hosts.get(host);
    if (entry === undefined) this.#hosts.set(host, (entry = { route: null, paths: new Map(), depth: 0 }));
    return entry;
  }

  #addHeaders(route: Route, match: HeadersMatch): void {
    const [name, value] = firstPair(match);
    const key = pairKey(name, value);
    let routes = this.#headers.get(key);
    if (routes === undefined) this.#headers.set(key, (routes = new Set()));
    routes.add(route);
    this.#headerNames.set(name, (this.#headerNames.get(name) ?? 0) + 1);
  }

  #removeHeaders(route: Route, match: HeadersMatch): void {
    const [name, value] = firstPair(match);
    const key = pairKey(name, value);
    const routes = this.#headers.get(key);
    routes?.delete(route);
    if (routes?.size === 0) this.#headers.delete(key);
    const left = (this.#headerNames.get(name) ?? 1) - 1;
    if (left > 0) this.#headerNames.set(name, left);
    else this.#headerNames.delete(name);
  }
}

const UNKNOWN: Found = Object.freeze({ kind: "unknown" });
const MISDIRECTED: Found = Object.freeze({ kind: "misdirected" });
/** `/.taskgate`: with and without the last slash. */
const GATE_DIRECTORY = GATE_PATH.slice(0, -1);

function findInHost(entry: HostEntry, path: string): Found {
  const pathname = pathnameOf(path);
  if (entry.paths.size > 0) {
    const found = findByPrefix(entry, pathname);
    if (found !== null) return found;
  }
  return entry.route === null ? UNKNOWN : whole(entry.route, path);
}

/** Longest prefix first. */
function findByPrefix(entry: HostEntry, pathname: string): Found | null {
  const bare = entry.paths.get(`${pathname}/`);
  if (bare !== undefined) return inPrefix(bare, `${pathname}/`, pathname, true);
  const slashes: number[] = [];
  for (let at = pathname.indexOf("/"); at >= 0 && slashes.length < entry.depth; at = pathname.indexOf("/", at + 1))
    slashes.push(at);
  for (const at of slashes.reverse()) {
    const prefix = pathname.slice(0, at + 1);
    const route = entry.paths.get(prefix);
    if (route !== undefined) return inPrefix(route, prefix, pathname, false);
  }
  return null;
}

function inPrefix(route: Route, prefix: string, pathname: string, bare: boolean): Found {
  const strip = route.match.by === "path" && route.match.strip && prefix !== "/" ? prefix : null;
  const below = bare ? "/" : pathname.slice(prefix.length - 1);
  return { kind: "route", route, strip, bare: bare ? prefix : null, gatePath: isGatePath(route, below) };
}

function whole(route: Route, path: string): Found {
  return { kind: "route", route, strip: null, bare: null, gatePath: isGatePath(route, pathnameOf(path)) };
}

function isGatePath(route: Route, pathname: string): boolean {
  if (isGateService(route.service)) return false; // the gate's own service is who answers there
  return pathname === GATE_DIRECTORY || pathname.startsWith(GATE_PATH);
}

function pathnameOf(path: string): string {
  const query = path.indexOf("?");
  return query < 0 ? path : path.slice(0, query);
}

function sameGoal(a: Route, b: Route): boolean {
  return a.service === b.service && a.upstream === b.upstream;
}

function firstPair(match: HeadersMatch): readonly [string, string] {
  const [name, value] = match.all[0] ?? ["", ""];
  return [name.toLowerCase(), value];
}

function pairKey(name: string, value: string): string {
  return `${name}:${value}`; // a field name holds no colon
}

function matchesAll(route: Route, head: RequestHead): boolean {
  return (
    route.match.by === "headers" && route.match.all.every(([name, value]) => head.header(name.toLowerCase()) === value)
  );
}

/** More pairs win; then the id decides, so that the order of changes never does. */
function isCloser(a: Route, b: Route): boolean {
  const pairs = (route: Route) => (route.match.by === "headers" ? route.match.all.length : 0);
  return pairs(a) === pairs(b) ? a.id < b.id : pairs(a) > pairs(b);
}
