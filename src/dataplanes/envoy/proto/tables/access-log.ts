import { any, bool, boolValue, duration, enumeration, field, message, repeated, string, uint32Value } from "../kit.ts";
import type { Value } from "../kit.ts";
import { MetadataKey, MetadataKind, MetadataMatcher } from "./matcher.ts";
import { FractionalPercent, RuntimeUInt32 } from "./core.ts";
import { HeaderMatcher } from "./route.ts";
import { ApiVersion, GrpcRetryPolicy, GrpcService } from "./config-source.ts";

/** envoy.config.accesslog.v3, the loggers that send by gRPC or write files, and envoy.type.tracing.v3. */

/** envoy.data.accesslog.v3.AccessLogType. */
export const AccessLogType = {
  NotSet: 0,
  TcpUpstreamConnected: 1,
  TcpPeriodic: 2,
  TcpConnectionStart: 14,
  TcpConnectionEnd: 3,
  DownstreamStart: 4,
  DownstreamPeriodic: 5,
  DownstreamEnd: 6,
  UpstreamPoolReady: 7,
  UpstreamPeriodic: 8,
  UpstreamEnd: 9,
  DownstreamTunnelSuccessfullyEstablished: 10,
  UdpTunnelUpstreamConnected: 11,
  UdpPeriodic: 12,
  UdpSessionEnd: 13,
} as const;

export const CustomTagLiteral = message("envoy.type.tracing.v3.CustomTag.Literal", {
  value: string(1),
});
export type CustomTagLiteral = Value<typeof CustomTagLiteral>;

export const CustomTagEnvironment = message("envoy.type.tracing.v3.CustomTag.Environment", {
  name: string(1),
  defaultValue: string(2),
});
export type CustomTagEnvironment = Value<typeof CustomTagEnvironment>;

export const CustomTagHeader = message("envoy.type.tracing.v3.CustomTag.Header", {
  name: string(1),
  defaultValue: string(2),
});
export type CustomTagHeader = Value<typeof CustomTagHeader>;

export const CustomTagMetadata = message("envoy.type.tracing.v3.CustomTag.Metadata", {
  kind: field(1, MetadataKind),
  metadataKey: field(2, MetadataKey),
  defaultValue: string(3),
});
export type CustomTagMetadata = Value<typeof CustomTagMetadata>;

export const CustomTag = message("envoy.type.tracing.v3.CustomTag", {
  tag: string(1),
  literal: field(2, CustomTagLiteral),
  environment: field(3, CustomTagEnvironment),
  requestHeader: field(4, CustomTagHeader),
  metadata: field(5, CustomTagMetadata),
  value: string(6),
});
export type CustomTag = Value<typeof CustomTag>;

export const ComparisonFilter = message("envoy.config.accesslog.v3.ComparisonFilter", {
  op: enumeration(1, { EQ: 0, GE: 1, LE: 2, NE: 3 }),
  value: field(2, RuntimeUInt32),
});
export type ComparisonFilter = Value<typeof ComparisonFilter>;

export const StatusCodeFilter = message("envoy.config.accesslog.v3.StatusCodeFilter", {
  comparison: field(1, ComparisonFilter),
});
export type StatusCodeFilter = Value<typeof StatusCodeFilter>;

export const DurationFilter = message("envoy.config.accesslog.v3.DurationFilter", {
  comparison: field(1, ComparisonFilter),
});
export type DurationFilter = Value<typeof DurationFilter>;

export const NotHealthCheckFilter = message("envoy.config.accesslog.v3.NotHealthCheckFilter", {});

export const TraceableFilter = message("envoy.config.accesslog.v3.TraceableFilter", {});

export const RuntimeFilter = message("envoy.config.accesslog.v3.RuntimeFilter", {
  runtimeKey: string(1),
  percentSampled: field(2, FractionalPercent),
  useIndependentRandomness: bool(3),
});
export type RuntimeFilter = Value<typeof RuntimeFilter>;

export const AndFilter = message("envoy.config.accesslog.v3.AndFilter", {
  get filters() {
    return repeated(field(1, AccessLogFilter));
  },
});
export type AndFilter = Value<typeof AndFilter>;

export const OrFilter = message("envoy.config.accesslog.v3.OrFilter", {
  get filters() {
    return repeated(field(2, AccessLogFilter));
  },
});
export type OrFilter = Value<typeof OrFilter>;

export const HeaderFilter = message("envoy.config.accesslog.v3.HeaderFilter", {
  header: field(1, HeaderMatcher),
});
export type HeaderFilter = Value<typeof HeaderFilter>;

