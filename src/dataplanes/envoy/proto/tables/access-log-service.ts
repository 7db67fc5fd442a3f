import {
  any,
  bool,
  duration,
  enumeration,
  field,
  map,
  message,
  repeated,
  string,
  timestamp,
  uint32,
  uint32Value,
  uint64,
} from "../kit.ts";
import type { Value } from "../kit.ts";
import { Address } from "./address.ts";
import { Metadata, Node } from "./core.ts";
import { AccessLogType } from "./access-log.ts";
import { RequestMethod } from "./endpoint.ts";

/** Entries of the access log and the service that takes them: envoy.data.accesslog.v3, envoy.service.accesslog.v3. */

export const SubjectAltName = message("envoy.data.accesslog.v3.TLSProperties.CertificateProperties.SubjectAltName", {
  uri: string(1),
});
export type SubjectAltName = Value<typeof SubjectAltName>;

export const CertificateProperties = message("envoy.data.accesslog.v3.TLSProperties.CertificateProperties", {
  subjectAltName: repeated(field(1, SubjectAltName)),
  subject: string(2),
  issuer: string(3),
});
export type CertificateProperties = Value<typeof CertificateProperties>;

export const TLSProperties = message("envoy.data.accesslog.v3.TLSProperties", {
  tlsVersion: enumeration(1, { VERSION_UNSPECIFIED: 0, TLSv1: 1, TLSv1_1: 2, TLSv1_2: 3, TLSv1_3: 4 }),
  tlsCipherSuite: uint32Value(2),
  tlsSniHostname: string(3),
  localCertificateProperties: field(4, CertificateProperties),
  peerCertificateProperties: field(5, CertificateProperties),
  tlsSessionId: string(6),
  ja3Fingerprint: string(7),
});
export type TLSProperties = Value<typeof TLSProperties>;

export const Unauthorized = message("envoy.data.accesslog.v3.ResponseFlags.Unauthorized", {
  reason: enumeration(1, { REASON_UNSPECIFIED: 0, EXTERNAL_SERVICE: 1 }),
});
export type Unauthorized = Value<typeof Unauthorized>;

export const ResponseFlags = message("envoy.data.accesslog.v3.ResponseFlags", {
  failedLocalHealthcheck: bool(1),
  noHealthyUpstream: bool(2),
  upstreamRequestTimeout: bool(3),
  localReset: bool(4),
  upstreamRemoteReset: bool(5),
  upstreamConnectionFailure: bool(6),
  upstreamConnectionTermination: bool(7),
  upstreamOverflow: bool(8),
  noRouteFound: bool(9),
  delayInjected: bool(10),
  faultInjected: bool(11),
  rateLimited: bool(12),
  unauthorizedDetails: field(13, Unauthorized),
  rateLimitServiceError: bool(14),
  downstreamConnectionTermination: bool(15),
  upstreamRetryLimitExceeded: bool(16),
  streamIdleTimeout: bool(17),
  invalidEnvoyRequestHeaders: bool(18),
  downstreamProtocolError: bool(19),
  upstreamMaxStreamDurationReached: bool(20),
  responseFromCacheFilter: bool(21),
  noFilterConfigFound: bool(22),
  durationTimeout: bool(23),
  upstreamProtocolError: bool(24),
  noClusterFound: bool(25),
  overloadManager: bool(26),
  dnsResolutionFailure: bool(27),
  downstreamRemoteReset: bool(28),
});
export type ResponseFlags = Value<typeof ResponseFlags>;

export const AccessLogCommon = message("envoy.data.accesslog.v3.AccessLogCommon", {
  downstreamRemoteAddress: field(2, Address),
  downstreamLocalAddress: field(3, Address),
  tlsProperties: field(4, TLSProperties),
  startTime: timestamp(5),
  timeToLastRxByte: duration(6),
  timeToFirstUpstreamTxByte: duration(7),
  timeToLastUpstreamTxByte: duration(8),
  timeToFirstUpstreamRxByte: duration(9),
  timeToLastUpstreamRxByte: duration(10),
  timeToFirstDownstreamTxByte: duration(11),
  timeToLastDownstreamTxByte: duration(12),
  upstreamRemoteAddress: field(13, Address),
  upstreamLocalAddress: field(14, Address),
  upstreamCluster: string(15),
  responseFlags: field(16, ResponseFlags),
  metadata: field(17, Metadata),
  upstreamTransportFailureReason: string(18),
  routeName: string(19),
  downstreamDirectRemoteAddress: field(20, Address),
  filterStateObjects: map(any(21)),
  customTags: map(string(22)),
  duration: duration(23),
  upstreamRequestAttemptCount: uint32(24),
  connectionTerminationDetails: string(25),
  streamId: string(26),
  downstreamTransportFailureReason: string(28),
  downstreamWireBytesSent: uint64(29),
  downstreamWireBytesReceived: uint64(30),
  upstreamWireBytesSent: uint64(31),
  upstreamWireBytesReceived: uint64(32),
  accessLogType: enumeration(33, AccessLogType),
});
export type AccessLogCommon = Value<typeof AccessLogCommon>;

