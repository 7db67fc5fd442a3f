import { originOf, type Route, type Site } from "../../../model/index.ts";
import { pack } from "../proto/kit.ts";
import type { HttpFilter } from "../proto/tables/connection-manager.ts";
import { ExtensionWithMatcher, HttpHeaderMutation, SkipFilter } from "../proto/tables/http-filters.ts";
import { HttpRequestHeaderMatchInput } from "../proto/tables/matcher.ts";
import { extension } from "./envoy-json.ts";

/** Where endpoints say what they see as Host. */
export const HOST_METADATA = "taskgate";
export const HOST_KEY = "host";

/**
 * Towards jobs that see their own address as Host: Origin is theirs, too, where it was that of the host that was asked for; a foreign one
 * stays what it is. undefined: this route's job sees everything as it came.
 */
export function originRewriter({ policy, protocol, match }: Route, site: Site): HttpFilter | undefined {
  if (policy.rewriteHost !== true || protocol !== "http") return undefined;
  if (match.by !== "host" && match.by !== "path") return undefined;
  const input = extension("origin", HttpRequestHeaderMatchInput, { headerName: "origin" });
  return {
    name: "taskgate.origin",
    typedConfig: pack(ExtensionWithMatcher, {
      extensionConfig: extension("envoy.filters.http.header_mutation", HttpHeaderMutation, {
        mutations: { requestMutations: [{ append: { header: OWN_ORIGIN, appendAction: "OVERWRITE_IF_EXISTS" } }] },
      }),
      xdsMatcher: {
        matcherList: {
          matchers: [
            {
              predicate: {
                notMatcher: { singlePredicate: { input, valueMatch: { exact: originOf(site, match.host) } } },
              },
              onMatch: { action: extension("skip", SkipFilter, {}) },
            },
          ],
        },
      },
    }),
  };
}

const OWN_ORIGIN = { key: "origin", value: `http://%UPSTREAM_METADATA(${HOST_METADATA}:${HOST_KEY})%` };
