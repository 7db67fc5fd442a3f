import {
  any,
  bool,
  boolValue,
  duration,
  enumeration,
  field,
  int32,
  int64,
  map,
  message,
  repeated,
  string,
  uint32,
  uint32Value,
  uint64Value,
} from "../kit.ts";
import type { Value } from "../kit.ts";
import {
  FilterStateMatcher,
  MetadataMatcher,
  RegexMatchAndSubstitute,
  RegexMatcher,
  StringMatcher,
} from "./matcher.ts";
import {
  DataSource,
  HeaderValueOption,
  Int64Range,
  Metadata,
  RuntimeFractionalPercent,
  SubstitutionFormatString,
  TypedExtensionConfig,
} from "./core.ts";
import { ProxyProtocolConfig } from "./address.ts";
import { Matcher } from "./xds-matcher.ts";

/** envoy.config.route.v3. */

/** envoy.config.core.v3.RoutingPriority. */
export const RoutingPriority = { DEFAULT: 0, HIGH: 1 } as const;

export const HeaderMutationRules = message("envoy.config.common.mutation_rules.v3.HeaderMutationRules", {
  allowAllRouting: boolValue(1),
  allowEnvoy: boolValue(2),
  disallowSystem: boolValue(3),
  disallowAll: boolValue(4),
  allowExpression: field(5, RegexMatcher),
  disallowExpression: field(6, RegexMatcher),
  disallowIsError: boolValue(7),
});
export type HeaderMutationRules = Value<typeof HeaderMutationRules>;

export const RemoveOnMatch = message("envoy.config.common.mutation_rules.v3.HeaderMutation.RemoveOnMatch", {
  keyMatcher: field(1, StringMatcher),
});
export type RemoveOnMatch = Value<typeof RemoveOnMatch>;

export const HeaderMutationRule = message("envoy.config.common.mutation_rules.v3.HeaderMutation", {
  remove: string(1),
  append: field(2, HeaderValueOption),
  removeOnMatch: field(3, RemoveOnMatch),
});
export type HeaderMutationRule = Value<typeof HeaderMutationRule>;

export const ConnectMatcher = message("envoy.config.route.v3.RouteMatch.ConnectMatcher", {});

export const HeaderMatcher = message("envoy.config.route.v3.HeaderMatcher", {
  name: string(1),
  rangeMatch: field(6, Int64Range),
  presentMatch: bool(7),
  stringMatch: field(13, StringMatcher),
  invertMatch: bool(8),
  treatMissingHeaderAsEmpty: bool(14),
});
export type HeaderMatcher = Value<typeof HeaderMatcher>;

export const QueryParameterMatcher = message("envoy.config.route.v3.QueryParameterMatcher", {
  name: string(1),
  stringMatch: field(5, StringMatcher),
  presentMatch: bool(6),
});
export type QueryParameterMatcher = Value<typeof QueryParameterMatcher>;

export const CookieMatcher = message("envoy.config.route.v3.CookieMatcher", {
  name: string(1),
  stringMatch: field(2, StringMatcher),
  invertMatch: bool(3),
});
export type CookieMatcher = Value<typeof CookieMatcher>;

export const GrpcRouteMatchOptions = message("envoy.config.route.v3.RouteMatch.GrpcRouteMatchOptions", {});

export const TlsContextMatchOptions = message("envoy.config.route.v3.RouteMatch.TlsContextMatchOptions", {
  presented: boolValue(1),
  validated: boolValue(2),
});
export type TlsContextMatchOptions = Value<typeof TlsContextMatchOptions>;

export const RouteMatch = message("envoy.config.route.v3.RouteMatch", {
  prefix: string(1),
  path: string(2),
  safeRegex: field(10, RegexMatcher),
  connectMatcher: field(12, ConnectMatcher),
  pathSeparatedPrefix: string(14),
  pathMatchPolicy: field(15, TypedExtensionConfig),
  caseSensitive: boolValue(4),
  runtimeFraction: field(9, RuntimeFractionalPercent),
  headers: repeated(field(6, HeaderMatcher)),
  queryParameters: repeated(field(7, QueryParameterMatcher)),
  cookies: repeated(field(17, CookieMatcher)),
  grpc: field(8, GrpcRouteMatchOptions),
  tlsContext: field(11, TlsContextMatchOptions),
  dynamicMetadata: repeated(field(13, MetadataMatcher)),
  filterState: repeated(field(16, FilterStateMatcher)),
});
export type RouteMatch = Value<typeof RouteMatch>;

export const RetryPriority = message("envoy.config.route.v3.RetryPolicy.RetryPriority", {
  name: string(1),
  typedConfig: any(3),
});
export type RetryPriority = Value<typeof RetryPriority>;

export const RetryHostPredicate = message("envoy.config.route.v3.RetryPolicy.RetryHostPredicate", {
  name: string(1),
  typedConfig: any(3),
});
export type RetryHostPredicate = Value<typeof RetryHostPredicate>;