export const ConnectionProperties = message("envoy.data.accesslog.v3.ConnectionProperties", {
  receivedBytes: uint64(1),
  sentBytes: uint64(2),
});
export type ConnectionProperties = Value<typeof ConnectionProperties>;

export const TCPAccessLogEntry = message("envoy.data.accesslog.v3.TCPAccessLogEntry", {
  commonProperties: field(1, AccessLogCommon),
  connectionProperties: field(2, ConnectionProperties),
});
export type TCPAccessLogEntry = Value<typeof TCPAccessLogEntry>;

export const HTTPRequestProperties = message("envoy.data.accesslog.v3.HTTPRequestProperties", {
  requestMethod: enumeration(1, RequestMethod),
  scheme: string(2),
  authority: string(3),
  port: uint32Value(4),
  path: string(5),
  userAgent: string(6),
  referer: string(7),
  forwardedFor: string(8),
  requestId: string(9),
  originalPath: string(10),
  requestHeadersBytes: uint64(11),
  requestBodyBytes: uint64(12),
  requestHeaders: map(string(13)),
  upstreamHeaderBytesSent: uint64(14),
  downstreamHeaderBytesReceived: uint64(15),
});
export type HTTPRequestProperties = Value<typeof HTTPRequestProperties>;

export const HTTPResponseProperties = message("envoy.data.accesslog.v3.HTTPResponseProperties", {
  responseCode: uint32Value(1),
  responseHeadersBytes: uint64(2),
  responseBodyBytes: uint64(3),
  responseHeaders: map(string(4)),
  responseTrailers: map(string(5)),
  responseCodeDetails: string(6),
  upstreamHeaderBytesReceived: uint64(7),
  downstreamHeaderBytesSent: uint64(8),
});
export type HTTPResponseProperties = Value<typeof HTTPResponseProperties>;

export const HTTPAccessLogEntry = message("envoy.data.accesslog.v3.HTTPAccessLogEntry", {
  commonProperties: field(1, AccessLogCommon),
  protocolVersion: enumeration(2, { PROTOCOL_UNSPECIFIED: 0, HTTP10: 1, HTTP11: 2, HTTP2: 3, HTTP3: 4 }),
  request: field(3, HTTPRequestProperties),
  response: field(4, HTTPResponseProperties),
});
export type HTTPAccessLogEntry = Value<typeof HTTPAccessLogEntry>;

export const Identifier = message("envoy.service.accesslog.v3.StreamAccessLogsMessage.Identifier", {
  node: field(1, Node),
  logName: string(2),
});
export type Identifier = Value<typeof Identifier>;

export const HTTPAccessLogEntries = message("envoy.service.accesslog.v3.StreamAccessLogsMessage.HTTPAccessLogEntries", {
  logEntry: repeated(field(1, HTTPAccessLogEntry)),
});
export type HTTPAccessLogEntries = Value<typeof HTTPAccessLogEntries>;

export const TCPAccessLogEntries = message("envoy.service.accesslog.v3.StreamAccessLogsMessage.TCPAccessLogEntries", {
  logEntry: repeated(field(1, TCPAccessLogEntry)),
});
export type TCPAccessLogEntries = Value<typeof TCPAccessLogEntries>;

export const StreamAccessLogsMessage = message("envoy.service.accesslog.v3.StreamAccessLogsMessage", {
  identifier: field(1, Identifier),
  httpLogs: field(2, HTTPAccessLogEntries),
  tcpLogs: field(3, TCPAccessLogEntries),
});
export type StreamAccessLogsMessage = Value<typeof StreamAccessLogsMessage>;
