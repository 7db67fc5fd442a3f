import { z } from "zod";

const count = z.number().int().min(0);

export const GatewayView = z
  .strictObject({
    gateway: z.string().describe("NAMESPACE/NAME."),
    address: z.string().describe("Where the gate dials it, as configured."),
    state: z
      .enum(["ready", "missing", "unknown", "refused"])
      .describe(
        "missing: the cluster has none of that name; refused: its controller does not take it, or nobody may read it.",
      ),
    controller: z.string().nullable().describe("Of its GatewayClass; null: not known."),
    listeners: z
      .strictObject({
        own: count,
        others: count,
        most: count.describe("As the cluster's definition of Gateways says (maxItems)."),
      })
      .describe("Of the Gateway itself: those that this gate made, and those of others."),
    listenerSets: z
      .strictObject({ sets: count, own: count, others: count })
      .nullable()
      .describe("Listeners in ListenerSets attached to it; null: whyNoListenerSets says why there are none."),
    whyNoListenerSets: z.string().nullable(),
    ports: z
      .strictObject({ from: z.number(), to: z.number(), own: count, others: count })
      .describe("The configured range, and which of it is held."),
    room: count.describe("How many more ports of tasks fit."),
    bound: z.enum(["listeners", "listenerSets", "ports", "controller"]).describe("What is to run out first."),
  })
  .meta({ id: "GatewayView" });
export type GatewayView = z.output<typeof GatewayView>;

export const AdviceView = z
  .strictObject({
    level: z.enum(["ok", "warn", "fail"]),
    code: z.string().describe("Stable, for programs: gateway_plain_text."),
    message: z.string(),
    remedy: z.string().nullable().describe("null: nothing is to be done."),
  })
  .meta({ id: "AdviceView" });
export type AdviceView = z.output<typeof AdviceView>;

export const ReachView = z
  .strictObject({
    provider: z.string(),
    reach: z.enum(["gateway-api", "port-forward"]),
    wanted: count.describe("Ports of replicas that are to be reached."),
    ready: count.describe("Those of them that can be."),
    gateways: z.array(GatewayView),
    advice: z.array(AdviceView).describe("What is to be looked at."),
  })
  .meta({ id: "ReachView" });
export type ReachView = z.output<typeof ReachView>;

export const ReachesView = z.strictObject({ reaches: z.array(ReachView) }).meta({ id: "ReachesView" });
export type ReachesView = z.output<typeof ReachesView>;
