import { isSticky, stickyCookie } from "../../sticky-cookie.ts";
import type { Route } from "../../../model/index.ts";
import { RouteConfiguration, type Route as EnvoyRoute, type VirtualHost } from "../proto/tables/route.ts";
import { clusterName } from "./cluster-name.ts";
import { seconds } from "./envoy-json.ts";
import { set } from "./header-options.ts";
import { decidedFor, repeatable, routeAction, ROUTES, translateRoutes, virtualHost } from "./route-configuration.ts";
import { STICKY_FILTER, stickyReaderConfig } from "./sticky-subsets.ts";
import type { BookDeps, Turn } from "./turn.ts";

/** Subject of what is nobody's service. */
const ENVOY = "envoy";

/**
 * The route configuration. Only what a cluster cannot say makes a virtual host of its own: paths of a host, a silence of its own. A change of
 * those sends all of them; a change of anything else sends nothing of it.
 */
export class RouteBook {
  readonly #deps: BookDeps;
  /** By host, by id: routes that need more than the default. */
  readonly #hosts = new Map<string, Map<string, Route>>();
  /** By id, of those: their host. */
  readonly #hostOf = new Map<string, string>();
  #changed = false;

  constructor(deps: BookDeps) {
    this.#deps = deps;
  }

  set(route: Route): void {
    const { id, match, policy } = route;
    const special = match.by === "path" || (match.by === "host" && policy.idleTimeoutMs !== undefined);
    if (!special) return this.remove(id);
    const routes = this.#hosts.get(match.host) ?? new Map<string, Route>();
    const before = routes.get(id);
    this.#hosts.set(match.host, routes.set(id, route));
    this.#hostOf.set(id, match.host);
    this.#changed ||= before === undefined || !sameRoutes(before, route);
  }

  remove(id: string): void {
    const host = this.#hostOf.get(id);
    if (host === undefined) return;
    const routes = this.#hosts.get(host);
    routes?.delete(id);
    if (routes?.size === 0) this.#hosts.delete(host);
    this.#hostOf.delete(id);
    this.#changed = true;
  }

  /** Once all of a turn is set and removed. */
  finish({ changes }: Pick<Turn, "changes">): void {
    if (this.#changed) this.publish(changes);
  }

  publish(changes: Turn["changes"]): void {
    this.#changed = false;
    const { settings } = this.#deps;
    const hosts = [...this.#hosts].sort(([a], [b]) => (a < b ? -1 : 1));
    const body = translateRoutes(settings, hosts.map(([host, routes]) => this.#virtualHost(host, [...routes.values()]))); // prettier-ignore
    changes.set(RouteConfiguration, { name: ROUTES, fleet: null, body, subject: ENVOY });
  }

  #virtualHost(host: string, routes: readonly Route[]): VirtualHost {
    const whole = routes.find(({ match }) => match.by === "host");
    const idle = idleOf(whole?.policy.idleTimeoutMs);
    const paths = byLength(routes).flatMap((route) => this.#pathRoutes(route));
    return virtualHost({ name: `host/${host}`, domain: host, paths, idle }, this.#deps.settings);
  }

  #pathRoutes(route: Route): EnvoyRoute[] {
    const { match, policy } = route;
    const { settings } = this.#deps;
    if (match.by !== "path") return [];
    const { prefix, strip } = match;
    const stripped = strip && prefix !== "/";
    const cluster = clusterName(route, settings.site);
    const forward: EnvoyRoute = {
      match: { prefix, headers: [decidedFor(cluster)] },
      route: {
        ...routeAction(settings),
        cluster,
        ...(stripped && { prefixRewrite: "/" }),
        ...idleOf(policy.idleTimeoutMs),
      },
      ...(stripped && { requestHeadersToAdd: [set("x-forwarded-prefix", prefix.slice(0, -1))] }),
      ...(isSticky(route) && {
        typedPerFilterConfig: { [STICKY_FILTER]: stickyReaderConfig(stickyCookie(settings.site, route)) },
      }),
    };
    if (prefix === "/") return repeatable(forward);
    const bare = { pathRedirect: prefix, responseCode: "PERMANENT_REDIRECT" } as const;
    return [{ match: { path: prefix.slice(0, -1) }, redirect: bare }, ...repeatable(forward)];
  }
}

/** A silence of its own, where there is one. */
function idleOf(ms: number | undefined) {
  return ms === undefined ? {} : { idleTimeout: seconds(ms) };
}

/** Longest prefix first, so that the closest one wins. */
function byLength(routes: readonly Route[]): Route[] {
  const prefixOf = ({ match }: Route) => (match.by === "path" ? match.prefix : "");
  return routes.toSorted((a, b) => {
    const [one, other] = [prefixOf(a), prefixOf(b)];
    return other.length - one.length || (one < other ? -1 : 1);
  });
}

/** All that virtual hosts follow from. */
function sameRoutes(a: Route, b: Route): boolean {
  const strips = ({ match }: Route) => match.by === "path" && match.strip;
  return (
    a.policy.idleTimeoutMs === b.policy.idleTimeoutMs &&
    isSticky(a) === isSticky(b) &&
    strips(a) === strips(b) &&
    a.service === b.service
  );
}