export const ResponseFlagFilter = message("envoy.config.accesslog.v3.ResponseFlagFilter", {
  flags: repeated(string(1)),
});
export type ResponseFlagFilter = Value<typeof ResponseFlagFilter>;

export const GrpcStatusFilter = message("envoy.config.accesslog.v3.GrpcStatusFilter", {
  statuses: repeated(
    enumeration(1, {
      OK: 0,
      CANCELED: 1,
      UNKNOWN: 2,
      INVALID_ARGUMENT: 3,
      DEADLINE_EXCEEDED: 4,
      NOT_FOUND: 5,
      ALREADY_EXISTS: 6,
      PERMISSION_DENIED: 7,
      RESOURCE_EXHAUSTED: 8,
      FAILED_PRECONDITION: 9,
      ABORTED: 10,
      OUT_OF_RANGE: 11,
      UNIMPLEMENTED: 12,
      INTERNAL: 13,
      UNAVAILABLE: 14,
      DATA_LOSS: 15,
      UNAUTHENTICATED: 16,
    }),
  ),
  exclude: bool(2),
});
export type GrpcStatusFilter = Value<typeof GrpcStatusFilter>;

export const ExtensionFilter = message("envoy.config.accesslog.v3.ExtensionFilter", {
  name: string(1),
  typedConfig: any(3),
});
export type ExtensionFilter = Value<typeof ExtensionFilter>;

export const MetadataFilter = message("envoy.config.accesslog.v3.MetadataFilter", {
  matcher: field(1, MetadataMatcher),
  matchIfKeyNotFound: boolValue(2),
});
export type MetadataFilter = Value<typeof MetadataFilter>;

export const LogTypeFilter = message("envoy.config.accesslog.v3.LogTypeFilter", {
  types: repeated(enumeration(1, AccessLogType)),
  exclude: bool(2),
});
export type LogTypeFilter = Value<typeof LogTypeFilter>;

export const AccessLogFilter = message("envoy.config.accesslog.v3.AccessLogFilter", {
  statusCodeFilter: field(1, StatusCodeFilter),
  durationFilter: field(2, DurationFilter),
  notHealthCheckFilter: field(3, NotHealthCheckFilter),
  traceableFilter: field(4, TraceableFilter),
  runtimeFilter: field(5, RuntimeFilter),
  andFilter: field(6, AndFilter),
  orFilter: field(7, OrFilter),
  headerFilter: field(8, HeaderFilter),
  responseFlagFilter: field(9, ResponseFlagFilter),
  grpcStatusFilter: field(10, GrpcStatusFilter),
  extensionFilter: field(11, ExtensionFilter),
  metadataFilter: field(12, MetadataFilter),
  logTypeFilter: field(13, LogTypeFilter),
});
export type AccessLogFilter = Value<typeof AccessLogFilter>;

export const AccessLog = message("envoy.config.accesslog.v3.AccessLog", {
  name: string(1),
  filter: field(2, AccessLogFilter),
  typedConfig: any(4),
});
export type AccessLog = Value<typeof AccessLog>;

export const CommonGrpcAccessLogConfig = message("envoy.extensions.access_loggers.grpc.v3.CommonGrpcAccessLogConfig", {
  logName: string(1),
  grpcService: field(2, GrpcService),
  transportApiVersion: enumeration(6, ApiVersion),
  bufferFlushInterval: duration(3),
  bufferSizeBytes: uint32Value(4),
  filterStateObjectsToLog: repeated(string(5)),
  grpcStreamRetryPolicy: field(7, GrpcRetryPolicy),
  customTags: repeated(field(8, CustomTag)),
});
export type CommonGrpcAccessLogConfig = Value<typeof CommonGrpcAccessLogConfig>;

export const HttpGrpcAccessLogConfig = message("envoy.extensions.access_loggers.grpc.v3.HttpGrpcAccessLogConfig", {
  commonConfig: field(1, CommonGrpcAccessLogConfig),
  additionalRequestHeadersToLog: repeated(string(2)),
  additionalResponseHeadersToLog: repeated(string(3)),
  additionalResponseTrailersToLog: repeated(string(4)),
});
export type HttpGrpcAccessLogConfig = Value<typeof HttpGrpcAccessLogConfig>;

export const TcpGrpcAccessLogConfig = message("envoy.extensions.access_loggers.grpc.v3.TcpGrpcAccessLogConfig", {
  commonConfig: field(1, CommonGrpcAccessLogConfig),
});
export type TcpGrpcAccessLogConfig = Value<typeof TcpGrpcAccessLogConfig>;