export const RetryBackOff = message("envoy.config.route.v3.RetryPolicy.RetryBackOff", {
  baseInterval: duration(1),
  maxInterval: duration(2),
});
export type RetryBackOff = Value<typeof RetryBackOff>;

export const RetryPolicy = message("envoy.config.route.v3.RetryPolicy", {
  retryOn: string(1),
  numRetries: uint32Value(2),
  perTryTimeout: duration(3),
  perTryIdleTimeout: duration(13),
  retryPriority: field(4, RetryPriority),
  retryHostPredicate: repeated(field(5, RetryHostPredicate)),
  retryOptionsPredicates: repeated(field(12, TypedExtensionConfig)),
  hostSelectionRetryMaxAttempts: int64(6),
  retriableStatusCodes: repeated(uint32(7)),
  retryBackOff: field(8, RetryBackOff),
  retriableHeaders: repeated(field(9, HeaderMatcher)),
  retriableRequestHeaders: repeated(field(10, HeaderMatcher)),
  refreshClusterOnRetry: bool(14),
});
export type RetryPolicy = Value<typeof RetryPolicy>;

export const HashPolicyHeader = message("envoy.config.route.v3.RouteAction.HashPolicy.Header", {
  headerName: string(1),
  regexRewrite: field(2, RegexMatchAndSubstitute),
});
export type HashPolicyHeader = Value<typeof HashPolicyHeader>;

export const HashPolicyCookieAttribute = message("envoy.config.route.v3.RouteAction.HashPolicy.CookieAttribute", {
  name: string(1),
  value: string(2),
});
export type HashPolicyCookieAttribute = Value<typeof HashPolicyCookieAttribute>;

export const HashPolicyCookie = message("envoy.config.route.v3.RouteAction.HashPolicy.Cookie", {
  name: string(1),
  ttl: duration(2),
  path: string(3),
  attributes: repeated(field(4, HashPolicyCookieAttribute)),
});
export type HashPolicyCookie = Value<typeof HashPolicyCookie>;

export const HashPolicyConnectionProperties = message(
  "envoy.config.route.v3.RouteAction.HashPolicy.ConnectionProperties",
  {
    sourceIp: bool(1),
  },
);
export type HashPolicyConnectionProperties = Value<typeof HashPolicyConnectionProperties>;

export const HashPolicyQueryParameter = message("envoy.config.route.v3.RouteAction.HashPolicy.QueryParameter", {
  name: string(1),
});
export type HashPolicyQueryParameter = Value<typeof HashPolicyQueryParameter>;

export const HashPolicyFilterState = message("envoy.config.route.v3.RouteAction.HashPolicy.FilterState", {
  key: string(1),
});
export type HashPolicyFilterState = Value<typeof HashPolicyFilterState>;

export const HashPolicy = message("envoy.config.route.v3.RouteAction.HashPolicy", {
  header: field(1, HashPolicyHeader),
  cookie: field(2, HashPolicyCookie),
  connectionProperties: field(3, HashPolicyConnectionProperties),
  queryParameter: field(5, HashPolicyQueryParameter),
  filterState: field(6, HashPolicyFilterState),
  terminal: bool(4),
});
export type HashPolicy = Value<typeof HashPolicy>;

export const ConnectConfig = message("envoy.config.route.v3.RouteAction.UpgradeConfig.ConnectConfig", {
  proxyProtocolConfig: field(1, ProxyProtocolConfig),
  allowPost: bool(2),
});
export type ConnectConfig = Value<typeof ConnectConfig>;

export const RouteActionUpgradeConfig = message("envoy.config.route.v3.RouteAction.UpgradeConfig", {
  upgradeType: string(1),
  enabled: boolValue(2),
  connectConfig: field(3, ConnectConfig),
});
export type RouteActionUpgradeConfig = Value<typeof RouteActionUpgradeConfig>;

export const MaxStreamDuration = message("envoy.config.route.v3.RouteAction.MaxStreamDuration", {
  maxStreamDuration: duration(1),
  grpcTimeoutHeaderMax: duration(2),
  grpcTimeoutHeaderOffset: duration(3),
});
export type MaxStreamDuration = Value<typeof MaxStreamDuration>;

