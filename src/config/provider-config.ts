import { z } from "zod";
import { GatewayConfig } from "./gateway-config.ts";
import { whoName } from "./login-methods.ts";
import { filePath, flag } from "./units.ts";

const NAME_ERROR = "expected a name of lower-case letters, digits and dashes, such as team-a";

/** Name of a provider that the configuration names. */
export const providerName = z
  .string({ error: NAME_ERROR })
  .regex(/^[a-z]([a-z0-9-]{0,30}[a-z0-9])?$/, { error: NAME_ERROR });

/** Of Kubernetes. */
export const namespace = z
  .string()
  .regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, { error: "expected the name of a namespace, such as team-a" });

const userName = whoName.refine((text) => !text.startsWith("group:"), { error: "expected one user, not a group" });

const patterns = z
  .array(z.string().regex(/^[^\p{Cc}\p{Cf}]{1,253}$/u, { error: "expected a name, where * stands for any text" }))
  .max(1000);

const KubernetesKind = z.enum(["determined", "spark", "ray", "jupyter", "tensorboard", "kubeflow"], {
  error: "expected one of determined, spark, ray, jupyter, tensorboard, kubeflow",
});
/** Whose pods are tasks without an annotation. */
export type KubernetesKind = z.output<typeof KubernetesKind>;

const Right = z.strictObject({
  namespaces: patterns.min(1).describe("Names of namespaces, where * stands for any text."),
  owner: userName
    .optional()
    .describe("Owner of tasks there whose annotations name none. Default: that of the provider."),
  owners: patterns
    .prefault([])
    .describe("Who else annotations there may name as owner: REALM/NAME, where * stands for any text."),
  hosts: patterns
    .prefault([])
    .describe("Host labels and TLS server names that annotations there may ask for, where * stands for any text."),
  paths: patterns
    .prefault([])
    .describe("Path prefixes that annotations there may ask for, where * stands for any text."),
  ports: flag.prefault(false).describe("Whether annotations there may ask for raw TCP ports."),
  hostNetwork: flag
    .prefault(false)
    .describe("Whether pods there that share their node's network may be tasks. Their ports are those of the node."),
});
export type KubernetesRight = z.output<typeof Right>;

/** The same of one namespace, which says so itself. */
export const NamespaceRights = Right.omit({ namespaces: true });
export type NamespaceRights = z.output<typeof NamespaceRights>;

/** Files are read again when they change. */
export const DeterminedTls = z
  .strictObject({
    authority: filePath.describe(
      "File with the certificate of the master's own authority, PEM: notebooks have to show one by it.",
    ),
    certificate: filePath
      .optional()
      .describe("File with a certificate by that authority, PEM, which notebooks are shown."),
    key: filePath.optional().describe("File with its private key, PEM; for its owner alone to read."),
  })
  .refine((tls) => (tls.certificate === undefined) === (tls.key === undefined), {
    path: ["key"],
    error: "certificate and key belong together: expected both or none",
  })
  .describe(
    "TLS to Determined's notebooks, as its master speaks it. Without it they are spoken to by TLS, whoever they are: any certificate will do.",
  );
export type DeterminedTls = z.output<typeof DeterminedTls>;

const KubernetesProvider = z.strictObject({
  type: z.literal("kubernetes", { error: "expected kubernetes" }).describe("What says what exists."),
  name: providerName.prefault("kubernetes").describe("Name of this provider; first part of its tasks' keys."),
  kubeconfig: filePath
    .optional()
    .describe(
      "A kubeconfig file. Default: the service account of the pod that the gate runs in, else KUBECONFIG, else ~/.kube/config.",
    ),
  context: z.string().min(1).max(253).optional().describe("Context of the kubeconfig. Default: its current one."),
  namespaces: z
    .array(namespace)
    .max(100)
    .prefault([])
    .describe("Namespaces that are looked at. Default: all, which needs the right to list pods in all of them."),
  selector: z
    .string()
    .min(1)
    .max(1000)
    .optional()
    .describe("Label selector, as kubectl takes it, that pods and Services must match, also pods behind Services."),
  owner: userName.optional().describe("Owner of tasks whose annotations name none. Default: who runs the gate."),
  kinds: z
    .array(KubernetesKind)
    .max(KubernetesKind.options.length)
    .prefault([])
    .describe("Kinds of pods that are tasks without an annotation, by what their makers write on them. Default: none."),
  owners: flag
    .prefault(false)
    .describe(
      "Whether annotations of Deployments, StatefulSets, DaemonSets, ReplicaSets, Jobs and CronJobs count for their pods, which needs the right to list these, too.",
    ),
  rightsFromNamespaces: flag
    .prefault(false)
    .describe(
      "Whether the annotation taskgate.dev/rights of a Namespace gives rights beside those that are configured: for clusters where administrators alone may edit Namespaces. It needs the right to list these.",
    ),
  writeStatus: flag
    .prefault(true)
    .describe(
      "Whether addresses and problems are written on pods and Services, as annotations and Events, which needs the right to patch these, and to create Events.",
    ),
  rights: z
    .array(Right)
    .max(1000)
    .prefault([])
    .describe(
      "What annotations may claim, by namespace: the first that is for it counts. What is not given there is refused.",
    ),
  reach: z
    .enum(["direct", "port-forward", "gateway-api"], { error: "expected direct, port-forward or gateway-api" })
    .prefault("direct")
    .describe(
      "How pods are reached: by their addresses; through the API server, as kubectl port-forward does, which needs the rights get and create for pods/portforward and is for a laptop outside of the cluster; or through Gateways of the Gateway API.",
    ),
  gateway: GatewayConfig.optional().describe("Which Gateways, for reach: gateway-api."),
  determinedTls: DeterminedTls.optional(),
});

export const KubernetesProviderConfig = KubernetesProvider.superRefine(({ reach, gateway }, context) => {
  const add = (message: string): void => context.addIssue({ code: "custom", path: ["gateway"], message });
  if (reach === "gateway-api" && gateway === undefined) add("is needed by reach: gateway-api: name the Gateways");
  if (reach !== "gateway-api" && gateway !== undefined) add(`is for reach: gateway-api alone; reach is ${reach}`);
});
export type KubernetesProviderConfig = z.output<typeof KubernetesProviderConfig>;
