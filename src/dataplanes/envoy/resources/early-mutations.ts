import { pack } from "../proto/kit.ts";
import { EarlyHeaderMutation } from "../proto/tables/connection-manager.ts";
import type { TypedExtensionConfig } from "../proto/tables/core.ts";
import type { HeaderMutationRule } from "../proto/tables/route.ts";
import { CLUSTER_HEADER, HOST_PREFIX } from "./cluster-name.ts";

/** Nobody stands before the gate whose word counts: what a visitor says of itself is dropped, and so is what only we say. */
const NOT_FROM_VISITORS = ["x-tg-", "x-forwarded-", "x-envoy-"];
const NEITHER = ["forwarded", "x-real-ip", "proxy-authorization", "http2-settings"];

/** Before anything looks at a request: whose words its fields are, and the cluster of its host. */
export function earlyMutations(more: readonly HeaderMutationRule[]): TypedExtensionConfig {
  return {
    name: "envoy.http.early_header_mutation.header_mutation",
    typedConfig: pack(EarlyHeaderMutation, {
      mutations: [
        ...more,
        ...NOT_FROM_VISITORS.map((prefix): HeaderMutationRule => ({ removeOnMatch: { keyMatcher: { prefix } } })),
        ...NEITHER.map((remove): HeaderMutationRule => ({ remove })),
        {
          append: {
            header: { key: CLUSTER_HEADER, value: `${HOST_PREFIX}%REQ(:authority)%` },
            appendAction: "OVERWRITE_IF_EXISTS_OR_ADD",
          },
        },
      ],
    }),
  };
}