export const RouteAction = message("envoy.config.route.v3.RouteAction", {
  cluster: string(1),
  clusterHeader: string(2),
  clusterSpecifierPlugin: string(37),
  clusterNotFoundResponseCode: enumeration(20, { SERVICE_UNAVAILABLE: 0, NOT_FOUND: 1, INTERNAL_SERVER_ERROR: 2 }),
  metadataMatch: field(4, Metadata),
  prefixRewrite: string(5),
  regexRewrite: field(32, RegexMatchAndSubstitute),
  pathRewritePolicy: field(41, TypedExtensionConfig),
  pathRewrite: string(45),
  hostRewriteLiteral: string(6),
  autoHostRewrite: boolValue(7),
  hostRewriteHeader: string(29),
  hostRewritePathRegex: field(35, RegexMatchAndSubstitute),
  hostRewrite: string(44),
  appendXForwardedHost: bool(38),
  timeout: duration(8),
  idleTimeout: duration(24),
  flushTimeout: duration(42),
  earlyDataPolicy: field(40, TypedExtensionConfig),
  retryPolicy: field(9, RetryPolicy),
  priority: enumeration(11, RoutingPriority),
  hashPolicy: repeated(field(15, HashPolicy)),
  upgradeConfigs: repeated(field(25, RouteActionUpgradeConfig)),
  maxStreamDuration: field(36, MaxStreamDuration),
});
export type RouteAction = Value<typeof RouteAction>;

export const RedirectAction = message("envoy.config.route.v3.RedirectAction", {
  httpsRedirect: bool(4),
  schemeRedirect: string(7),
  hostRedirect: string(1),
  portRedirect: uint32(8),
  pathRedirect: string(2),
  prefixRewrite: string(5),
  regexRewrite: field(9, RegexMatchAndSubstitute),
  responseCode: enumeration(3, {
    MOVED_PERMANENTLY: 0,
    FOUND: 1,
    SEE_OTHER: 2,
    TEMPORARY_REDIRECT: 3,
    PERMANENT_REDIRECT: 4,
  }),
  stripQuery: bool(6),
  pathRewrite: string(10),
});
export type RedirectAction = Value<typeof RedirectAction>;

export const DirectResponseAction = message("envoy.config.route.v3.DirectResponseAction", {
  status: uint32(1),
  body: field(2, DataSource),
  bodyFormat: field(3, SubstitutionFormatString),
});
export type DirectResponseAction = Value<typeof DirectResponseAction>;

export const Route = message("envoy.config.route.v3.Route", {
  name: string(14),
  match: field(1, RouteMatch),
  route: field(2, RouteAction),
  redirect: field(3, RedirectAction),
  directResponse: field(7, DirectResponseAction),
  metadata: field(4, Metadata),
  typedPerFilterConfig: map(any(13)),
  requestHeadersToAdd: repeated(field(9, HeaderValueOption)),
  requestHeadersToRemove: repeated(string(12)),
  responseHeadersToAdd: repeated(field(10, HeaderValueOption)),
  responseHeadersToRemove: repeated(string(11)),
  statPrefix: string(19),
  requestBodyBufferLimit: uint64Value(20),
});
export type Route = Value<typeof Route>;

export const VirtualHost = message("envoy.config.route.v3.VirtualHost", {
  name: string(1),
  domains: repeated(string(2)),
  routes: repeated(field(3, Route)),
  matcher: field(21, Matcher),
  requireTls: enumeration(4, { NONE: 0, EXTERNAL_ONLY: 1, ALL: 2 }),
  requestHeadersToAdd: repeated(field(7, HeaderValueOption)),
  requestHeadersToRemove: repeated(string(13)),
  responseHeadersToAdd: repeated(field(10, HeaderValueOption)),
  responseHeadersToRemove: repeated(string(11)),
  typedPerFilterConfig: map(any(15)),
  includeRequestAttemptCount: bool(14),
  includeAttemptCountInResponse: bool(19),
  retryPolicy: field(16, RetryPolicy),
  includeIsTimeoutRetryHeader: bool(23),
  requestBodyBufferLimit: uint64Value(25),
  metadata: field(24, Metadata),
});
export type VirtualHost = Value<typeof VirtualHost>;

export const RouteConfiguration = message("envoy.config.route.v3.RouteConfiguration", {
  name: string(1),
  virtualHosts: repeated(field(2, VirtualHost)),
  internalOnlyHeaders: repeated(string(3)),
  responseHeadersToAdd: repeated(field(4, HeaderValueOption)),
  responseHeadersToRemove: repeated(string(5)),
  requestHeadersToAdd: repeated(field(6, HeaderValueOption)),
  requestHeadersToRemove: repeated(string(8)),
  mostSpecificHeaderMutationsWins: bool(10),
  validateClusters: boolValue(7),
  maxDirectResponseBodySizeBytes: uint32Value(11),
  ignorePortInHostMatching: bool(14),
  vhostHeader: string(18),
  ignorePathParametersInPathMatching: bool(15),
  typedPerFilterConfig: map(any(16)),
  metadata: field(17, Metadata),
});
export type RouteConfiguration = Value<typeof RouteConfiguration>;

export const FilterConfig = message("envoy.config.route.v3.FilterConfig", {
  config: any(1),
  isOptional: bool(2),
  disabled: bool(3),
});
export type FilterConfig = Value<typeof FilterConfig>;

export const PreviousPriorities = message(
  "envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig",
  {
    updateFrequency: int32(1),
  },
);
export type PreviousPriorities = Value<typeof PreviousPriorities>;

export const PreviousHosts = message("envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate", {});
