import { pack } from "../proto/kit.ts";
import { EarlyHeaderMutation } from "../proto/tables/connection-manager.ts";
import type { TypedExtensionConfig } from "../proto/tables/core.ts";
import type { HeaderMutationRule } from "../proto/tables/route.ts";
import { CLUSTER_HEADER, HOST_PREFIX } from "./cluster-name.ts";

/** Before anything looks at a request: `more`, by which nobody's word of themselves stays, and the cluster of its host. */
export function earlyMutations(more: readonly HeaderMutationRule[]): TypedExtensionConfig {
  return {
    name: "envoy.http.early_header_mutation.header_mutation",
    typedConfig: pack(EarlyHeaderMutation, {
      mutations: [
        ...more,
        { remove: "http2-settings" },
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
