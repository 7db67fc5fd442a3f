import { bool, boolValue, duration, enumeration, field, map, message, repeated, string } from "../kit.ts";
import type { Value } from "../kit.ts";
import { AccessLog } from "./access-log.ts";
import { ExtensionConfigSource } from "./config-source.ts";
import { HttpFilter } from "./connection-manager.ts";
import { HeaderMutationRule } from "./route.ts";
import { DataSource, KeyValueMutation, TypedExtensionConfig } from "./core.ts";
import { RegexMatchAndSubstitute } from "./matcher.ts";
import { Matcher } from "./xds-matcher.ts";

/** Filters of HTTP requests that neither decide access nor ask a service. */

export const UpstreamAccessLogOptions = message(
  "envoy.extensions.filters.http.router.v3.Router.UpstreamAccessLogOptions",
  {
    flushUpstreamLogOnUpstreamStream: bool(1),
    upstreamLogFlushInterval: duration(2),
  },
);
export type UpstreamAccessLogOptions = Value<typeof UpstreamAccessLogOptions>;

export const Router = message("envoy.extensions.filters.http.router.v3.Router", {
  dynamicStats: boolValue(1),
  upstreamLog: repeated(field(3, AccessLog)),
  upstreamLogOptions: field(9, UpstreamAccessLogOptions),
  suppressEnvoyHeaders: bool(4),
  strictCheckHeaders: repeated(string(5)),
  respectExpectedRqTimeout: bool(6),
  suppressGrpcRequestFailureCodeStats: bool(7),
  upstreamHttpFilters: repeated(field(8, HttpFilter)),
  rejectConnectRequestEarlyData: boolValue(10),
});
export type Router = Value<typeof Router>;

export const HttpHeaderMutations = message("envoy.extensions.filters.http.header_mutation.v3.Mutations", {
  requestMutations: repeated(field(1, HeaderMutationRule)),
  queryParameterMutations: repeated(field(3, KeyValueMutation)),
  responseMutations: repeated(field(2, HeaderMutationRule)),
  responseTrailersMutations: repeated(field(4, HeaderMutationRule)),
  requestTrailersMutations: repeated(field(5, HeaderMutationRule)),
  formatters: repeated(field(6, TypedExtensionConfig)),
});
export type HttpHeaderMutations = Value<typeof HttpHeaderMutations>;

export const HttpHeaderMutation = message("envoy.extensions.filters.http.header_mutation.v3.HeaderMutation", {
  mutations: field(1, HttpHeaderMutations),
  mostSpecificHeaderMutationsWins: bool(2),
});
export type HttpHeaderMutation = Value<typeof HttpHeaderMutation>;

export const HeaderToMetadataPair = message("envoy.extensions.filters.http.header_to_metadata.v3.Config.KeyValuePair", {
  metadataNamespace: string(1),
  key: string(2),
  value: string(3),
  regexValueRewrite: field(6, RegexMatchAndSubstitute),
  type: enumeration(4, { STRING: 0, NUMBER: 1, PROTOBUF_VALUE: 2 }),
  encode: enumeration(5, { NONE: 0, BASE64: 1 }),
});
export type HeaderToMetadataPair = Value<typeof HeaderToMetadataPair>;

export const HeaderToMetadataRule = message("envoy.extensions.filters.http.header_to_metadata.v3.Config.Rule", {
  header: string(1),
  cookie: string(5),
  onHeaderPresent: field(2, HeaderToMetadataPair),
  onHeaderMissing: field(3, HeaderToMetadataPair),
  remove: bool(4),
});
export type HeaderToMetadataRule = Value<typeof HeaderToMetadataRule>;

export const HeaderToMetadata = message("envoy.extensions.filters.http.header_to_metadata.v3.Config", {
  requestRules: repeated(field(1, HeaderToMetadataRule)),
  responseRules: repeated(field(2, HeaderToMetadataRule)),
  statPrefix: string(3),
});
export type HeaderToMetadata = Value<typeof HeaderToMetadata>;

export const Lua = message("envoy.extensions.filters.http.lua.v3.Lua", {
  sourceCodes: map(field(2, DataSource)),
  defaultSourceCode: field(3, DataSource),
  statPrefix: string(4),
  clearRouteCache: boolValue(5),
  sharedVmId: string(9),
});
export type Lua = Value<typeof Lua>;

export const ExtensionWithMatcher = message("envoy.extensions.common.matching.v3.ExtensionWithMatcher", {
  xdsMatcher: field(3, Matcher),
  extensionConfig: field(2, TypedExtensionConfig),
});
export type ExtensionWithMatcher = Value<typeof ExtensionWithMatcher>;

export const SkipFilter = message("envoy.extensions.filters.common.matcher.action.v3.SkipFilter", {});

export const UpstreamCodec = message("envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec", {});

export const Composite = message("envoy.extensions.filters.http.composite.v3.Composite", {
  matcher: field(2, Matcher),
});
export type Composite = Value<typeof Composite>;

export const FilterChainConfiguration = message("envoy.extensions.filters.http.composite.v3.FilterChainConfiguration", {
  typedConfig: repeated(field(1, TypedExtensionConfig)),
});

export const DynamicConfig = message("envoy.extensions.filters.http.composite.v3.DynamicConfig", {
  name: string(1),
  configDiscovery: field(2, ExtensionConfigSource),
});

export const ExecuteFilterAction = message("envoy.extensions.filters.http.composite.v3.ExecuteFilterAction", {
  typedConfig: field(1, TypedExtensionConfig),
  dynamicConfig: field(2, DynamicConfig),
  filterChain: field(4, FilterChainConfiguration),
});
export type ExecuteFilterAction = Value<typeof ExecuteFilterAction>;
