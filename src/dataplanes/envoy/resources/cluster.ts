import type { Address, Route } from "../../../model/index.ts";
import { pack, type Struct } from "../proto/kit.ts";
import { UpstreamProtocolOptions, type Cluster } from "../proto/tables/cluster.ts";
import { UpstreamCodec } from "../proto/tables/http-filters.ts";
import { clusterName, isRaw } from "./cluster-name.ts";
import { healthChecks, outlierDetection } from "./cluster-health.ts";
import { BUFFER_BYTES, extension, FROM_GATE, seconds } from "./envoy-json.ts";
import { assignmentName } from "./load-assignment.ts";
import { ownAddressFilters } from "./own-address-filters.ts";
import type { TranslateSettings } from "./settings.ts";
import { isSticky } from "../../sticky-cookie.ts";
import { frameMarker } from "../authz/frame-marker.ts";
import { STICKY_SUBSETS, stickyWriter } from "./sticky-subsets.ts";
import { upstreamSocket } from "./upstream-socket.ts";

/** So many are drawn by lot, of which the one with the fewest requests is taken: of a few endpoints never another one. */
const CHOICES = 32;
const PROTOCOL_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
/** Envoy's own way to say that there is no bound. */
export const UNBOUNDED = 1_000_000_000;
/** How long a connection that nobody uses is kept to a job: less than what common servers keep them (5 s), so that none dies under a request. */
const KEPT_MS = 4000;
/**
 * Servers end a connection on which many streams are broken off (CVE-2023-44487; Node's after 1000 at once), and with it everybody's calls:
 * so no visitor gets to break off as many on one.
 */
const CALLS_PER_CONNECTION = 500;

/**
 * The cluster of one route. Nothing of it follows from endpoints, but for services whose certificates must name their addresses:
 * `addresses` is of the endpoints of those.
 */
export function translateCluster(route: Route, addresses: readonly Address[], settings: TranslateSettings): Cluster {
  const { policy, protocol, upstream, replica } = route;
  const { limits, site } = settings;
  const outliers = outlierDetection(limits, isSticky(route));
  const checks = healthChecks(policy.activeHealth, route);
  const slowStartMs = policy.slowStartMs ?? limits.slowStart;
  const own = settings.metadata(route);
  return {
    name: clusterName(route, site),
    type: "EDS",
    edsClusterConfig: { edsConfig: FROM_GATE, serviceName: assignmentName(upstream, replica) },
    connectTimeout: seconds(policy.connectTimeoutMs ?? limits.connectTime),
    perConnectionBufferLimitBytes: BUFFER_BYTES,
    lbPolicy: "LEAST_REQUEST",
    leastRequestLbConfig: { choiceCount: CHOICES, ...(slowStartMs > 0 && slowStart(slowStartMs)) },
    ...(isSticky(route) && { lbSubsetConfig: STICKY_SUBSETS }),
    // What is not well is never tried: the gate says why nothing answers.
    commonLbConfig: {
      healthyPanicThreshold: { value: 0 },
      // Who stays is to be let go within its request: not a second later, with whatever else changed.
      ...(isSticky(route) && { updateMergeWindow: "0s" }),
    },
    circuitBreakers: { thresholds: [bounds(route, settings)] },
    ...(outliers !== undefined && { outlierDetection: outliers }),
    ...(checks.length > 0 && { healthChecks: checks, ignoreHealthOnHostRemoval: true }),
    ...(!isRaw(protocol) && {
      typedExtensionProtocolOptions: { [PROTOCOL_OPTIONS]: protocolOptions(route, own, settings) },
    }),
    ...upstreamSocket(route, addresses),
    metadata: { filterMetadata: { taskgate: own } },
  };
}

function slowStart(windowMs: number) {
  return { slowStartConfig: { slowStartWindow: seconds(windowMs), minWeightPercent: { value: 10 } } };
}

function bounds({ policy }: Route, { limits }: TranslateSettings) {
  const own = [policy.maxRequests ?? 0, limits.requestsPerService, limits.requests].filter((bound) => bound > 0);
  const most = Math.min(UNBOUNDED, ...own);
  // Of HTTP/1.1 each request under way has a connection, and waits for it before.
  return { maxConnections: UNBOUNDED, maxPendingRequests: most, maxRequests: most, maxRetries: UNBOUNDED };
}

function protocolOptions(route: Route, own: Struct, settings: TranslateSettings) {
  const { limits, site } = settings;
  const { protocol, policy } = route;
  const filters = [
    ...ownAddressFilters(route, site),
    ...[stickyWriter(route, site), frameMarker(own)].filter((filter) => filter !== undefined),
  ];
  return pack(UpstreamProtocolOptions, {
    commonHttpProtocolOptions: {
      idleTimeout: seconds(KEPT_MS),
      maxHeadersCount: limits.headerFields,
      maxResponseHeadersKb: Math.ceil(limits.headerBytes / 1024),
      ...(protocol === "grpc" && { maxRequestsPerConnection: CALLS_PER_CONNECTION }),
      // Its first bytes name a visitor: it can serve no other.
      ...(policy.proxyProtocol !== undefined && { maxRequestsPerConnection: 1 }),
    },
    explicitHttpConfig:
      protocol === "grpc" ? { http2ProtocolOptions: HTTP2 } : { httpProtocolOptions: { enableTrailers: true } },
    outlierDetection: NO_ANSWER_IS_AN_ERROR,
    ...(filters.length > 0 && {
      httpFilters: [...filters, extension("envoy.filters.http.upstream_codec", UpstreamCodec, {})],
    }),
  });
}

/** What a service answers is its own affair, also with 502. */
const NO_ANSWER_IS_AN_ERROR = { errorMatcher: { notMatch: { anyMatch: true } } };
const HTTP2 = { initialStreamWindowSize: 1024 * 1024, initialConnectionWindowSize: 8 * 1024 * 1024 };
