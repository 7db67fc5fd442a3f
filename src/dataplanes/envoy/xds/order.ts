import type { Resource } from "../resource.ts";

const PREFIX = "type.googleapis.com/envoy.";
const SECRET = `${PREFIX}extensions.transport_sockets.tls.v3.Secret`;
const CLUSTER = `${PREFIX}config.cluster.v3.Cluster`;
const ENDPOINTS = `${PREFIX}config.endpoint.v3.ClusterLoadAssignment`;
const LISTENER = `${PREFIX}config.listener.v3.Listener`;
const ROUTES = `${PREFIX}config.route.v3.RouteConfiguration`;
const EXTENSION = `${PREFIX}config.core.v3.TypedExtensionConfig`;

/** What is referred to comes before what refers to it, so that nothing leads to what an Envoy does not have yet: make before break. */
const COMING = [SECRET, CLUSTER, ENDPOINTS, LISTENER, ROUTES, EXTENSION];
/** And goes after it. An Envoy that has lost a cluster asks for its endpoints no more, and need not be told of them. */
const GOING = [LISTENER, ROUTES, EXTENSION, CLUSTER, ENDPOINTS, SECRET];

/** Those that an Envoy asks for by itself, all there are; others it asks for by names that stand in these. */
export const ROOT_TYPES: readonly string[] = [CLUSTER, LISTENER];

/** Types in which resources come. */
export function comingRank(url: string): number {
  const rank = COMING.indexOf(url);
  return rank < 0 ? COMING.length : rank;
}

/** Types in which they go. */
export function goingRank(url: string): number {
  return GOING.indexOf(url);
}

/**
 * Type that must be asked for before this one is told of, since what is told refers to it: Envoy asks for neither clusters nor more while
 * those that it has are warming, also on a new stream. null: none.
 */
export function askedBefore(url: string): string | null {
  return url === LISTENER || url === ROUTES ? CLUSTER : null;
}

/** Whether `url` never waits for `before`: a cluster is warm, and its Envoy done with it, only when it has its endpoints. */
export function passes(url: string, before: string): boolean {
  return url === ENDPOINTS && before === CLUSTER;
}

/**
 * Name of the endpoints that an Envoy has to be told again with this cluster: a new one, or a changed one, waits for them, but Envoy asks only
 * for those that it does not know (xDS protocol, "Resource warming").
 */
export function toldAgain({ type, name, body }: Pick<Resource, "type" | "name" | "body">): string | undefined {
  if (!CLUSTER.endsWith(type) || !("edsClusterConfig" in body)) return undefined;
  const { serviceName } = body.edsClusterConfig as { readonly serviceName?: string };
  return serviceName === undefined || serviceName === "" ? name : serviceName;
}

/** Type of what `toldAgain` names. */
export const TOLD_AGAIN = ENDPOINTS;
