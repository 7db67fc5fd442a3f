import { typeUrl } from "../proto/kit.ts";
import { Cluster } from "../proto/tables/cluster.ts";
import { TypedExtensionConfig } from "../proto/tables/core.ts";
import { ClusterLoadAssignment } from "../proto/tables/endpoint.ts";
import { Listener } from "../proto/tables/listener.ts";
import { RouteConfiguration } from "../proto/tables/route.ts";
import { Secret } from "../proto/tables/tls.ts";
import type { Resource } from "../resource.ts";

const SECRET = typeUrl(Secret);
const CLUSTER = typeUrl(Cluster);
const ENDPOINTS = typeUrl(ClusterLoadAssignment);
const LISTENER = typeUrl(Listener);
const ROUTES = typeUrl(RouteConfiguration);
const EXTENSION = typeUrl(TypedExtensionConfig);

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

/** Whether one resource of the type is of many sources: it is whole once all were heard. */
export function isOfMany(url: string): boolean {
  return url === ROUTES;
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
  if (type !== Cluster.name || !("edsClusterConfig" in body)) return undefined;
  const { serviceName } = body.edsClusterConfig as { readonly serviceName?: string };
  return serviceName === undefined || serviceName === "" ? name : serviceName;
}

/** Type of what `toldAgain` names. */
export const TOLD_AGAIN = ENDPOINTS;
