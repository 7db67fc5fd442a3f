import { z } from "zod";
import { namespaceName, objectName } from "./gateway-config.ts";
import { count, filePath } from "./units.ts";

const section = z
  .string()
  .regex(/^(?=.{1,253}$)[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/, { error: "expected the name of a listener, such as https" });

/** Somebody's ingress before the gate, which the gate itself tells what leads to it. */
export const FrontConfig = z
  .strictObject({
    type: z.literal("gateway-api", { error: "expected gateway-api" }).describe("What it is told by."),
    kubeconfig: filePath
      .optional()
      .describe(
        "A kubeconfig file. Default: the cluster of the pod that the gate runs in, else what kubectl would use.",
      ),
    context: z
      .string()
      .regex(/^[^\p{Cc}]{1,253}$/u, { error: "expected the name of a context" })
      .optional()
      .describe("A context of the kubeconfig. Default: its current one."),
    gateway: z
      .strictObject({
        name: objectName.describe("Name of the Gateway, which exists already."),
        namespace: namespaceName.describe("Namespace of the Gateway."),
      })
      .describe("The Gateway by which visitors come in."),
    listeners: z
      .strictObject({
        https: section.optional().describe("Name of the listener that ends TLS, for HTTP and WebSockets."),
        http: section
          .optional()
          .describe("Name of one without TLS; with listen.public the gate sends visitors to https."),
        grpc: section.optional().describe("Name of one for gRPC, which gets a GRPCRoute."),
        tls: section
          .optional()
          .describe("Name of one that passes TLS through, for *.tls.DOMAIN and other server names of services."),
      })
      .refine(({ https, http }) => https !== undefined || http !== undefined, {
        path: ["https"],
        error: "expected the name of a listener for HTTP: https, http or both",
      })
      .describe("Listeners of the Gateway, which exist already."),
    service: z
      .strictObject({
        name: objectName.describe("Name of the Service."),
        namespace: namespaceName.describe("Namespace of the Service."),
        port: count(1, 65_535).describe("Its port that leads to the gate's."),
      })
      .describe("The Service of Kubernetes that leads to the gate. For raw ports it has ports of the same numbers."),
    namespace: namespaceName
      .optional()
      .describe(
        "Where routes are made; elsewhere than the Service with a ReferenceGrant. Default: where the Service is.",
      ),
    tcp: z
      .enum(["off", "listeners", "listenerSets"], { error: "expected off, listeners or listenerSets" })
      .optional()
      .describe(
        "Whether raw TCP ports lead to the gate, too (default: off): by listeners that the gate adds to the Gateway, or by ListenerSets, which the Gateway must allow and which leave it as it is.",
      ),
  })
  .meta({ title: "front" });
export type FrontConfig = z.output<typeof FrontConfig>;
