import { bool, bytes, duration, enumeration, field, map, message, repeated, string, struct, uint32 } from "../kit.ts";
import type { Value } from "../kit.ts";
import { ListStringMatcher } from "./matcher.ts";
import { GrpcService } from "./config-source.ts";
import { HeaderMutationRules } from "./route.ts";
import { HeaderMap, HeaderValueOption, HttpStatus, Metadata, TypedExtensionConfig } from "./core.ts";

/** The ext_proc filter, and the service that it asks: envoy.service.ext_proc.v3. */

/** envoy.extensions.filters.http.ext_proc.v3.ProcessingMode.HeaderSendMode. */
export const HeaderSendMode = { DEFAULT: 0, SEND: 1, SKIP: 2 } as const;

/** envoy.extensions.filters.http.ext_proc.v3.ProcessingMode.BodySendMode. */
export const BodySendMode = {
  NONE: 0,
  STREAMED: 1,
  BUFFERED: 2,
  BUFFERED_PARTIAL: 3,
  FULL_DUPLEX_STREAMED: 4,
  GRPC: 5,
} as const;

export const ProcessingMode = message("envoy.extensions.filters.http.ext_proc.v3.ProcessingMode", {
  requestHeaderMode: enumeration(1, HeaderSendMode),
  responseHeaderMode: enumeration(2, HeaderSendMode),
  requestBodyMode: enumeration(3, BodySendMode),
  responseBodyMode: enumeration(4, BodySendMode),
  requestTrailerMode: enumeration(5, HeaderSendMode),
  responseTrailerMode: enumeration(6, HeaderSendMode),
});
export type ProcessingMode = Value<typeof ProcessingMode>;

export const HeaderForwardingRules = message("envoy.extensions.filters.http.ext_proc.v3.HeaderForwardingRules", {
  allowedHeaders: field(1, ListStringMatcher),
  disallowedHeaders: field(2, ListStringMatcher),
});
export type HeaderForwardingRules = Value<typeof HeaderForwardingRules>;

export const MetadataNamespaces = message(
  "envoy.extensions.filters.http.ext_proc.v3.MetadataOptions.MetadataNamespaces",
  {
    untyped: repeated(string(1)),
    typed: repeated(string(2)),
  },
);
export type MetadataNamespaces = Value<typeof MetadataNamespaces>;

export const MetadataOptions = message("envoy.extensions.filters.http.ext_proc.v3.MetadataOptions", {
  forwardingNamespaces: field(1, MetadataNamespaces),
  receivingNamespaces: field(2, MetadataNamespaces),
  clusterMetadataForwardingNamespaces: field(3, MetadataNamespaces),
});
export type MetadataOptions = Value<typeof MetadataOptions>;

export const ExternalProcessor = message("envoy.extensions.filters.http.ext_proc.v3.ExternalProcessor", {
  grpcService: field(1, GrpcService),
  failureModeAllow: bool(2),
  processingMode: field(3, ProcessingMode),
  requestAttributes: repeated(string(5)),
  responseAttributes: repeated(string(6)),
  messageTimeout: duration(7),
  statPrefix: string(8),
  mutationRules: field(9, HeaderMutationRules),
  maxMessageTimeout: duration(10),
  forwardRules: field(12, HeaderForwardingRules),
  filterMetadata: struct(13),
  allowModeOverride: bool(14),
  disableImmediateResponse: bool(15),
  metadataOptions: field(16, MetadataOptions),
  observabilityMode: bool(17),
  disableClearRouteCache: bool(11),
  routeCacheAction: enumeration(18, { DEFAULT: 0, CLEAR: 1, RETAIN: 2 }),
  deferredCloseTimeout: duration(19),
  sendBodyWithoutWaitingForHeaderResponse: bool(21),
  allowedOverrideModes: repeated(field(22, ProcessingMode)),
  processingRequestModifier: field(25, TypedExtensionConfig),
  onProcessingResponse: field(23, TypedExtensionConfig),
  statusOnError: field(24, HttpStatus),
});
export type ExternalProcessor = Value<typeof ExternalProcessor>;

export const ProtocolConfiguration = message("envoy.service.ext_proc.v3.ProtocolConfiguration", {
  requestBodyMode: enumeration(1, BodySendMode),
  responseBodyMode: enumeration(2, BodySendMode),
  sendBodyWithoutWaitingForHeaderResponse: bool(3),
});
export type ProtocolConfiguration = Value<typeof ProtocolConfiguration>;

export const HttpHeaders = message("envoy.service.ext_proc.v3.HttpHeaders", {
  headers: field(1, HeaderMap),
  endOfStream: bool(3),
});
export type HttpHeaders = Value<typeof HttpHeaders>;

