import { originOf, type Route, type Site } from "../../../model/index.ts";
import type { HttpFilter } from "../proto/tables/connection-manager.ts";
import { HttpHeaderMutation } from "../proto/tables/http-filters.ts";
import { HttpRequestHeaderMatchInput } from "../proto/tables/matcher.ts";
import type { XdsStringMatcher } from "../proto/tables/xds-matcher.ts";
import { extension } from "./envoy-json.ts";
import { skippedWhere } from "./skipped-where.ts";
import { OWN_METADATA } from "./sticky-subsets.ts";

/** By what endpoints say what they see as Host. */
export const HOST_KEY = "host";

/**
 * Towards jobs that see their own address as Host: Origin and Referer are theirs, too, where they were those of the host that was asked for;
 * foreign ones stay what they are. Of Referer no more than the origin is left.
 */
export function ownAddressFilters({ policy, protocol, match }: Route, site: Site): HttpFilter[] {
  if (policy.rewriteHost !== true || protocol !== "http") return [];
  if (match.by !== "host" && match.by !== "path") return [];
  const asked = originOf(site, match.host);
  return [
    rewritten("origin", { exact: asked }, OWN_ORIGIN),
    rewritten("referer", { prefix: `${asked}/` }, `${OWN_ORIGIN}/`),
  ];
}

const OWN_ORIGIN = `http://%UPSTREAM_METADATA(${OWN_METADATA}:${HOST_KEY})%`;

/** A field that has another value where it matches, and is left alone where not. */
function rewritten(key: string, valueMatch: XdsStringMatcher, value: string): HttpFilter {
  const input = extension(key, HttpRequestHeaderMatchInput, { headerName: key });
  const mutation = extension("envoy.filters.http.header_mutation", HttpHeaderMutation, {
    mutations: { requestMutations: [{ append: { header: { key, value }, appendAction: "OVERWRITE_IF_EXISTS" } }] },
  });
  return {
    name: `taskgate.${key}`,
    typedConfig: skippedWhere({ notMatcher: { singlePredicate: { input, valueMatch } } }, mutation),
  };
}
