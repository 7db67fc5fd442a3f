import { isIP } from "node:net";
import { z } from "zod";
import { flag, hostName, ipAddress, portRange } from "./units.ts";

const ADDRESS_ERROR = "expected an IP address or a host name, such as 10.0.0.5 or gateway.example.com";

/** An IP address, or a host name in lower case. */
export const gatewayAddress = z
  .string({ error: ADDRESS_ERROR })
  .refine((text) => (isIP(text) === 0 ? hostName.safeParse(text) : ipAddress.safeParse(text)).success, {
    error: ADDRESS_ERROR,
  });

const OBJECT_NAME_ERROR = "expected the name of an object of Kubernetes, such as contour";
export const objectName = z
  .string({ error: OBJECT_NAME_ERROR })
  .regex(/^(?=.{1,253}$)[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/, { error: OBJECT_NAME_ERROR });

const NAMESPACE_ERROR = "expected the name of a namespace, such as projectcontour";
export const namespaceName = z
  .string({ error: NAMESPACE_ERROR })
  .regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, { error: NAMESPACE_ERROR });

/** A Gateway that exists, and where its controller's proxy is dialled. */
const OneGateway = z.strictObject({
  name: objectName.describe("Name of the Gateway, which exists already."),
  namespace: namespaceName.describe("Namespace of the Gateway."),
  address: gatewayAddress.describe(
    "Where the gate dials it: an IP address, or a host name that is looked up again and again.",
  ),
  pods: z
    .strictObject({
      namespace: namespaceName.describe("Namespace that they are in."),
      labels: z
        .record(z.string().min(1).max(317), z.string().max(63))
        .refine((labels) => Object.keys(labels).length > 0, { error: "expected at least one label" })
        .describe("Labels that they all have, and no others there."),
    })
    .optional()
    .describe(
      "Pods of the proxy that serves the Gateway, for policies that let these alone in. Default: found by what Contour's provisioner, Envoy Gateway and whoever keeps to GEP-1762 write on them.",
    ),
});

/** What a provider that is reached through Gateways says of them. */
export const GatewayConfig = z
  .strictObject({
    gateways: z
      .array(OneGateway)
      .min(1, { error: "expected at least one Gateway" })
      .max(16)
      .describe("Gateways that ports of tasks are published on: the first that has room for one."),
    ports: portRange
      .prefault("32768-65535")
      .refine((range) => range.from >= 1025, { error: "expected ports from 1025 to 65535" })
      .describe("Ports of the Gateways that the gate may take. What listens there already is passed over."),
    listenerSets: z
      .enum(["auto", "never", "only"], { error: "expected auto, never or only" })
      .prefault("auto")
      .describe(
        "Whether ports are listened on by ListenerSets beside the Gateway's own listeners: auto: once the Gateway is full, where the cluster serves them and the Gateway allows them.",
      ),
    networkPolicy: flag
      .prefault(true)
      .describe(
        "Whether each task gets a NetworkPolicy by which only the Gateways' pods, and its own, reach the ports that it serves; needs the rights list, watch, create, update and delete for networkpolicies. All other ports stay as open as they were.",
      ),
    tls: z
      .enum(["off", "terminate"], { error: "expected off or terminate" })
      .prefault("off")
      .describe(
        "Whether the Gateway ends TLS for what is plain text otherwise, by a certificate that the gate makes and verifies: terminate: its listeners are of protocol TLS, which the controller has to know; needs the rights get, create and update for Secrets of the Gateway's namespace.",
      ),
  })
  .superRefine(({ gateways }, context) => {
    const seen = new Set<string>();
    for (const [index, { name, namespace }] of gateways.entries()) {
      const key = `${namespace}/${name}`;
      if (seen.has(key)) {
        context.addIssue({ code: "custom", path: ["gateways", index], message: `Gateway ${key} is named twice` });
      }
      seen.add(key);
    }
  });
export type GatewayConfig = z.output<typeof GatewayConfig>;
