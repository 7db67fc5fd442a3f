import {
  any,
  bool,
  boolValue,
  duration,
  enumeration,
  field,
  message,
  repeated,
  string,
  uint32,
  uint32Value,
} from "../kit.ts";
import type { Value } from "../kit.ts";
import { ConfigSource, ExtensionConfigSource } from "./config-source.ts";
import { CidrRange } from "./address.ts";
import { AccessLog, AccessLogFilter } from "./access-log.ts";
import { DataSource, HeaderValueOption, Percent, SubstitutionFormatString, TypedExtensionConfig } from "./core.ts";
import { HeaderMutationRule, RouteConfiguration } from "./route.ts";
import {
  Http1ProtocolOptions,
  Http2ProtocolOptions,
  Http3ProtocolOptions,
  HttpProtocolOptions,
  SchemeHeaderTransformation,
} from "./protocol.ts";
import { Matcher } from "./xds-matcher.ts";

/** envoy.extensions.filters.network.http_connection_manager.v3, with its extensions. */

/** envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.ForwardClientCertDetails. */
export const ForwardClientCertDetails = {
  SANITIZE: 0,
  FORWARD_ONLY: 1,
  APPEND_FORWARD: 2,
  SANITIZE_SET: 3,
  ALWAYS_FORWARD_ONLY: 4,
} as const;

export const Rds = message("envoy.extensions.filters.network.http_connection_manager.v3.Rds", {
  configSource: field(1, ConfigSource),
  routeConfigName: string(2),
});
export type Rds = Value<typeof Rds>;

export const HttpFilter = message("envoy.extensions.filters.network.http_connection_manager.v3.HttpFilter", {
  name: string(1),
  typedConfig: any(4),
  configDiscovery: field(5, ExtensionConfigSource),
  isOptional: bool(6),
  disabled: bool(7),
});
export type HttpFilter = Value<typeof HttpFilter>;

export const HcmAccessLogOptions = message(
  "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.HcmAccessLogOptions",
  {
    accessLogFlushInterval: duration(1),
    flushAccessLogOnNewRequest: bool(2),
    flushLogOnTunnelSuccessfullyEstablished: bool(3),
  },
);
export type HcmAccessLogOptions = Value<typeof HcmAccessLogOptions>;

export const InternalAddressConfig = message(
  "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.InternalAddressConfig",
  {
    unixSockets: bool(1),
    cidrRanges: repeated(field(2, CidrRange)),
  },
);
export type InternalAddressConfig = Value<typeof InternalAddressConfig>;

export const SetCurrentClientCertDetails = message(
  "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.SetCurrentClientCertDetails",
  {
    subject: boolValue(1),
    cert: bool(3),
    chain: bool(6),
    dns: bool(4),
    uri: bool(5),
  },
);
export type SetCurrentClientCertDetails = Value<typeof SetCurrentClientCertDetails>;

export const HttpConnectionManagerUpgradeConfig = message(
  "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.UpgradeConfig",
  {
    upgradeType: string(1),
    filters: repeated(field(2, HttpFilter)),
    enabled: boolValue(3),
  },
);
export type HttpConnectionManagerUpgradeConfig = Value<typeof HttpConnectionManagerUpgradeConfig>;

export const RequestIDExtension = message(
  "envoy.extensions.filters.network.http_connection_manager.v3.RequestIDExtension",
  {
    typedConfig: any(1),
  },
);
export type RequestIDExtension = Value<typeof RequestIDExtension>;

export const ResponseMapper = message("envoy.extensions.filters.network.http_connection_manager.v3.ResponseMapper", {
  filter: field(1, AccessLogFilter),
  statusCode: uint32Value(2),
  body: field(3, DataSource),
  bodyFormatOverride: field(4, SubstitutionFormatString),
  headersToAdd: repeated(field(5, HeaderValueOption)),
});
export type ResponseMapper = Value<typeof ResponseMapper>;

export const LocalReplyConfig = message(
  "envoy.extensions.filters.network.http_connection_manager.v3.LocalReplyConfig",
  {
    mappers: repeated(field(1, ResponseMapper)),
    bodyFormat: field(2, SubstitutionFormatString),
  },
);
export type LocalReplyConfig = Value<typeof LocalReplyConfig>;

export const ProxyStatusConfig = message(
  "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.ProxyStatusConfig",
  {
    removeDetails: bool(1),
    removeConnectionTerminationDetails: bool(2),
    removeResponseFlags: bool(3),
    setRecommendedResponseCode: bool(4),
    useNodeId: bool(5),
    literalProxyName: string(6),
  },
);
export type ProxyStatusConfig = Value<typeof ProxyStatusConfig>;

