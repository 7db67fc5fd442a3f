import { isSticky, setStickyCookie, stickyCookie } from "../../sticky-cookie.ts";
import type { Route, Site } from "../../../model/index.ts";
import { equals, ofEndpoint, ofFilter } from "../authz/cel.ts";
import { pack } from "../proto/kit.ts";
import type { LbSubsetConfig } from "../proto/tables/cluster.ts";
import type { HttpFilter } from "../proto/tables/connection-manager.ts";
import type { Metadata } from "../proto/tables/core.ts";
import { HeaderToMetadata, HttpHeaderMutation } from "../proto/tables/http-filters.ts";
import { CelMatcher, HttpAttributesCelMatchInput, type Predicate } from "../proto/tables/xds-matcher.ts";
import { extension } from "./envoy-json.ts";
import { skippedWhere } from "./skipped-where.ts";

/** Where Envoy looks for what endpoints and requests are matched by. */
export const SUBSET_METADATA = "envoy.lb";
export const STICKY_KEY = "replica";
/** What every endpoint has beside its own id: whoever is at none of them, or at one that is not well, may come to any. */
export const ANY_REPLICA = "any";

/** Where endpoints say what filters on the way to them and back go by. */
export const OWN_METADATA = "taskgate";

/** A replica is a subset of its cluster; where it is gone or not well, all of them are. */
export const STICKY_SUBSETS: LbSubsetConfig = Object.freeze({
  fallbackPolicy: "ANY_ENDPOINT",
  subsetSelectors: [{ keys: [STICKY_KEY] }],
  listAsAny: true,
  metadataFallbackPolicy: "FALLBACK_LIST",
} as const);

/** Of every route, though only clusters with subsets look at it: first by the cookie's own id, then any. */
export const STICKY_ORDER: Metadata = Object.freeze({
  filterMetadata: { [SUBSET_METADATA]: { fallback_list: [{}, { [STICKY_KEY]: ANY_REPLICA }] } },
});

/** Has requests' cookies name the subset. The cookie of services in path mode has another name on each route: `perRoute` of it. */
export function stickyReader(cookie: string): HttpFilter {
  return { name: STICKY_FILTER, typedConfig: stickyReaderConfig(cookie) };
}

export const STICKY_FILTER = "taskgate.sticky";

export function stickyReaderConfig(cookie: string) {
  return pack(HeaderToMetadata, {
    requestRules: [{ cookie, onHeaderPresent: { metadataNamespace: SUBSET_METADATA, key: STICKY_KEY } }],
  });
}

/** On the way back from an endpoint: the cookie that names it. undefined: the route's visitors may come to any. */
export function stickyWriter(route: Route, site: Site): HttpFilter | undefined {
  if (!isSticky(route)) return undefined;
  const value = setStickyCookie(site, route, `%UPSTREAM_METADATA(${OWN_METADATA}:${STICKY_KEY})%`);
  const writer = extension("envoy.filters.http.header_mutation", HttpHeaderMutation, {
    mutations: {
      responseMutations: [
        { append: { header: { key: "set-cookie", value }, appendAction: "APPEND_IF_EXISTS_OR_ADD" } },
      ],
    },
  });
  return { name: "taskgate.sticky-cookie", typedConfig: skippedWhere(IS_THERE, writer) };
}

/** The replica that the visitor's cookie names is the one that answers. */
const IS_THERE: Predicate = {
  singlePredicate: {
    input: extension("attributes", HttpAttributesCelMatchInput, {}),
    customMatch: extension("cel", CelMatcher, {
      exprMatch: {
        parsedExpr: { expr: equals(ofFilter(SUBSET_METADATA, STICKY_KEY), ofEndpoint(OWN_METADATA, STICKY_KEY)) },
      },
    }),
  },
};

/** Name of the cookie of host routes, whatever the service. */
export function stickyCookieOfHosts(site: Site): string {
  return stickyCookie(site, { match: { by: "host" } } as Route);
}
