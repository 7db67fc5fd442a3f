import { Empty, bool, duration, field, map, message, repeated, string, uint32 } from "../kit.ts";
import type { Value } from "../kit.ts";
import { GrpcRetryPolicy, HttpUri } from "./config-source.ts";
import { StringMatcher } from "./matcher.ts";
import { DataSource } from "./core.ts";
import { RouteMatch } from "./route.ts";

/** envoy.extensions.filters.http.jwt_authn.v3. */

export const JwksAsyncFetch = message("envoy.extensions.filters.http.jwt_authn.v3.JwksAsyncFetch", {
  fastListener: bool(1),
  failedRefetchDuration: duration(2),
});
export type JwksAsyncFetch = Value<typeof JwksAsyncFetch>;

export const RemoteJwks = message("envoy.extensions.filters.http.jwt_authn.v3.RemoteJwks", {
  httpUri: field(1, HttpUri),
  cacheDuration: duration(2),
  asyncFetch: field(3, JwksAsyncFetch),
  retryPolicy: field(4, GrpcRetryPolicy),
});
export type RemoteJwks = Value<typeof RemoteJwks>;

export const JwtHeader = message("envoy.extensions.filters.http.jwt_authn.v3.JwtHeader", {
  name: string(1),
  valuePrefix: string(2),
});
export type JwtHeader = Value<typeof JwtHeader>;

export const NormalizePayload = message("envoy.extensions.filters.http.jwt_authn.v3.JwtProvider.NormalizePayload", {
  spaceDelimitedClaims: repeated(string(1)),
});
export type NormalizePayload = Value<typeof NormalizePayload>;

export const JwtCacheConfig = message("envoy.extensions.filters.http.jwt_authn.v3.JwtCacheConfig", {
  jwtCacheSize: uint32(1),
  jwtMaxTokenSize: uint32(2),
});
export type JwtCacheConfig = Value<typeof JwtCacheConfig>;

export const JwtClaimToHeaderPathSegment = message(
  "envoy.extensions.filters.http.jwt_authn.v3.JwtClaimToHeader.PathSegment",
  {
    key: string(1),
  },
);
export type JwtClaimToHeaderPathSegment = Value<typeof JwtClaimToHeaderPathSegment>;

export const JwtClaimToHeader = message("envoy.extensions.filters.http.jwt_authn.v3.JwtClaimToHeader", {
  headerName: string(1),
  claimName: string(2),
  claimPath: repeated(field(3, JwtClaimToHeaderPathSegment)),
});
export type JwtClaimToHeader = Value<typeof JwtClaimToHeader>;

export const JwtProvider = message("envoy.extensions.filters.http.jwt_authn.v3.JwtProvider", {
  issuer: string(1),
  audiences: repeated(string(2)),
  subjects: field(19, StringMatcher),
  requireExpiration: bool(20),
  maxLifetime: duration(21),
  remoteJwks: field(3, RemoteJwks),
  localJwks: field(4, DataSource),
  forward: bool(5),
  fromHeaders: repeated(field(6, JwtHeader)),
  fromParams: repeated(string(7)),
  fromCookies: repeated(string(13)),
  forwardPayloadHeader: string(8),
  padForwardPayloadHeader: bool(11),
  payloadInMetadata: string(9),
  normalizePayloadInMetadata: field(18, NormalizePayload),
  headerInMetadata: string(14),
  failedStatusInMetadata: string(16),
  clockSkewSeconds: uint32(10),
  jwtCacheConfig: field(12, JwtCacheConfig),
  claimToHeaders: repeated(field(15, JwtClaimToHeader)),
  clearRouteCache: bool(17),
});
export type JwtProvider = Value<typeof JwtProvider>;

export const ProviderWithAudiences = message("envoy.extensions.filters.http.jwt_authn.v3.ProviderWithAudiences", {
  providerName: string(1),
  audiences: repeated(string(2)),
});
export type ProviderWithAudiences = Value<typeof ProviderWithAudiences>;

export const JwtRequirementOrList = message("envoy.extensions.filters.http.jwt_authn.v3.JwtRequirementOrList", {
  get requirements() {
    return repeated(field(1, JwtRequirement));
  },
});
export type JwtRequirementOrList = Value<typeof JwtRequirementOrList>;

export const JwtRequirementAndList = message("envoy.extensions.filters.http.jwt_authn.v3.JwtRequirementAndList", {
  get requirements() {
    return repeated(field(1, JwtRequirement));
  },
});
export type JwtRequirementAndList = Value<typeof JwtRequirementAndList>;

export const ExtractOnlyWithoutValidation = message(
  "envoy.extensions.filters.http.jwt_authn.v3.ExtractOnlyWithoutValidation",
  {
    verificationStatusHeader: string(1),
  },
);

export const JwtRequirement = message("envoy.extensions.filters.http.jwt_authn.v3.JwtRequirement", {
  providerName: string(1),
  providerAndAudiences: field(2, ProviderWithAudiences),
  requiresAny: field(3, JwtRequirementOrList),
  requiresAll: field(4, JwtRequirementAndList),
  allowMissingOrFailed: field(5, Empty),
  allowMissing: field(6, Empty),
  extractOnlyWithoutValidation: field(7, ExtractOnlyWithoutValidation),
});
export type JwtRequirement = Value<typeof JwtRequirement>;

export const RequirementRule = message("envoy.extensions.filters.http.jwt_authn.v3.RequirementRule", {
  match: field(1, RouteMatch),
  requires: field(2, JwtRequirement),
  requirementName: string(3),
});
export type RequirementRule = Value<typeof RequirementRule>;

export const FilterStateRule = message("envoy.extensions.filters.http.jwt_authn.v3.FilterStateRule", {
  name: string(1),
  requires: map(field(3, JwtRequirement)),
});
export type FilterStateRule = Value<typeof FilterStateRule>;

export const JwtAuthentication = message("envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication", {
  providers: map(field(1, JwtProvider)),
  rules: repeated(field(2, RequirementRule)),
  filterStateRules: field(3, FilterStateRule),
  bypassCorsPreflight: bool(4),
  requirementMap: map(field(5, JwtRequirement)),
  stripFailureResponse: bool(6),
  statPrefix: string(7),
});
export type JwtAuthentication = Value<typeof JwtAuthentication>;