export const HttpBody = message("envoy.service.ext_proc.v3.HttpBody", {
  body: bytes(1),
  endOfStream: bool(2),
  endOfStreamWithoutMessage: bool(3),
  grpcMessageCompressed: bool(4),
});
export type HttpBody = Value<typeof HttpBody>;

export const HttpTrailers = message("envoy.service.ext_proc.v3.HttpTrailers", {
  trailers: field(1, HeaderMap),
});
export type HttpTrailers = Value<typeof HttpTrailers>;

export const ProcessingRequest = message("envoy.service.ext_proc.v3.ProcessingRequest", {
  requestHeaders: field(2, HttpHeaders),
  responseHeaders: field(3, HttpHeaders),
  requestBody: field(4, HttpBody),
  responseBody: field(5, HttpBody),
  requestTrailers: field(6, HttpTrailers),
  responseTrailers: field(7, HttpTrailers),
  metadataContext: field(8, Metadata),
  attributes: map(struct(9)),
  observabilityMode: bool(10),
  protocolConfig: field(11, ProtocolConfiguration),
});
export type ProcessingRequest = Value<typeof ProcessingRequest>;

export const ProcessingHeaderMutation = message("envoy.service.ext_proc.v3.HeaderMutation", {
  setHeaders: repeated(field(1, HeaderValueOption)),
  removeHeaders: repeated(string(2)),
});
export type ProcessingHeaderMutation = Value<typeof ProcessingHeaderMutation>;

export const StreamedBodyResponse = message("envoy.service.ext_proc.v3.StreamedBodyResponse", {
  body: bytes(1),
  endOfStream: bool(2),
  endOfStreamWithoutMessage: bool(3),
  grpcMessageCompressed: bool(4),
});
export type StreamedBodyResponse = Value<typeof StreamedBodyResponse>;

export const BodyMutation = message("envoy.service.ext_proc.v3.BodyMutation", {
  body: bytes(1),
  clearBody: bool(2),
  streamedResponse: field(3, StreamedBodyResponse),
});
export type BodyMutation = Value<typeof BodyMutation>;

export const CommonResponse = message("envoy.service.ext_proc.v3.CommonResponse", {
  status: enumeration(1, { CONTINUE: 0, CONTINUE_AND_REPLACE: 1 }),
  headerMutation: field(2, ProcessingHeaderMutation),
  bodyMutation: field(3, BodyMutation),
  clearRouteCache: bool(5),
});
export type CommonResponse = Value<typeof CommonResponse>;

export const HeadersResponse = message("envoy.service.ext_proc.v3.HeadersResponse", {
  response: field(1, CommonResponse),
});
export type HeadersResponse = Value<typeof HeadersResponse>;

export const BodyResponse = message("envoy.service.ext_proc.v3.BodyResponse", {
  response: field(1, CommonResponse),
});
export type BodyResponse = Value<typeof BodyResponse>;

export const TrailersResponse = message("envoy.service.ext_proc.v3.TrailersResponse", {
  headerMutation: field(1, ProcessingHeaderMutation),
});
export type TrailersResponse = Value<typeof TrailersResponse>;

export const GrpcStatus = message("envoy.service.ext_proc.v3.GrpcStatus", {
  status: uint32(1),
});
export type GrpcStatus = Value<typeof GrpcStatus>;

export const ImmediateResponse = message("envoy.service.ext_proc.v3.ImmediateResponse", {
  status: field(1, HttpStatus),
  headers: field(2, ProcessingHeaderMutation),
  body: bytes(3),
  grpcStatus: field(4, GrpcStatus),
  details: string(5),
});
export type ImmediateResponse = Value<typeof ImmediateResponse>;

export const StreamedImmediateResponse = message("envoy.service.ext_proc.v3.StreamedImmediateResponse", {
  headersResponse: field(1, HttpHeaders),
  bodyResponse: field(2, StreamedBodyResponse),
  trailersResponse: field(3, HeaderMap),
});
export type StreamedImmediateResponse = Value<typeof StreamedImmediateResponse>;

export const ProcessingResponse = message("envoy.service.ext_proc.v3.ProcessingResponse", {
  requestHeaders: field(1, HeadersResponse),
  responseHeaders: field(2, HeadersResponse),
  requestBody: field(3, BodyResponse),
  responseBody: field(4, BodyResponse),
  requestTrailers: field(5, TrailersResponse),
  responseTrailers: field(6, TrailersResponse),
  immediateResponse: field(7, ImmediateResponse),
  streamedImmediateResponse: field(11, StreamedImmediateResponse),
  dynamicMetadata: struct(8),
  modeOverride: field(9, ProcessingMode),
  overrideMessageTimeout: duration(10),
});
export type ProcessingResponse = Value<typeof ProcessingResponse>;
