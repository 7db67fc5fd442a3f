import {
  any,
  bool,
  boolValue,
  bytes,
  double,
  enumeration,
  field,
  int32,
  int64,
  map,
  message,
  repeated,
  string,
  struct,
  uint32,
  value,
} from "../kit.ts";
import type { Value } from "../kit.ts";

/** envoy.config.core.v3 and envoy.type.v3: what the other areas build on. */

export const Status = message("google.rpc.Status", {
  code: int32(1),
  message: string(2),
  details: repeated(any(3)),
});
export type Status = Value<typeof Status>;

export const TypedStruct = message("xds.type.v3.TypedStruct", {
  typeUrl: string(1),
  value: struct(2),
});
export type TypedStruct = Value<typeof TypedStruct>;

export const HttpStatus = message("envoy.type.v3.HttpStatus", {
  code: enumeration(1, {
    Empty: 0,
    Continue: 100,
    OK: 200,
    Created: 201,
    Accepted: 202,
    NonAuthoritativeInformation: 203,
    NoContent: 204,
    ResetContent: 205,
    PartialContent: 206,
    MultiStatus: 207,
    AlreadyReported: 208,
    IMUsed: 226,
    MultipleChoices: 300,
    MovedPermanently: 301,
    Found: 302,
    SeeOther: 303,
    NotModified: 304,
    UseProxy: 305,
    TemporaryRedirect: 307,
    PermanentRedirect: 308,
    BadRequest: 400,
    Unauthorized: 401,
    PaymentRequired: 402,
    Forbidden: 403,
    NotFound: 404,
    MethodNotAllowed: 405,
    NotAcceptable: 406,
    ProxyAuthenticationRequired: 407,
    RequestTimeout: 408,
    Conflict: 409,
    Gone: 410,
    LengthRequired: 411,
    PreconditionFailed: 412,
    PayloadTooLarge: 413,
    URITooLong: 414,
    UnsupportedMediaType: 415,
    RangeNotSatisfiable: 416,
    ExpectationFailed: 417,
    MisdirectedRequest: 421,
    UnprocessableEntity: 422,
    Locked: 423,
    FailedDependency: 424,
    UpgradeRequired: 426,
    PreconditionRequired: 428,
    TooManyRequests: 429,
    RequestHeaderFieldsTooLarge: 431,
    InternalServerError: 500,
    NotImplemented: 501,
    BadGateway: 502,
    ServiceUnavailable: 503,
    GatewayTimeout: 504,
    HTTPVersionNotSupported: 505,
    VariantAlsoNegotiates: 506,
    InsufficientStorage: 507,
    LoopDetected: 508,
    NotExtended: 510,
    NetworkAuthenticationRequired: 511,
  }),
});
export type HttpStatus = Value<typeof HttpStatus>;

export const Percent = message("envoy.type.v3.Percent", {
  value: double(1),
});
export type Percent = Value<typeof Percent>;

export const FractionalPercent = message("envoy.type.v3.FractionalPercent", {
  numerator: uint32(1),
  denominator: enumeration(2, { HUNDRED: 0, TEN_THOUSAND: 1, MILLION: 2 }),
});
export type FractionalPercent = Value<typeof FractionalPercent>;

export const Int64Range = message("envoy.type.v3.Int64Range", {
  start: int64(1),
  end: int64(2),
});
export type Int64Range = Value<typeof Int64Range>;

export const Int32Range = message("envoy.type.v3.Int32Range", {
  start: int32(1),
  end: int32(2),
});
export type Int32Range = Value<typeof Int32Range>;

export const DoubleRange = message("envoy.type.v3.DoubleRange", {
  start: double(1),
  end: double(2),
});
export type DoubleRange = Value<typeof DoubleRange>;

export const CelExpressionConfig = message("envoy.config.core.v3.CelExpressionConfig", {
  enableStringConversion: bool(1),
  enableStringConcat: bool(2),
  enableStringFunctions: bool(3),
});
export type CelExpressionConfig = Value<typeof CelExpressionConfig>;

export const SemanticVersion = message("envoy.type.v3.SemanticVersion", {
  majorNumber: uint32(1),
  minorNumber: uint32(2),
  patch: uint32(3),
});
export type SemanticVersion = Value<typeof SemanticVersion>;

export const XdsTypedExtensionConfig = message("xds.core.v3.TypedExtensionConfig", {
  name: string(1),
  typedConfig: any(2),
});
export type XdsTypedExtensionConfig = Value<typeof XdsTypedExtensionConfig>;

export const TypedExtensionConfig = message("envoy.config.core.v3.TypedExtensionConfig", {
  name: string(1),
  typedConfig: any(2),
});
export type TypedExtensionConfig = Value<typeof TypedExtensionConfig>;

export const TransportSocket = message("envoy.config.core.v3.TransportSocket", {
  name: string(1),
  typedConfig: any(3),
});
export type TransportSocket = Value<typeof TransportSocket>;

export const Locality = message("envoy.config.core.v3.Locality", {
  region: string(1),
  zone: string(2),
  subZone: string(3),
});
export type Locality = Value<typeof Locality>;

export const BuildVersion = message("envoy.config.core.v3.BuildVersion", {
  version: field(1, SemanticVersion),
  metadata: struct(2),
});
export type BuildVersion = Value<typeof BuildVersion>;

