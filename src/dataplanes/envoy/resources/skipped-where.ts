import { pack, type Any } from "../proto/kit.ts";
import { ExtensionWithMatcher, SkipFilter } from "../proto/tables/http-filters.ts";
import type { Predicate } from "../proto/tables/xds-matcher.ts";
import { extension } from "./envoy-json.ts";

/** A filter that passes by what matches. */
export function skippedWhere(
  predicate: Predicate,
  extensionConfig: { readonly name: string; readonly typedConfig: Any },
): Any {
  const action = extension("skip", SkipFilter, {});
  const xdsMatcher = { matcherList: { matchers: [{ predicate, onMatch: { action } }] } };
  return pack(ExtensionWithMatcher, { extensionConfig, xdsMatcher });
}
