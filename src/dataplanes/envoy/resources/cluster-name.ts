import { hash } from "node:crypto";
import { matchKey, type Route, type Site } from "../../../model/index.ts";

/** Set on every request by the listener, and by the gate where it decides: the cluster that the request goes to. */
export const CLUSTER_HEADER = "x-tg-cluster";
/** Set by the gate where it decides, to the same: what it decided about is led there and nowhere else, whatever Envoy has for that path. */
export const DECIDED_HEADER = "x-tg-decided";
/** Before the Host of a request in the cluster's name. */
export const HOST_PREFIX = "tg/";
export const SERVER_NAME_PREFIX = "sni/";

/** Of CONNECT, in the place of all others: bytes go to the address that the gate names, never to what a service falls back to. */
export const TUNNEL_CLUSTER = "tunnel";
/** Set by the gate where it lets a tunnel pass: `IP:PORT` of its endpoint. */
export const TUNNEL_HEADER = "x-tg-tunnel";

/**
 * Cluster of a route. Public: both the listener and the gate spell it. That of a host has the port as browsers write it, so that Host need not
 * be changed to find it. Hosts of services that do not speak HTTP have none.
 */
export function clusterName({ match }: Pick<Route, "match">, site: Site): string {
  return clusterOfId(matchKey(match), site);
}

/** Whether a route has a cluster: raw services have one by port and server name alone. */
export function hasCluster({ match, protocol }: Pick<Route, "match" | "protocol">): boolean {
  return !isRaw(protocol) || match.by === "port" || match.by === "serverName";
}

/** Whether nothing but bytes goes to services of this protocol. */
export function isRaw(protocol: Route["protocol"]): boolean {
  return protocol === "tcp" || protocol === "tls";
}

/** Cluster of the route of this id, if it has one: of what is gone nothing else is known. */
export function clusterOfId(id: string, site: Site): string {
  const [by = "", first = "", second = "", ...prefix] = id.split(" ");
  switch (by) {
    case "host":
      return `${HOST_PREFIX}${second}${portOf(site)}`;
    case "path":
      return `path/${second}${prefix.join(" ")}`;
    case "serverName":
      return `${SERVER_NAME_PREFIX}${second}`;
    case "port":
      return `port/${first}`;
    default:
      return `headers/${hash("sha256", id, "hex").slice(0, 32)}`;
  }
}

/** Id of the route that a cluster is of, as far as its name says; undefined: it does not. */
export function routeIdOf(cluster: string, listener: string): string | undefined {
  const slash = cluster.indexOf("/");
  const rest = cluster.slice(slash + 1);
  switch (cluster.slice(0, slash)) {
    case "tg":
      return matchKey({ by: "host", listener, host: rest.replace(/:\d+$/, "") });
    case "path": {
      const [host = ""] = rest.split("/", 1);
      return matchKey({ by: "path", listener, host, prefix: rest.slice(host.length), strip: false });
    }
    case "sni":
      return matchKey({ by: "serverName", listener, name: rest });
    case "port":
      return matchKey({ by: "port", port: Number(rest) });
    default:
      return undefined;
  }
}

function portOf({ secure, port }: Site): string {
  return port === (secure ? 443 : 80) ? "" : `:${String(port)}`;
}
