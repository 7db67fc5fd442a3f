import { z } from "zod";

/** Ten years. */
const LONGEST_MS = 3650 * 86_400_000;

const Anyone = z.enum(["nobody", "authenticated", "public"]);
const Service = z.string().min(1).max(63).describe("One service of the task. Absent: all of them.");
const Until = z.int().min(0).describe("Epoch ms.");

export const GrantRequest = z
  .strictObject({
    to: z
      .string()
      .min(1)
      .max(400)
      .describe(
        "[user:|group:][REALM/]NAME; or link: whoever has a secret link; authenticated: everybody who logged in; public: everybody.",
      ),
    service: Service.optional(),
    lifetimeMs: z.int().min(1000).max(LONGEST_MS).optional().describe("Absent: for as long as the gate allows."),
    until: Until.optional().describe("Epoch ms, instead of lifetimeMs."),
  })
  .refine((grant) => grant.lifetimeMs === undefined || grant.until === undefined, {
    path: ["until"],
    error: "expected until or lifetimeMs, not both",
  })
  .meta({ id: "GrantRequest" });
export type GrantRequest = z.output<typeof GrantRequest>;

export const AccessRequest = z
  .strictObject({
    grants: z
      .array(GrantRequest)
      .max(200)
      .describe("All that is to be given to users, groups and everybody; what else was is taken back. Links stay."),
  })
  .meta({ id: "AccessRequest" });
export type AccessRequest = z.output<typeof AccessRequest>;

export const GrantView = z
  .strictObject({
    id: z.string().nullable().describe("By which it is taken back. null: not by the owner; it is the source's."),
    source: z
      .enum(["owner", "provider", "rule"])
      .describe(
        "Who gives it: the owner (or an administrator), whoever wrote the task, or a rule of the configuration.",
      ),
    to: z.string().describe("As in a GrantRequest, with the realm."),
    service: z.string().nullable().describe("null: every service of the task."),
    until: z.number().nullable().describe("Epoch ms; null: until it is taken back."),
    by: z.string().describe("REALM/NAME."),
    createdAt: z.number().nullable().describe("Epoch ms."),
    effective: z.boolean().describe("false: the gate's ceiling does not allow it any more."),
  })
  .meta({ id: "GrantView" });
export type GrantView = z.output<typeof GrantView>;

export const GrantCreated = GrantView.extend({
  link: z.string().nullable().describe("The link's address, shown this once."),
}).meta({ id: "GrantCreated" });
export type GrantCreated = z.output<typeof GrantCreated>;

export const AccessView = z
  .strictObject({
    task: z.string().describe("PROVIDER/TASK."),
    owner: z.string().nullable().describe("REALM/NAME."),
    services: z.array(z.strictObject({ name: z.string(), anyone: Anyone })).describe("How open each is to everybody."),
    grants: z.array(GrantView),
    bounds: z
      .strictObject({
        anyone: Anyone,
        links: z.boolean(),
        longestGrantMs: z.number().nullable(),
        longestLinkMs: z.number().nullable(),
        realms: z.array(z.string()).nullable().describe("null: all."),
        groups: z.array(z.string()).nullable().describe("null: all."),
      })
      .describe("The most that may be given."),
  })
  .meta({ id: "AccessView" });
export type AccessView = z.output<typeof AccessView>;

export const AccessHistoryView = z
  .strictObject({
    changes: z
      .array(
        z.strictObject({
          at: z.number().describe("Epoch ms."),
          by: z.string().describe("REALM/NAME."),
          did: z.enum(["gave", "changed", "took"]),
          grant: z.strictObject({
            id: z.string(),
            to: z.string(),
            service: z.string().nullable(),
            until: z.number().nullable(),
          }),
        }),
      )
      .describe("Newest first; the last hundred."),
  })
  .meta({ id: "AccessHistoryView" });
export type AccessHistoryView = z.output<typeof AccessHistoryView>;

export const SharedLinkRequest = z
  .strictObject({ link: z.string().min(1).max(1000).describe("The link's address, or what stands behind its #link=.") })
  .meta({ id: "SharedLinkRequest" });

export const SharedLinkView = z
  .strictObject({
    token: z.string().describe("For the services, as Authorization: Bearer or X-Taskgate-Authorization: Bearer."),
    expiresAt: z.number().describe("Epoch ms; then the link is exchanged again."),
    link: z.string().describe("Public name of the link."),
    task: z.string(),
    services: z.array(
      z.strictObject({
        name: z.string(),
        protocol: z.enum(["http", "grpc", "tcp", "tls"]),
        url: z.string().nullable(),
        forward: z.string().nullable().describe("The host to CONNECT to through the gate's own port."),
      }),
    ),
  })
  .meta({ id: "SharedLinkView" });
export type SharedLinkView = z.output<typeof SharedLinkView>;