export const ForwardProtoConfig = message(
  "envoy.extensions.filters.network.http_connection_manager.v3.ForwardProtoConfig",
  {
    httpsDestinationPorts: repeated(uint32(1)),
    httpDestinationPorts: repeated(uint32(2)),
  },
);
export type ForwardProtoConfig = Value<typeof ForwardProtoConfig>;

export const HttpConnectionManager = message(
  "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
  {
    codecType: enumeration(1, { AUTO: 0, HTTP1: 1, HTTP2: 2, HTTP3: 3 }),
    statPrefix: string(2),
    rds: field(3, Rds),
    routeConfig: field(4, RouteConfiguration),
    httpFilters: repeated(field(5, HttpFilter)),
    addUserAgent: boolValue(6),
    commonHttpProtocolOptions: field(35, HttpProtocolOptions),
    http1SafeMaxConnectionDuration: bool(58),
    httpProtocolOptions: field(8, Http1ProtocolOptions),
    http2ProtocolOptions: field(9, Http2ProtocolOptions),
    http3ProtocolOptions: field(44, Http3ProtocolOptions),
    serverName: string(10),
    serverHeaderTransformation: enumeration(34, { OVERWRITE: 0, APPEND_IF_ABSENT: 1, PASS_THROUGH: 2 }),
    schemeHeaderTransformation: field(48, SchemeHeaderTransformation),
    maxRequestHeadersKb: uint32Value(29),
    streamIdleTimeout: duration(24),
    streamFlushTimeout: duration(59),
    requestTimeout: duration(28),
    requestHeadersTimeout: duration(41),
    drainTimeout: duration(12),
    delayedCloseTimeout: duration(26),
    accessLog: repeated(field(13, AccessLog)),
    accessLogOptions: field(56, HcmAccessLogOptions),
    useRemoteAddress: boolValue(14),
    xffNumTrustedHops: uint32(19),
    originalIpDetectionExtensions: repeated(field(46, TypedExtensionConfig)),
    earlyHeaderMutationExtensions: repeated(field(52, TypedExtensionConfig)),
    internalAddressConfig: field(25, InternalAddressConfig),
    skipXffAppend: bool(21),
    via: string(22),
    generateRequestId: boolValue(15),
    preserveExternalRequestId: bool(32),
    alwaysSetRequestIdInResponse: bool(37),
    forwardClientCertDetails: enumeration(16, ForwardClientCertDetails),
    setCurrentClientCertDetails: field(17, SetCurrentClientCertDetails),
    forwardClientCertMatcher: field(60, Matcher),
    proxy100Continue: bool(18),
    upgradeConfigs: repeated(field(23, HttpConnectionManagerUpgradeConfig)),
    normalizePath: boolValue(30),
    mergeSlashes: bool(33),
    pathWithEscapedSlashesAction: enumeration(45, {
      IMPLEMENTATION_SPECIFIC_DEFAULT: 0,
      KEEP_UNCHANGED: 1,
      REJECT_REQUEST: 2,
      UNESCAPE_AND_REDIRECT: 3,
      UNESCAPE_AND_FORWARD: 4,
    }),
    requestIdExtension: field(36, RequestIDExtension),
    localReplyConfig: field(38, LocalReplyConfig),
    stripMatchingHostPort: bool(39),
    stripAnyHostPort: bool(42),
    streamErrorOnInvalidHttpMessage: boolValue(40),
    stripTrailingHostDot: bool(47),
    proxyStatusConfig: field(49, ProxyStatusConfig),
    appendXForwardedPort: bool(51),
    appendLocalOverload: bool(57),
    addProxyProtocolConnectionState: boolValue(53),
    forwardProtoConfig: field(61, ForwardProtoConfig),
    drainTimeoutJitter: field(62, Percent),
  },
);
export type HttpConnectionManager = Value<typeof HttpConnectionManager>;

export const EarlyHeaderMutation = message(
  "envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation",
  {
    mutations: repeated(field(1, HeaderMutationRule)),
  },
);
export type EarlyHeaderMutation = Value<typeof EarlyHeaderMutation>;

export const XffConfig = message("envoy.extensions.http.original_ip_detection.xff.v3.XffConfig", {
  xffNumTrustedHops: uint32(1),
  skipXffAppend: boolValue(3),
});
export type XffConfig = Value<typeof XffConfig>;
