import { type Any, pack } from "../proto/kit.ts";
import { Composite, ExecuteFilterAction } from "../proto/tables/http-filters.ts";
import type { OnMatch, Predicate } from "../proto/tables/xds-matcher.ts";

/** A filter that is made where the predicate holds: one that is made for each request and then skipped costs more than all the rest. */
export function madeWhere(predicate: Predicate, onMatch: OnMatch): Any {
  return pack(Composite, { matcher: { matcherList: { matchers: [{ predicate, onMatch }] } } });
}

/** Makes it, and has it do its work. */
export function execute(action: ExecuteFilterAction): OnMatch {
  return { action: { name: "execute", typedConfig: pack(ExecuteFilterAction, action) } };
}
