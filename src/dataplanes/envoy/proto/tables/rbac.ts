import { bool, enumeration, field, map, message, repeated, string, uint32 } from "../kit.ts";
import type { Value } from "../kit.ts";
import { FilterStateMatcher, MetadataMatcher, PathMatcher, StringMatcher } from "./matcher.ts";
import { HeaderMatcher } from "./route.ts";
import { CidrRange } from "./address.ts";
import { CelExpressionConfig, Int32Range, TypedExtensionConfig } from "./core.ts";
import { Expr, Matcher } from "./xds-matcher.ts";

/** Role-based access control: envoy.config.rbac.v3 and its filters. */

/** envoy.config.rbac.v3.RBAC.Action. */
export const RBACAction = { ALLOW: 0, DENY: 1, LOG: 2 } as const;

export const PermissionSet = message("envoy.config.rbac.v3.Permission.Set", {
  get rules() {
    return repeated(field(1, Permission));
  },
});
export type PermissionSet = Value<typeof PermissionSet>;

export const SourcedMetadata = message("envoy.config.rbac.v3.SourcedMetadata", {
  metadataMatcher: field(1, MetadataMatcher),
  metadataSource: enumeration(2, { DYNAMIC: 0, ROUTE: 1 }),
});
export type SourcedMetadata = Value<typeof SourcedMetadata>;

export const Permission = message("envoy.config.rbac.v3.Permission", {
  andRules: field(1, PermissionSet),
  orRules: field(2, PermissionSet),
  any: bool(3),
  header: field(4, HeaderMatcher),
  urlPath: field(10, PathMatcher),
  destinationIp: field(5, CidrRange),
  destinationPort: uint32(6),
  destinationPortRange: field(11, Int32Range),
  get notRule() {
    return field(8, Permission);
  },
  requestedServerName: field(9, StringMatcher),
  matcher: field(12, TypedExtensionConfig),
  uriTemplate: field(13, TypedExtensionConfig),
  sourcedMetadata: field(14, SourcedMetadata),
});
export type Permission = Value<typeof Permission>;

export const PrincipalSet = message("envoy.config.rbac.v3.Principal.Set", {
  get ids() {
    return repeated(field(1, Principal));
  },
});
export type PrincipalSet = Value<typeof PrincipalSet>;

export const Authenticated = message("envoy.config.rbac.v3.Principal.Authenticated", {
  principalName: field(2, StringMatcher),
});
export type Authenticated = Value<typeof Authenticated>;

export const Principal = message("envoy.config.rbac.v3.Principal", {
  andIds: field(1, PrincipalSet),
  orIds: field(2, PrincipalSet),
  any: bool(3),
  authenticated: field(4, Authenticated),
  directRemoteIp: field(10, CidrRange),
  remoteIp: field(11, CidrRange),
  header: field(6, HeaderMatcher),
  urlPath: field(9, PathMatcher),
  filterState: field(12, FilterStateMatcher),
  get notId() {
    return field(8, Principal);
  },
  sourcedMetadata: field(13, SourcedMetadata),
  custom: field(14, TypedExtensionConfig),
});
export type Principal = Value<typeof Principal>;

export const Policy = message("envoy.config.rbac.v3.Policy", {
  permissions: repeated(field(1, Permission)),
  principals: repeated(field(2, Principal)),
  condition: field(3, Expr),
  celConfig: field(5, CelExpressionConfig),
});
export type Policy = Value<typeof Policy>;

export const Rbac = message("envoy.config.rbac.v3.RBAC", {
  action: enumeration(1, RBACAction),
  policies: map(field(2, Policy)),
});
export type Rbac = Value<typeof Rbac>;

export const HttpRbac = message("envoy.extensions.filters.http.rbac.v3.RBAC", {
  rules: field(1, Rbac),
  rulesStatPrefix: string(6),
  matcher: field(4, Matcher),
  shadowRules: field(2, Rbac),
  shadowMatcher: field(5, Matcher),
  shadowRulesStatPrefix: string(3),
  trackPerRuleStats: bool(7),
});
export type HttpRbac = Value<typeof HttpRbac>;
