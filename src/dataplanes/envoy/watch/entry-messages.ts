import {
  bool,
  bytes,
  field,
  map,
  message,
  repeated,
  string,
  struct,
  uint32,
  uint64,
  type Value,
} from "../proto/kit.ts";

/**
 * Entries of the access log as this gate reads them: envoy.service.accesslog.v3 and envoy.data.accesslog.v3 without what nobody here looks at,
 * as there is one for each request. What all filters know of it stays bytes until somebody asks.
 */

/** google.protobuf.Duration and Timestamp, after 1970. */
const Time = message("taskgate.log.Time", { seconds: uint32(1), nanos: uint32(2) });
export type Time = Value<typeof Time>;

const SocketAddress = message("taskgate.log.SocketAddress", { address: string(2), portValue: uint32(3) });
const Pipe = message("taskgate.log.Pipe", { path: string(1) });
const InternalAddress = message("taskgate.log.InternalAddress", { serverListenerName: string(1) });
const LogAddress = message("taskgate.log.Address", {
  socketAddress: field(1, SocketAddress),
  pipe: field(2, Pipe),
  envoyInternalAddress: field(3, InternalAddress),
});
export type LogAddress = Value<typeof LogAddress>;

const Flags = message("taskgate.log.ResponseFlags", {
  noHealthyUpstream: bool(2),
  upstreamRequestTimeout: bool(3),
  upstreamRemoteReset: bool(5),
  upstreamConnectionFailure: bool(6),
  upstreamConnectionTermination: bool(7),
  upstreamOverflow: bool(8),
  noRouteFound: bool(9),
  downstreamConnectionTermination: bool(15),
  streamIdleTimeout: bool(17),
  upstreamMaxStreamDurationReached: bool(20),
  durationTimeout: bool(23),
  upstreamProtocolError: bool(24),
  noClusterFound: bool(25),
  overloadManager: bool(26),
  downstreamRemoteReset: bool(28),
});
export type Flags = Value<typeof Flags>;

/** AccessLogType. */
export const TYPE = Object.freeze({ tcpConnected: 1, tcpPeriodic: 2, tcpEnd: 3, periodic: 5, end: 6, upstreamEnd: 9 });

const Common = message("taskgate.log.AccessLogCommon", {
  remote: field(2, LogAddress),
  tls: bytes(4),
  start: field(5, Time),
  firstAnswerByte: field(9, Time),
  firstByteSent: field(11, Time),
  upstream: field(13, LogAddress),
  cluster: string(15),
  flags: field(16, Flags),
  /** core.v3.Metadata. */
  metadata: bytes(17),
  transportFailure: string(18),
  tags: map(string(22)),
  duration: field(23, Time),
  tries: uint32(24),
  streamId: string(26),
  type: uint32(33),
});
export type Common = Value<typeof Common>;

const Request = message("taskgate.log.HTTPRequestProperties", {
  scheme: string(2),
  authority: string(3),
  path: string(5),
  requestId: string(9),
  bodyBytes: uint64(12),
  headers: map(string(13)),
});

const Answer = message("taskgate.log.HTTPResponseProperties", {
  code: field(1, message("taskgate.log.UInt32Value", { value: uint32(1) })),
  bodyBytes: uint64(3),
  headers: map(string(4)),
  details: string(6),
});

export const HttpEntry = message("taskgate.log.HTTPAccessLogEntry", {
  common: field(1, Common),
  version: uint32(2),
  request: field(3, Request),
  answer: field(4, Answer),
});
export type HttpEntry = Value<typeof HttpEntry>;

const Connection = message("taskgate.log.ConnectionProperties", { received: uint64(1), sent: uint64(2) });

export const TcpEntry = message("taskgate.log.TCPAccessLogEntry", {
  common: field(1, Common),
  connection: field(2, Connection),
});
export type TcpEntry = Value<typeof TcpEntry>;

const Identifier = message("taskgate.log.Identifier", {
  node: field(1, message("taskgate.log.Node", { id: string(1) })),
  logName: string(2),
});
const HttpEntries = message("taskgate.log.HTTPAccessLogEntries", { entries: repeated(field(1, HttpEntry)) });
const TcpEntries = message("taskgate.log.TCPAccessLogEntries", { entries: repeated(field(1, TcpEntry)) });

/** `identifier` is in the first message of a stream only. */
export const LogMessage = message("taskgate.log.StreamAccessLogsMessage", {
  identifier: field(1, Identifier),
  http: field(2, HttpEntries),
  tcp: field(3, TcpEntries),
});
export type LogMessage = Value<typeof LogMessage>;

export const LogAnswer = message("taskgate.log.StreamAccessLogsResponse", {});

/** core.v3.Metadata, of which one namespace is looked for. */
export const LogMetadata = message("taskgate.log.Metadata", { filterMetadata: map(struct(1)) });