export const Extension = message("envoy.config.core.v3.Extension", {
  name: string(1),
  category: string(2),
  version: field(4, BuildVersion),
  disabled: bool(5),
  typeUrls: repeated(string(6)),
});
export type Extension = Value<typeof Extension>;

export const Node = message("envoy.config.core.v3.Node", {
  id: string(1),
  cluster: string(2),
  metadata: struct(3),
  locality: field(4, Locality),
  userAgentName: string(6),
  userAgentVersion: string(7),
  userAgentBuildVersion: field(8, BuildVersion),
  extensions: repeated(field(9, Extension)),
  clientFeatures: repeated(string(10)),
});
export type Node = Value<typeof Node>;

export const Metadata = message("envoy.config.core.v3.Metadata", {
  filterMetadata: map(struct(1)),
  typedFilterMetadata: map(any(2)),
});
export type Metadata = Value<typeof Metadata>;

export const RuntimeUInt32 = message("envoy.config.core.v3.RuntimeUInt32", {
  defaultValue: uint32(2),
  runtimeKey: string(3),
});
export type RuntimeUInt32 = Value<typeof RuntimeUInt32>;

export const RuntimeDouble = message("envoy.config.core.v3.RuntimeDouble", {
  defaultValue: double(1),
  runtimeKey: string(2),
});
export type RuntimeDouble = Value<typeof RuntimeDouble>;

export const RuntimeFeatureFlag = message("envoy.config.core.v3.RuntimeFeatureFlag", {
  defaultValue: boolValue(1),
  runtimeKey: string(2),
});
export type RuntimeFeatureFlag = Value<typeof RuntimeFeatureFlag>;

export const KeyValuePair = message("envoy.config.core.v3.KeyValuePair", {
  key: string(1),
  value: value(2),
});
export type KeyValuePair = Value<typeof KeyValuePair>;

export const KeyValueAppend = message("envoy.config.core.v3.KeyValueAppend", {
  record: field(3, KeyValuePair),
  action: enumeration(2, {
    APPEND_IF_EXISTS_OR_ADD: 0,
    ADD_IF_ABSENT: 1,
    OVERWRITE_IF_EXISTS_OR_ADD: 2,
    OVERWRITE_IF_EXISTS: 3,
  }),
});
export type KeyValueAppend = Value<typeof KeyValueAppend>;

export const KeyValueMutation = message("envoy.config.core.v3.KeyValueMutation", {
  append: field(1, KeyValueAppend),
  remove: string(2),
});
export type KeyValueMutation = Value<typeof KeyValueMutation>;

export const QueryParameter = message("envoy.config.core.v3.QueryParameter", {
  key: string(1),
  value: string(2),
});
export type QueryParameter = Value<typeof QueryParameter>;

export const HeaderValue = message("envoy.config.core.v3.HeaderValue", {
  key: string(1),
  value: string(2),
  rawValue: bytes(3),
});
export type HeaderValue = Value<typeof HeaderValue>;

export const HeaderValueOption = message("envoy.config.core.v3.HeaderValueOption", {
  header: field(1, HeaderValue),
  appendAction: enumeration(3, {
    APPEND_IF_EXISTS_OR_ADD: 0,
    ADD_IF_ABSENT: 1,
    OVERWRITE_IF_EXISTS_OR_ADD: 2,
    OVERWRITE_IF_EXISTS: 3,
  }),
  keepEmptyValue: bool(4),
});
export type HeaderValueOption = Value<typeof HeaderValueOption>;

export const HeaderMap = message("envoy.config.core.v3.HeaderMap", {
  headers: repeated(field(1, HeaderValue)),
});
export type HeaderMap = Value<typeof HeaderMap>;

export const WatchedDirectory = message("envoy.config.core.v3.WatchedDirectory", {
  path: string(1),
  watchModify: bool(2),
});
export type WatchedDirectory = Value<typeof WatchedDirectory>;

export const DataSource = message("envoy.config.core.v3.DataSource", {
  filename: string(1),
  inlineBytes: bytes(2),
  inlineString: string(3),
  environmentVariable: string(4),
  watchedDirectory: field(5, WatchedDirectory),
});
export type DataSource = Value<typeof DataSource>;

export const RuntimeFractionalPercent = message("envoy.config.core.v3.RuntimeFractionalPercent", {
  defaultValue: field(1, FractionalPercent),
  runtimeKey: string(2),
});
export type RuntimeFractionalPercent = Value<typeof RuntimeFractionalPercent>;

export const JsonFormatOptions = message("envoy.config.core.v3.JsonFormatOptions", {});

export const SubstitutionFormatString = message("envoy.config.core.v3.SubstitutionFormatString", {
  jsonFormat: struct(2),
  textFormatSource: field(5, DataSource),
  omitEmptyValues: bool(3),
  contentType: string(4),
  formatters: repeated(field(6, TypedExtensionConfig)),
  jsonFormatOptions: field(7, JsonFormatOptions),
});
export type SubstitutionFormatString = Value<typeof SubstitutionFormatString>;

export const TlvEntry = message("envoy.config.core.v3.TlvEntry", {
  type: uint32(1),
  value: bytes(2),
  formatString: field(3, SubstitutionFormatString),
});
export type TlvEntry = Value<typeof TlvEntry>;
