import type { LimitsConfig } from "../../../config/schema.ts";
import type { HeaderValueOption } from "../proto/tables/core.ts";
import {
  type HeaderMatcher,
  PreviousHosts,
  PreviousPriorities,
  type Route as EnvoyRoute,
  type RetryPolicy,
  type RouteAction,
  type RouteConfiguration,
  type VirtualHost,
} from "../proto/tables/route.ts";
import { ID_HEADER } from "../../route-index.ts";
import { FRONT_PROTO_HEADER, LOGIN_HEADER, LOOKED_AT_HEADER } from "../authz/names.ts";
import { CLUSTER_HEADER, DECIDED_HEADER, TUNNEL_CLUSTER } from "./cluster-name.ts";
import { extension, seconds } from "./envoy-json.ts";
import { set } from "./header-options.ts";
import { CAME_PLAIN_STATUS, LOOP_STATUS } from "./notice-replies.ts";
import type { TranslateSettings } from "./settings.ts";
import { STICKY_ORDER } from "./sticky-subsets.ts";

/** The one route configuration, of all listeners. */
export const ROUTES = "http";

/** What filters say to each other of a request, and by what it was led: no job sees it. */
export const OWN_REQUEST_FIELDS: readonly string[] = Object.freeze([
  CLUSTER_HEADER,
  DECIDED_HEADER,
  LOGIN_HEADER,
  LOOKED_AT_HEADER,
  FRONT_PROTO_HEADER,
  ID_HEADER,
  "x-envoy-external-address",
]);

/** `hosts`: those of services that need one of their own, in order of name. */
export function translateRoutes(settings: TranslateSettings, hosts: readonly VirtualHost[]): RouteConfiguration {
  return {
    name: ROUTES,
    virtualHosts: [...hosts, virtualHost({ name: "default", domain: "*" }, settings)],
    requestHeadersToAdd: forwardingFields(settings),
    requestHeadersToRemove: OWN_REQUEST_FIELDS,
    ...(settings.certificates > 0 &&
      settings.proxiesFrom.length === 0 && {
        // Where the same is spoken over QUIC; a job has no say in it.
        responseHeadersToAdd: [set("alt-svc", `h3=":${String(settings.site.port)}"; ma=86400`)],
      }),
    ignorePortInHostMatching: true,
    // Clusters come and go on their own: who asks for one that is not there is told so.
    validateClusters: false,
  };
}

type Idle = Pick<RouteAction, "idleTimeout">;

/** What may be asked for at a domain. `paths`: routes of services that have a path of it; `idle`: of all others. */
export function virtualHost(
  of: { readonly name: string; readonly domain: string; readonly paths?: readonly EnvoyRoute[]; readonly idle?: Idle },
  settings: TranslateSettings,
): VirtualHost {
  const { name, domain, paths = [], idle = {} } = of;
  return {
    name,
    domains: [domain],
    routes: [
      ...refusals(settings),
      ...sentToTls(settings),
      connectRoute(idle),
      ...paths,
      ...routesByHost(idle, settings),
    ],
    includeRequestAttemptCount: true,
  };
}

/** What comes back goes no further, and neither does a body that says that it is too large; one that does not say so is not counted. */
function refusals({ via, limits }: TranslateSettings): EnvoyRoute[] {
  // What every request is held against: no pattern, which costs more than all else of its route.
  const any = { prefix: "/" };
  const larger = { start: limits.bodyBytes + 1, end: LARGEST };
  return [
    {
      match: { ...any, headers: [{ name: "via", stringMatch: { contains: via } }] },
      directResponse: { status: LOOP_STATUS },
    },
    ...(limits.bodyBytes === 0
      ? []
      : [
          {
            match: { ...any, headers: [{ name: "content-length", rangeMatch: larger }] },
            directResponse: { status: 413 },
          },
        ]),
  ];
}

/** What came to a front without TLS where visitors are to speak it, and was let in without asking the gate: see `camePlain`. */
function sentToTls({ site: { secure, port }, fronts }: TranslateSettings): EnvoyRoute[] {
  if (!secure || fronts.from.length === 0) return [];
  const plain = { name: FRONT_PROTO_HEADER, stringMatch: { safeRegex: { regex: "(?i)(?:.*,)?[ \\t]*http[ \\t]*" } } };
  const read = { name: ":method", stringMatch: { safeRegex: { regex: "GET|HEAD" } } };
  const to = port === 443 ? {} : { portRedirect: port };
  const redirect = { httpsRedirect: true, ...to, responseCode: "PERMANENT_REDIRECT" as const };
  return [
    { match: { prefix: "/", headers: [plain, read] }, redirect },
    { match: { prefix: "/", headers: [plain] }, directResponse: { status: CAME_PLAIN_STATUS } },
  ];
}

/** Of 64 bits, with a sign. */
const LARGEST = "9223372036854775807";

