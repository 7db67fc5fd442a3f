import { z } from "zod";
import { isServicePattern, MAX_SCOPE_SERVICES, SCOPE_ACTIONS } from "../model/index.ts";

/** Ten years. */
const LONGEST_LIFETIME_MS = 3650 * 86_400_000;

/** What a token is limited to. */
export const ScopeView = z
  .strictObject({
    actions: z
      .array(z.enum(SCOPE_ACTIONS))
      .min(1)
      .max(SCOPE_ACTIONS.length)
      .describe(
        "connect: use services. read: look at tasks and their logs. manage: that, and start, stop, remove them.",
      ),
    services: z
      .array(z.string().refine(isServicePattern, { error: "expected TASK, TASK/SERVICE or PROVIDER/TASK/SERVICE" }))
      .max(MAX_SCOPE_SERVICES)
      .optional()
      .describe("Services, as TASK, TASK/SERVICE or PROVIDER/TASK/SERVICE; * stands for any characters. Absent: all."),
  })
  .meta({ id: "Scope" });
export type ScopeView = z.output<typeof ScopeView>;

export const TokenRequest = z
  .strictObject({
    name: z.string().min(1).max(64),
    lifetimeMs: z.int().min(1000).max(LONGEST_LIFETIME_MS).optional().describe("Absent: login.tokens.lifetime."),
    scope: ScopeView.optional().describe("Absent: all that who it is for may do."),
    account: z
      .string()
      .regex(/^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$/, { error: "expected lower-case letters, digits and dashes" })
      .optional()
      .describe("A service account, for whose name the token is: administrators alone. Absent: you."),
  })
  .meta({ id: "TokenRequest" });
export type TokenRequest = z.output<typeof TokenRequest>;

export const TokenView = z
  .strictObject({
    id: z.string(),
    name: z.string(),
    owner: z.string().describe("[REALM/]NAME, without the realm of who asks."),
    kind: z.enum(["token", "browser"]).describe("Issued for programs, or a browser's login."),
    scope: ScopeView.nullable().describe("null: all that its owner may do."),
    createdAt: z.number(),
    expiresAt: z.number().nullable(),
    lastUsedAt: z.number().nullable().describe("To within ten minutes; null: never."),
  })
  .meta({ id: "TokenView" });
export type TokenView = z.output<typeof TokenView>;

export const TokenCreated = TokenView.extend({ token: z.string().describe("Shown this once.") }).meta({
  id: "TokenCreated",
});
export type TokenCreated = z.output<typeof TokenCreated>;

export const TokensView = z.strictObject({ tokens: z.array(TokenView) }).meta({ id: "TokensView" });
export type TokensView = z.output<typeof TokensView>;
