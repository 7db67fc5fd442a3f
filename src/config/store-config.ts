import { z } from "zod";
import { namespace } from "./provider-config.ts";
import { duration, filePath } from "./units.ts";

const OF_KUBERNETES = ["namespace", "kubeconfig", "context", "anchor"] as const;

export const StoreConfig = z
  .strictObject({
    type: z
      .enum(["embedded", "kubernetes"])
      .prefault("embedded")
      .describe(
        "Where what outlives the gate is kept: in a file of the state folder, or in Secrets of a cluster, which several gates may share.",
      ),
    name: z
      .string()
      .regex(/^[a-z]([a-z0-9-]{0,30}[a-z0-9])?$/, {
        error: "expected a name such as taskgate, of 32 characters at most",
      })
      .prefault("taskgate")
      .describe(
        "In a cluster: what the names of its Secrets and Leases begin with. Gates that say the same share all of it.",
      ),
    namespace: namespace
      .optional()
      .describe("In a cluster: the namespace of the Secrets. Default: that of the gate's pod, or of the context."),
    kubeconfig: filePath
      .optional()
      .describe(
        "A kubeconfig file. Default: the service account of the pod that the gate runs in, else KUBECONFIG, else ~/.kube/config.",
      ),
    context: z.string().min(1).max(253).optional().describe("Context of the kubeconfig. Default: its current one."),
    anchor: z
      .string()
      .regex(/^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/, { error: "expected the name of a ConfigMap" })
      .optional()
      .describe(
        "In a cluster: a ConfigMap of the same namespace that all Secrets and Leases belong to from when they are made: " +
          "the cluster removes them once it is removed. The gate does not start where there is none.",
      ),
    leaseDuration: duration("3s", "5m")
      .prefault("15s")
      .describe(
        "In a cluster: how long a gate that leads and is heard of no more keeps its lead; whole seconds. Shorter: another takes over sooner.",
      ),
  })
  .superRefine((store, context) => {
    if (store.leaseDuration % 1000 !== 0) {
      context.addIssue({ code: "custom", path: ["leaseDuration"], message: "expected whole seconds" });
    }
    if (store.type === "kubernetes") return;
    for (const key of OF_KUBERNETES.filter((name) => store[name] !== undefined)) {
      context.addIssue({ code: "custom", path: [key], message: "only a store of type kubernetes has this" });
    }
  });
export type StoreConfig = z.output<typeof StoreConfig>;
