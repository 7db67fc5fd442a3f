import { pack } from "../proto/kit.ts";
import type { HttpFilter } from "../proto/tables/connection-manager.ts";
import { HttpHeaderMutation } from "../proto/tables/http-filters.ts";
import { FACT } from "./answer-script.ts";
import { KEY } from "./service-metadata.ts";

/**
 * On the way back from an endpoint of a service whose policy says who may frame its pages, in the place of what they say: has the answer
 * looked at. undefined: a page's own word counts. `metadata`: of `serviceMetadata`.
 */
export function frameMarker(metadata: Readonly<Record<string, unknown>>): HttpFilter | undefined {
  if (metadata[KEY.frameReplaces] === undefined) return undefined;
  const header = { key: FACT.frameReplaces, value: "yes" };
  const responseMutations = [{ append: { header, appendAction: "OVERWRITE_IF_EXISTS_OR_ADD" as const } }];
  return { name: "taskgate.frame-marker", typedConfig: pack(HttpHeaderMutation, { mutations: { responseMutations } }) };
}
