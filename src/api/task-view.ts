import type { MergedTask } from "../core/table-state.ts";
import { endpointKey } from "../dataplanes/dataplane.ts";
import {
  addressText,
  hostPort,
  originOf,
  OWNER_ONLY,
  serviceKey,
  whoText,
  type Access,
  type Anyone,
  type Endpoint,
  type Problem,
  type Route,
  type Service,
  type Site,
  type SourceState,
} from "../model/index.ts";
import type { ServiceView, TaskView } from "./wire.ts";

/** What a plane saw of an endpoint, by `endpointKey`. */
export type PlaneHealth = (key: string) => "healthy" | "unhealthy" | undefined;

export interface TaskViewInput {
  readonly merged: MergedTask;
  /** undefined: nothing is known of the source. */
  readonly sourceState: SourceState | undefined;
  readonly routesOf: (serviceKey: string) => readonly Route[];
  /** Of this task and its services. */
  readonly problems: readonly Problem[];
  readonly site: Site;
  /** The gate runs it. */
  readonly controllable: boolean;
  readonly removable: boolean;
  readonly planeHealth?: PlaneHealth;
}

/** One task as its visitors are told of it. */
export function viewTask(input: TaskViewInput): TaskView {
  const { merged, sourceState, problems, controllable, removable } = input;
  const { task, provider, key } = merged;
  return {
    name: task.name,
    id: key,
    provider,
    kind: task.kind,
    owner: task.owner?.name ?? null,
    state: task.state,
    reason: task.reason ?? null,
    startedAt: task.startedAt ?? null,
    staleSince: sourceState?.state === "stale" ? sourceState.since : null,
    controllable,
    manageable: true,
    removable,
    services: task.services.filter(isListed).map((service) => viewService(service, input)),
    problems: problems.map(({ subject, code, message }) => ({ subject, code, message })),
  };
}

/** Keys of all that a plane may have to say about the endpoints of a task. */
export function planeKeysOf(merged: MergedTask, routesOf: TaskViewInput["routesOf"]): string[] {
  const { task, provider } = merged;
  return task.services.flatMap((service) => {
    const routes = routesOf(serviceKey(provider, task.id, service.name));
    return (task.endpoints[service.name] ?? []).flatMap((endpoint) => planeKeys(endpoint, routes));
  });
}

function isListed({ awaited }: Service): boolean {
  return awaited !== true;
}

function viewService(service: Service, input: TaskViewInput): ServiceView {
  const { merged, site } = input;
  const routes = input.routesOf(serviceKey(merged.provider, merged.task.id, service.name));
  const whole = routes.filter((route) => route.replica === undefined);
  const anyone = whole[0]?.access.anyone ?? (service.access ?? merged.task.access).anyone;
  return {
    name: service.name,
    protocol: service.protocol,
    ...wayIn(service, whole, site),
    forward: service.protocol === "tls" ? null : hostOf(whole),
    health: healthOf(service, routes, input),
    anyone,
    login: asksLogin(service, whole, anyone),
    sharedWith: sharedWith(whole[0]?.access ?? OWNER_ONLY),
    replicas: viewReplicas(service, routes, input),
  };
}

function sharedWith({ grants }: Access): string[] {
  return [...new Set(grants.map(({ to }) => ("link" in to ? `link:${to.link}` : whoText(to))))];
}

type WayIn = Pick<ServiceView, "url" | "host" | "port" | "dial">;

const NO_WAY_IN: WayIn = { url: null, host: null, port: null, dial: null };

function wayIn(service: Service, routes: readonly Route[], site: Site): WayIn {
  if (service.protocol === "http" || service.protocol === "grpc") return byHost(service, routes, site);
  for (const { match } of routes) {
    if (match.by === "port") {
      const { dial } = site;
      return { url: `tcp://${hostPort(dial, match.port)}`, host: dial, port: match.port, dial };
    }
    if (match.by === "serverName") {
      const url = `tls://${match.name}:${String(site.port)}`;
      return { url, host: match.name, port: site.port, dial: site.dial };
    }
  }
  return NO_WAY_IN;
}

function byHost(service: Service, routes: readonly Route[], site: Site): WayIn {
  const host = hostOf(routes);
  const port = (service.protocol === "grpc" ? site.grpcPort : undefined) ?? site.port;
  const at = { port, dial: site.dial };
  if (host !== null) return { url: originOf({ ...site, port }, host) + landing(service), host, ...at };
  const path = routes.find(({ match }) => match.by === "path")?.match;
  if (path?.by !== "path") return NO_WAY_IN;
  return { url: originOf(site, path.host) + path.prefix.replace(/\/$/, "") + landing(service), host: path.host, ...at };
}

function hostOf(routes: readonly Route[]): string | null {
  const match = routes.find((route) => route.match.by === "host")?.match;
  return match?.by === "host" ? match.host : null;
}

/** gRPC clients take an address without a path. */
function landing(service: Service): string {
  const path = service.landingPath ?? (service.protocol === "grpc" ? "" : "/");
  if (path === "") return "";
  return path.startsWith("/") ? path : `/${path}`;
}

function asksLogin(service: Service, routes: readonly Route[], anyone: Anyone): boolean {
  const raw = service.protocol === "tls" || routes.some((route) => route.match.by === "port");
  return !raw && service.guard === "gate" && anyone !== "public";
}

type HealthView = ServiceView["health"];

const BEST_FIRST: readonly HealthView[] = ["healthy", "unknown", "unhealthy"];

function healthOf(service: Service, routes: readonly Route[], input: TaskViewInput): HealthView {
  const { task } = input.merged;
  const seen = (task.endpoints[service.name] ?? []).map((endpoint) =>
    endpointHealth(endpoint, routes, input.planeHealth),
  );
  const best = BEST_FIRST.find((health) => seen.includes(health));
  return best ?? (task.state === "starting" ? "unknown" : "unhealthy");
}

/** What a plane saw can only make a provider's word worse, or fill in where it has none. */
function endpointHealth(endpoint: Endpoint, routes: readonly Route[], planeHealth?: PlaneHealth): HealthView {
  if (endpoint.health === "unhealthy" || endpoint.health === "draining") return "unhealthy";
  const seen = planeKeys(endpoint, routes).map((key) => planeHealth?.(key));
  if (seen.includes("unhealthy")) return "unhealthy";
  return seen.includes("healthy") ? "healthy" : endpoint.health;
}

function planeKeys(endpoint: Endpoint, routes: readonly Route[]): string[] {
  const mine = routes.filter((route) => route.replica === undefined || route.replica === endpoint.replica);
  const upstreams = new Set(mine.map((route) => route.upstream));
  return [...upstreams].map((upstream) => endpointKey(upstream, addressText(endpoint.address)));
}

function viewReplicas(service: Service, routes: readonly Route[], input: TaskViewInput): ServiceView["replicas"] {
  const endpoints = input.merged.task.endpoints[service.name] ?? [];
  if (endpoints.length < 2) return [];
  return endpoints.map((endpoint) => {
    const own = routes.filter((route) => route.replica === endpoint.replica);
    return {
      replica: endpoint.replica,
      health: endpointHealth(endpoint, own.length > 0 ? own : routes, input.planeHealth),
      url: wayIn(service, own, input.site).url,
    };
  });
}
