import {
  bool,
  boolValue,
  duration,
  enumeration,
  field,
  message,
  repeated,
  string,
  uint32Value,
  uint64Value,
} from "../kit.ts";
import type { Value } from "../kit.ts";
import { Percent, TypedExtensionConfig } from "./core.ts";
import { StringMatcher } from "./matcher.ts";

/** Options of HTTP/1.1, HTTP/2, HTTP/3 and QUIC. */

export const QuicKeepAliveSettings = message("envoy.config.core.v3.QuicKeepAliveSettings", {
  maxInterval: duration(1),
  initialInterval: duration(2),
});
export type QuicKeepAliveSettings = Value<typeof QuicKeepAliveSettings>;

export const QuicProtocolOptions = message("envoy.config.core.v3.QuicProtocolOptions", {
  maxConcurrentStreams: uint32Value(1),
  initialStreamWindowSize: uint32Value(2),
  initialConnectionWindowSize: uint32Value(3),
  numTimeoutsToTriggerPortMigration: uint32Value(4),
  connectionKeepalive: field(5, QuicKeepAliveSettings),
  connectionOptions: string(6),
  clientConnectionOptions: string(7),
  idleNetworkTimeout: duration(8),
  maxPacketLength: uint64Value(9),
  clientPacketWriter: field(10, TypedExtensionConfig),
  memoryReductionTimeout: duration(12),
});
export type QuicProtocolOptions = Value<typeof QuicProtocolOptions>;

export const UpstreamHttpProtocolOptions = message("envoy.config.core.v3.UpstreamHttpProtocolOptions", {
  autoSni: bool(1),
  autoSanValidation: bool(2),
  overrideAutoSniHeader: string(3),
});
export type UpstreamHttpProtocolOptions = Value<typeof UpstreamHttpProtocolOptions>;

export const HttpProtocolOptions = message("envoy.config.core.v3.HttpProtocolOptions", {
  idleTimeout: duration(1),
  maxConnectionDuration: duration(3),
  maxHeadersCount: uint32Value(2),
  maxResponseHeadersKb: uint32Value(7),
  maxStreamDuration: duration(4),
  headersWithUnderscoresAction: enumeration(5, { ALLOW: 0, REJECT_REQUEST: 1, DROP_HEADER: 2 }),
  maxRequestsPerConnection: uint32Value(6),
  maxConnectionDurationJitter: field(8, Percent),
});
export type HttpProtocolOptions = Value<typeof HttpProtocolOptions>;

export const ProperCaseWords = message("envoy.config.core.v3.Http1ProtocolOptions.HeaderKeyFormat.ProperCaseWords", {});

export const HeaderKeyFormat = message("envoy.config.core.v3.Http1ProtocolOptions.HeaderKeyFormat", {
  properCaseWords: field(1, ProperCaseWords),
  statefulFormatter: field(8, TypedExtensionConfig),
});
export type HeaderKeyFormat = Value<typeof HeaderKeyFormat>;

export const Http1ProtocolOptions = message("envoy.config.core.v3.Http1ProtocolOptions", {
  allowAbsoluteUrl: boolValue(1),
  acceptHttp10: bool(2),
  defaultHostForHttp10: string(3),
  headerKeyFormat: field(4, HeaderKeyFormat),
  enableTrailers: bool(5),
  allowChunkedLength: bool(6),
  overrideStreamErrorOnInvalidHttpMessage: boolValue(7),
  sendFullyQualifiedUrl: bool(8),
  ignoreHttp11Upgrade: repeated(field(11, StringMatcher)),
});
export type Http1ProtocolOptions = Value<typeof Http1ProtocolOptions>;

export const KeepaliveSettings = message("envoy.config.core.v3.KeepaliveSettings", {
  interval: duration(1),
  timeout: duration(2),
  intervalJitter: field(3, Percent),
  connectionIdleInterval: duration(4),
});
export type KeepaliveSettings = Value<typeof KeepaliveSettings>;

export const Http2ProtocolOptions = message("envoy.config.core.v3.Http2ProtocolOptions", {
  hpackTableSize: uint32Value(1),
  maxConcurrentStreams: uint32Value(2),
  initialStreamWindowSize: uint32Value(3),
  initialConnectionWindowSize: uint32Value(4),
  allowConnect: bool(5),
  maxOutboundFrames: uint32Value(7),
  maxOutboundControlFrames: uint32Value(8),
  maxConsecutiveInboundFramesWithEmptyPayload: uint32Value(9),
  maxInboundPriorityFramesPerStream: uint32Value(10),
  maxInboundWindowUpdateFramesPerDataFrameSent: uint32Value(11),
  overrideStreamErrorOnInvalidHttpMessage: boolValue(14),
  connectionKeepalive: field(15, KeepaliveSettings),
  maxMetadataSize: uint64Value(17),
  enableHuffmanEncoding: boolValue(18),
  maxHeaderFieldSizeKb: uint32Value(19),
  disallowObsText: boolValue(20),
  streamResetBurst: uint64Value(21),
  streamResetRate: uint64Value(22),
});
export type Http2ProtocolOptions = Value<typeof Http2ProtocolOptions>;

export const Http3ProtocolOptions = message("envoy.config.core.v3.Http3ProtocolOptions", {
  quicProtocolOptions: field(1, QuicProtocolOptions),
  overrideStreamErrorOnInvalidHttpMessage: boolValue(2),
  allowExtendedConnect: bool(5),
  disableConnectionFlowControlForStreams: bool(8),
  disallowObsText: boolValue(9),
});
export type Http3ProtocolOptions = Value<typeof Http3ProtocolOptions>;

export const SchemeHeaderTransformation = message("envoy.config.core.v3.SchemeHeaderTransformation", {
  schemeToOverwrite: string(1),
  matchUpstream: bool(2),
});
export type SchemeHeaderTransformation = Value<typeof SchemeHeaderTransformation>;
