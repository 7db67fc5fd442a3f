import { bool, double, field, message, repeated, string } from "../kit.ts";
import type { Value } from "../kit.ts";
import { XdsCidrRange } from "./address.ts";
import { DoubleRange, XdsTypedExtensionConfig } from "./core.ts";

/** envoy.type.matcher.v3 and envoy.type.metadata.v3. */

export const AddressMatcher = message("envoy.type.matcher.v3.AddressMatcher", {
  ranges: repeated(field(1, XdsCidrRange)),
  invertMatch: bool(2),
});
export type AddressMatcher = Value<typeof AddressMatcher>;

export const RegexMatcher = message("envoy.type.matcher.v3.RegexMatcher", {
  regex: string(2),
});
export type RegexMatcher = Value<typeof RegexMatcher>;

export const StringMatcher = message("envoy.type.matcher.v3.StringMatcher", {
  exact: string(1),
  prefix: string(2),
  suffix: string(3),
  safeRegex: field(5, RegexMatcher),
  contains: string(7),
  custom: field(8, XdsTypedExtensionConfig),
  ignoreCase: bool(6),
});
export type StringMatcher = Value<typeof StringMatcher>;

export const FilterStateMatcher = message("envoy.type.matcher.v3.FilterStateMatcher", {
  key: string(1),
  stringMatch: field(2, StringMatcher),
  addressMatch: field(3, AddressMatcher),
});
export type FilterStateMatcher = Value<typeof FilterStateMatcher>;

export const HttpRequestHeaderMatchInput = message("envoy.type.matcher.v3.HttpRequestHeaderMatchInput", {
  headerName: string(1),
});
export type HttpRequestHeaderMatchInput = Value<typeof HttpRequestHeaderMatchInput>;

export const HttpResponseHeaderMatchInput = message("envoy.type.matcher.v3.HttpResponseHeaderMatchInput", {
  headerName: string(1),
});
export type HttpResponseHeaderMatchInput = Value<typeof HttpResponseHeaderMatchInput>;

export const MetadataMatcherPathSegment = message("envoy.type.matcher.v3.MetadataMatcher.PathSegment", {
  key: string(1),
});
export type MetadataMatcherPathSegment = Value<typeof MetadataMatcherPathSegment>;

export const NullMatch = message("envoy.type.matcher.v3.ValueMatcher.NullMatch", {});

export const DoubleMatcher = message("envoy.type.matcher.v3.DoubleMatcher", {
  range: field(1, DoubleRange),
  exact: double(2),
});
export type DoubleMatcher = Value<typeof DoubleMatcher>;

export const ListMatcher = message("envoy.type.matcher.v3.ListMatcher", {
  get oneOf() {
    return field(1, ValueMatcher);
  },
});
export type ListMatcher = Value<typeof ListMatcher>;

export const OrMatcher = message("envoy.type.matcher.v3.OrMatcher", {
  get valueMatchers() {
    return repeated(field(1, ValueMatcher));
  },
});
export type OrMatcher = Value<typeof OrMatcher>;

export const ValueMatcher = message("envoy.type.matcher.v3.ValueMatcher", {
  nullMatch: field(1, NullMatch),
  doubleMatch: field(2, DoubleMatcher),
  stringMatch: field(3, StringMatcher),
  boolMatch: bool(4),
  presentMatch: bool(5),
  listMatch: field(6, ListMatcher),
  orMatch: field(7, OrMatcher),
});
export type ValueMatcher = Value<typeof ValueMatcher>;

export const MetadataMatcher = message("envoy.type.matcher.v3.MetadataMatcher", {
  filter: string(1),
  path: repeated(field(2, MetadataMatcherPathSegment)),
  value: field(3, ValueMatcher),
  invert: bool(4),
});
export type MetadataMatcher = Value<typeof MetadataMatcher>;

export const PathMatcher = message("envoy.type.matcher.v3.PathMatcher", {
  path: field(1, StringMatcher),
});
export type PathMatcher = Value<typeof PathMatcher>;

export const RegexMatchAndSubstitute = message("envoy.type.matcher.v3.RegexMatchAndSubstitute", {
  pattern: field(1, RegexMatcher),
  substitution: string(2),
});
export type RegexMatchAndSubstitute = Value<typeof RegexMatchAndSubstitute>;

export const ListStringMatcher = message("envoy.type.matcher.v3.ListStringMatcher", {
  patterns: repeated(field(1, StringMatcher)),
});
export type ListStringMatcher = Value<typeof ListStringMatcher>;

export const StatsMatcher = message("envoy.config.metrics.v3.StatsMatcher", {
  rejectAll: bool(1),
  exclusionList: field(2, ListStringMatcher),
  inclusionList: field(3, ListStringMatcher),
});
export type StatsMatcher = Value<typeof StatsMatcher>;

export const MetadataKeyPathSegment = message("envoy.type.metadata.v3.MetadataKey.PathSegment", {
  key: string(1),
});
export type MetadataKeyPathSegment = Value<typeof MetadataKeyPathSegment>;

export const MetadataKey = message("envoy.type.metadata.v3.MetadataKey", {
  key: string(1),
  path: repeated(field(2, MetadataKeyPathSegment)),
});
export type MetadataKey = Value<typeof MetadataKey>;

export const MetadataKindRequest = message("envoy.type.metadata.v3.MetadataKind.Request", {});

export const MetadataKindRoute = message("envoy.type.metadata.v3.MetadataKind.Route", {});

export const MetadataKindCluster = message("envoy.type.metadata.v3.MetadataKind.Cluster", {});

export const MetadataKindHost = message("envoy.type.metadata.v3.MetadataKind.Host", {});

export const MetadataKind = message("envoy.type.metadata.v3.MetadataKind", {
  request: field(1, MetadataKindRequest),
  route: field(2, MetadataKindRoute),
  cluster: field(3, MetadataKindCluster),
  host: field(4, MetadataKindHost),
});
export type MetadataKind = Value<typeof MetadataKind>;

export const MetadataInputMatcher = message("envoy.extensions.matching.input_matchers.metadata.v3.Metadata", {
  value: field(1, ValueMatcher),
  invert: bool(4),
});
export type MetadataInputMatcher = Value<typeof MetadataInputMatcher>;
