import { z } from "zod";

export const EnvoyView = z
  .strictObject({
    id: z.string().describe("Its node id."),
    fleet: z.string(),
    version: z.string().describe("Empty: unknown."),
    address: z.string().nullable().describe("Where it connects from; null: it is of the gate's own machine."),
    since: z.number().nullable().describe("Since when it is connected; null: it is not."),
    heardAt: z.number().nullable().describe("When it last said something; null: never."),
    streams: z.number().describe("By which it gets its configuration: two while another process takes over."),
    applied: z
      .number()
      .describe("The revision up to which it has all that is for it; negative: it has not had all once."),
    behind: z.number().nullable().describe("So many revisions it lacks; null: it has not had all once."),
    refused: z.number().describe("Resources that it does not take; each is a problem of its own."),
    stuckSince: z.number().nullable().describe("Since when it neither answers nor reads; null: it is well."),
  })
  .meta({ id: "EnvoyView" });
export type EnvoyView = z.output<typeof EnvoyView>;

export const EnvoysView = z
  .strictObject({ revision: z.number().describe("The latest."), envoys: z.array(EnvoyView) })
  .meta({ id: "EnvoysView" });
export type EnvoysView = z.output<typeof EnvoysView>;
