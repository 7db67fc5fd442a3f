import { matchKey, type Route, type RouteTable } from "../model/index.ts";

/** The route that a host (lower case, without port) and a path lead to, as planes look it up: the longest path prefix, else the host's own. */
export function findRoute(table: RouteTable, listener: string, host: string, path: string): Route | undefined {
  const pathname = path.split("?", 1)[0] ?? path;
  for (let at = pathname.lastIndexOf("/"); at >= 0; at = at === 0 ? -1 : pathname.lastIndexOf("/", at - 1)) {
    const prefix = pathname.slice(0, at + 1);
    const route = table.routes.get(matchKey({ by: "path", listener, host, prefix, strip: true }));
    if (route !== undefined) return route;
  }
  return table.routes.get(matchKey({ by: "host", listener, host }));
}
