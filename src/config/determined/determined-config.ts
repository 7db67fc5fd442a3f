import { z } from "zod";
import { GatewayConfig } from "../gateway-config.ts";
import { DeterminedTls, KubernetesProviderConfig } from "../provider-config.ts";
import { filePath } from "../units.ts";

const { listenerSets, networkPolicy, tls } = GatewayConfig.shape;
const { namespaces, owner, rights, rightsFromNamespaces, writeStatus } = KubernetesProviderConfig.shape;

/** Of Determined's own configuration: read by its own rules, not by this schema. */
const ofDetermined = (what: string) =>
  z.unknown().meta({ title: "as in Determined's master.yaml" }).optional().describe(what);

/** Unknown keys are left out here, and looked at where Determined's are read: a master.yaml that is pasted in has many. */
export const DeterminedConfig = z.object({
  config: filePath
    .optional()
    .describe("Determined's master.yaml, as it is. Keys that say nothing of resource managers are passed over."),
  resource_manager: ofDetermined("Instead of the file: Determined's default resource manager."),
  resource_pools: ofDetermined("Instead of the file: the pools of the default resource manager."),
  additional_resource_managers: ofDetermined("Instead of the file: Determined's other resource managers."),
  namespaces,
  owner,
  rights,
  rightsFromNamespaces,
  writeStatus,
  reach: z
    .enum(["direct", "port-forward"], { error: "expected direct or port-forward" })
    .prefault("direct")
    .describe(
      "How pods of resource managers without internal_task_gateway are reached: by their addresses, or through the API server.",
    ),
  gateway: z
    .strictObject({ listenerSets, networkPolicy, tls })
    .prefault({})
    .describe("What else is said of the Gateways of resource managers with internal_task_gateway."),
  tls: DeterminedTls.optional(),
});
export type DeterminedConfig = z.output<typeof DeterminedConfig>;

/** Keys of a master.yaml (0.38), which may be pasted in as a whole; what the gate has no use for is passed over. */
export const MASTER_KEYS: ReadonlySet<string> = new Set([
  ...["config_file", "log", "db", "tensorboard_timeout", "notebook_timeout", "security", "checkpoint_storage"],
  ...["task_container_defaults", "port", "root", "telemetry", "enable_cors", "launch_error", "cluster_name"],
  ...["ui_customization", "logging", "retention_policy", "observability", "cache", "webhooks", "feature_switches"],
  ...["reserved_ports", "resource_manager", "resource_pools", "additional_resource_managers", "__internal", "scim"],
  ...["saml", "oidc", "det_cloud", "integrations", "genai", "scheduler", "provisioner"],
]);