/** All that may be asked for at a host but tunnels. */
function routesByHost(idle: Idle, settings: TranslateSettings): EnvoyRoute[] {
  const route = { ...routeAction(settings), clusterHeader: CLUSTER_HEADER, ...idle };
  return [
    {
      match: { prefix: "/", headers: KEYLESS_WEBSOCKET },
      route,
      requestHeadersToAdd: [WEBSOCKET_KEY],
      responseHeadersToRemove: ["sec-websocket-accept"],
    },
    ...repeatable({ match: { prefix: "/" }, route }),
    { match: { path: "*" }, route },
  ];
}

/** A route, and before it the same for what may be asked twice (RFC 9110 §9.2.1): also where a job broke off before it answered. */
export function repeatable(route: EnvoyRoute): EnvoyRoute[] {
  const { match, route: action } = route;
  const retryPolicy = { ...action?.retryPolicy, retryOn: `${UNSENT},reset` };
  return [
    { ...route, match: { ...match, headers: [...(match?.headers ?? []), ...SAFE] }, route: { ...action, retryPolicy } },
    route,
  ];
}

const SAFE: HeaderMatcher[] = [{ name: ":method", stringMatch: { safeRegex: { regex: "GET|HEAD|OPTIONS" } } }];
const KEYLESS_WEBSOCKET: HeaderMatcher[] = [
  { name: "upgrade", stringMatch: { exact: "websocket", ignoreCase: true } },
  { name: "sec-websocket-key", presentMatch: false },
];
/** When nothing that was sent can have happened twice. */
const UNSENT = "connect-failure,refused-stream,reset-before-request";

/** Over HTTP/2 and HTTP/3 there is none (RFC 8441 §5), and jobs that speak HTTP/1.1 want one. It guards nothing that TCP would not. */
const WEBSOCKET_KEY: HeaderValueOption = {
  header: { key: "sec-websocket-key", value: "dGFza2dhdGUgdGFza2dhdA==" },
  appendAction: "ADD_IF_ABSENT",
};

/** Nobody decided about it yet, or it was this cluster: what is known of paths here may be older or newer than what the gate went by. */
export function decidedFor(cluster: string): HeaderMatcher {
  const name = cluster.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");
  return {
    name: DECIDED_HEADER,
    stringMatch: { safeRegex: { regex: `(?:${name})?` } },
    treatMissingHeaderAsEmpty: true,
  };
}

/** Of CONNECT, before all others of a host. */
function connectRoute(idle: Idle): EnvoyRoute {
  return {
    match: { connectMatcher: {} },
    route: {
      cluster: TUNNEL_CLUSTER,
      timeout: "0s",
      ...idle,
      upgradeConfigs: [{ upgradeType: "CONNECT", connectConfig: {} }],
    },
  };
}

/** What holds wherever a request goes. There is no overall deadline but that of gRPC's own clients. */
export function routeAction({ limits }: TranslateSettings): RouteAction {
  return {
    clusterNotFoundResponseCode: "SERVICE_UNAVAILABLE",
    metadataMatch: STICKY_ORDER,
    // Only endpoints of services that ask for it have a name.
    autoHostRewrite: true,
    timeout: "0s",
    maxStreamDuration: { grpcTimeoutHeaderMax: "0s" },
    retryPolicy: retryPolicy(limits),
  };
}

const BACK_OFF_MS = 25;

/** Another endpoint, and at last the gate, where nothing that was sent can have happened twice. */
function retryPolicy(limits: LimitsConfig): RetryPolicy {
  return {
    retryOn: UNSENT,
    numRetries: limits.tries,
    retryHostPredicate: [extension("envoy.retry_host_predicates.previous_hosts", PreviousHosts, {})],
    hostSelectionRetryMaxAttempts: 3,
    // The last try is the gate, which says why.
    retryPriority: extension("envoy.retry_priorities.previous_priorities", PreviousPriorities, {
      updateFrequency: limits.tries,
    }),
    // Not at once: by then it is known which endpoints are not well.
    retryBackOff: { baseInterval: seconds(BACK_OFF_MS), maxInterval: seconds(4 * BACK_OFF_MS) },
  };
}

/** Who came, by what, and to where, as the gate saw it. RFC 7239 §6: an address with a port may stand there, and an IPv6 one needs its brackets. */
function forwardingFields({ site, via }: TranslateSettings): HeaderValueOption[] {
  const proto = site.secure ? "https" : "http";
  return [
    set("x-forwarded-for", "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%"),
    set("x-forwarded-host", "%REQ(:authority)%"),
    set("x-forwarded-port", String(site.port)),
    set("x-forwarded-proto", proto),
    set("forwarded", `for="%DOWNSTREAM_REMOTE_ADDRESS%";host="%REQ(:authority)%";proto=${proto}`),
    { header: { key: "via", value: `%PROTOCOL% ${via}` }, appendAction: "APPEND_IF_EXISTS_OR_ADD" },
  ];
}
