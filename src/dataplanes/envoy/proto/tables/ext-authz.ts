import {
  bool,
  boolValue,
  bytes,
  enumeration,
  field,
  int64,
  map,
  message,
  repeated,
  string,
  struct,
  timestamp,
  uint32,
} from "../kit.ts";
import type { Value } from "../kit.ts";
import { ApiVersion, GrpcService } from "./config-source.ts";
import {
  HeaderMap,
  HeaderValueOption,
  HttpStatus,
  Metadata,
  QueryParameter,
  RuntimeFeatureFlag,
  RuntimeFractionalPercent,
  Status,
} from "./core.ts";
import { ListStringMatcher, MetadataMatcher } from "./matcher.ts";
import { HeaderMutationRules } from "./route.ts";
import { Address } from "./address.ts";

/** The ext_authz filter, and the service that it asks: envoy.service.auth.v3. */

export const BufferSettings = message("envoy.extensions.filters.http.ext_authz.v3.BufferSettings", {
  maxRequestBytes: uint32(1),
  allowPartialMessage: bool(2),
  packAsBytes: bool(3),
});
export type BufferSettings = Value<typeof BufferSettings>;

export const ExtAuthz = message("envoy.extensions.filters.http.ext_authz.v3.ExtAuthz", {
  grpcService: field(1, GrpcService),
  transportApiVersion: enumeration(12, ApiVersion),
  failureModeAllow: bool(2),
  failureModeAllowHeaderAdd: bool(19),
  withRequestBody: field(5, BufferSettings),
  clearRouteCache: bool(6),
  statusOnError: field(7, HttpStatus),
  validateMutations: bool(24),
  metadataContextNamespaces: repeated(string(8)),
  typedMetadataContextNamespaces: repeated(string(16)),
  routeMetadataContextNamespaces: repeated(string(21)),
  routeTypedMetadataContextNamespaces: repeated(string(22)),
  filterEnabled: field(9, RuntimeFractionalPercent),
  filterEnabledMetadata: field(14, MetadataMatcher),
  denyAtDisable: field(11, RuntimeFeatureFlag),
  includePeerCertificate: bool(10),
  statPrefix: string(13),
  bootstrapMetadataLabelsKey: string(15),
  allowedHeaders: field(17, ListStringMatcher),
  disallowedHeaders: field(25, ListStringMatcher),
  includeTlsSession: bool(18),
  chargeClusterResponseStats: boolValue(20),
  encodeRawHeaders: bool(23),
  decoderHeaderMutationRules: field(26, HeaderMutationRules),
  enableDynamicMetadataIngestion: boolValue(27),
  filterMetadata: struct(28),
  emitFilterStateStats: bool(29),
  maxDeniedResponseBodyBytes: uint32(30),
  enforceResponseHeaderLimits: bool(31),
  shadowMode: bool(32),
  clearRouteCacheHeaders: repeated(string(34)),
});
export type ExtAuthz = Value<typeof ExtAuthz>;

export const AttributeContextPeer = message("envoy.service.auth.v3.AttributeContext.Peer", {
  address: field(1, Address),
  service: string(2),
  labels: map(string(3)),
  principal: string(4),
  certificate: string(5),
});
export type AttributeContextPeer = Value<typeof AttributeContextPeer>;

export const HttpRequest = message("envoy.service.auth.v3.AttributeContext.HttpRequest", {
  id: string(1),
  method: string(2),
  headers: map(string(3)),
  headerMap: field(13, HeaderMap),
  path: string(4),
  host: string(5),
  scheme: string(6),
  query: string(7),
  fragment: string(8),
  size: int64(9),
  protocol: string(10),
  body: string(11),
  rawBody: bytes(12),
});
export type HttpRequest = Value<typeof HttpRequest>;

export const AttributeContextRequest = message("envoy.service.auth.v3.AttributeContext.Request", {
  time: timestamp(1),
  http: field(2, HttpRequest),
});
export type AttributeContextRequest = Value<typeof AttributeContextRequest>;

export const TLSSession = message("envoy.service.auth.v3.AttributeContext.TLSSession", {
  sni: string(1),
});
export type TLSSession = Value<typeof TLSSession>;

export const AttributeContext = message("envoy.service.auth.v3.AttributeContext", {
  source: field(1, AttributeContextPeer),
  destination: field(2, AttributeContextPeer),
  request: field(4, AttributeContextRequest),
  contextExtensions: map(string(10)),
  metadataContext: field(11, Metadata),
  routeMetadataContext: field(13, Metadata),
  tlsSession: field(12, TLSSession),
});
export type AttributeContext = Value<typeof AttributeContext>;

export const CheckRequest = message("envoy.service.auth.v3.CheckRequest", {
  attributes: field(1, AttributeContext),
});
export type CheckRequest = Value<typeof CheckRequest>;

export const DeniedHttpResponse = message("envoy.service.auth.v3.DeniedHttpResponse", {
  status: field(1, HttpStatus),
  headers: repeated(field(2, HeaderValueOption)),
  body: string(3),
});
export type DeniedHttpResponse = Value<typeof DeniedHttpResponse>;

export const OkHttpResponse = message("envoy.service.auth.v3.OkHttpResponse", {
  headers: repeated(field(2, HeaderValueOption)),
  headersToRemove: repeated(string(5)),
  responseHeadersToAdd: repeated(field(6, HeaderValueOption)),
  queryParametersToSet: repeated(field(7, QueryParameter)),
  queryParametersToRemove: repeated(string(8)),
});
export type OkHttpResponse = Value<typeof OkHttpResponse>;

export const CheckResponse = message("envoy.service.auth.v3.CheckResponse", {
  status: field(1, Status),
  deniedResponse: field(2, DeniedHttpResponse),
  okResponse: field(3, OkHttpResponse),
  errorResponse: field(5, DeniedHttpResponse),
  dynamicMetadata: struct(4),
});
export type CheckResponse = Value<typeof CheckResponse>;
