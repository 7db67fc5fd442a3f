import {
  any,
  bool,
  boolValue,
  duration,
  enumeration,
  field,
  map,
  message,
  repeated,
  string,
  struct,
  uint32,
} from "../kit.ts";
import type { Value } from "../kit.ts";
import { AccessLog } from "./access-log.ts";
import { HttpFilter } from "./connection-manager.ts";
import { HeaderMutationRule } from "./route.ts";
import { DataSource, KeyValueMutation, TypedExtensionConfig } from "./core.ts";
import { RegexMatchAndSubstitute } from "./matcher.ts";
import { ConfigSource } from "./config-source.ts";
import { FilterStateValue } from "./network-filters.ts";
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

export const HttpHeaderMutationPerRoute = message(
  "envoy.extensions.filters.http.header_mutation.v3.HeaderMutationPerRoute",
  {
    mutations: field(1, HttpHeaderMutations),
  },
);
export type HttpHeaderMutationPerRoute = Value<typeof HttpHeaderMutationPerRoute>;

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
});
export type Lua = Value<typeof Lua>;

export const LuaPerRoute = message("envoy.extensions.filters.http.lua.v3.LuaPerRoute", {
  disabled: bool(1),
  name: string(2),
  sourceCode: field(3, DataSource),
  filterContext: struct(4),
});
export type LuaPerRoute = Value<typeof LuaPerRoute>;

export const OnDemandCds = message("envoy.extensions.filters.http.on_demand.v3.OnDemandCds", {
  source: field(1, ConfigSource),
  resourcesLocator: string(2),
  timeout: duration(3),
});
export type OnDemandCds = Value<typeof OnDemandCds>;

export const OnDemand = message("envoy.extensions.filters.http.on_demand.v3.OnDemand", {
  odcds: field(1, OnDemandCds),
});
export type OnDemand = Value<typeof OnDemand>;

export const OnDemandPerRoute = message("envoy.extensions.filters.http.on_demand.v3.PerRouteConfig", {
  odcds: field(1, OnDemandCds),
});
export type OnDemandPerRoute = Value<typeof OnDemandPerRoute>;

export const StatefulSession = message("envoy.extensions.filters.http.stateful_session.v3.StatefulSession", {
  sessionState: field(1, TypedExtensionConfig),
  strict: bool(2),
  statPrefix: string(3),
  statusOnStrictDestinationNotFound: uint32(4),
});
export type StatefulSession = Value<typeof StatefulSession>;

export const StatefulSessionPerRoute = message(
  "envoy.extensions.filters.http.stateful_session.v3.StatefulSessionPerRoute",
  {
    disabled: bool(1),
    statefulSession: field(2, StatefulSession),
  },
);
export type StatefulSessionPerRoute = Value<typeof StatefulSessionPerRoute>;

export const HttpSetFilterState = message("envoy.extensions.filters.http.set_filter_state.v3.Config", {
  onRequestHeaders: repeated(field(1, FilterStateValue)),
  clearRouteCache: bool(2),
});
export type HttpSetFilterState = Value<typeof HttpSetFilterState>;

export const SetMetadataValue = message("envoy.extensions.filters.http.set_metadata.v3.Metadata", {
  metadataNamespace: string(1),
  allowOverwrite: bool(2),
  value: struct(3),
  typedValue: any(4),
});
export type SetMetadataValue = Value<typeof SetMetadataValue>;

export const SetMetadata = message("envoy.extensions.filters.http.set_metadata.v3.Config", {
  metadata: repeated(field(3, SetMetadataValue)),
});
export type SetMetadata = Value<typeof SetMetadata>;

export const CookieAttribute = message("envoy.type.http.v3.CookieAttribute", {
  name: string(1),
  value: string(2),
});
export type CookieAttribute = Value<typeof CookieAttribute>;

export const Cookie = message("envoy.type.http.v3.Cookie", {
  name: string(1),
  ttl: duration(2),
  path: string(3),
  attributes: repeated(field(4, CookieAttribute)),
});
export type Cookie = Value<typeof Cookie>;

export const HeaderBasedSessionState = message(
  "envoy.extensions.http.stateful_session.header.v3.HeaderBasedSessionState",
  {
    name: string(1),
  },
);
export type HeaderBasedSessionState = Value<typeof HeaderBasedSessionState>;

export const EnvelopeSessionStateHeader = message(
  "envoy.extensions.http.stateful_session.envelope.v3.EnvelopeSessionState.Header",
  {
    name: string(1),
  },
);
export type EnvelopeSessionStateHeader = Value<typeof EnvelopeSessionStateHeader>;

export const EnvelopeSessionState = message("envoy.extensions.http.stateful_session.envelope.v3.EnvelopeSessionState", {
  header: field(1, EnvelopeSessionStateHeader),
});
export type EnvelopeSessionState = Value<typeof EnvelopeSessionState>;

export const CookieBasedSessionState = message(
  "envoy.extensions.http.stateful_session.cookie.v3.CookieBasedSessionState",
  {
    cookie: field(1, Cookie),
  },
);
export type CookieBasedSessionState = Value<typeof CookieBasedSessionState>;

export const ExtensionWithMatcher = message("envoy.extensions.common.matching.v3.ExtensionWithMatcher", {
  xdsMatcher: field(3, Matcher),
  extensionConfig: field(2, TypedExtensionConfig),
});
export type ExtensionWithMatcher = Value<typeof ExtensionWithMatcher>;

export const ExtensionWithMatcherPerRoute = message(
  "envoy.extensions.common.matching.v3.ExtensionWithMatcherPerRoute",
  {
    xdsMatcher: field(1, Matcher),
  },
);
export type ExtensionWithMatcherPerRoute = Value<typeof ExtensionWithMatcherPerRoute>;

export const SkipFilter = message("envoy.extensions.filters.common.matcher.action.v3.SkipFilter", {});

export const UpstreamCodec = message("envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec", {});

export const Composite = message("envoy.extensions.filters.http.composite.v3.Composite", {});

export const ExecuteFilterAction = message("envoy.extensions.filters.http.composite.v3.ExecuteFilterAction", {
  typedConfig: field(1, TypedExtensionConfig),
});
export type ExecuteFilterAction = Value<typeof ExecuteFilterAction>;
