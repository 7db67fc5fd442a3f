import { z } from "zod";
import { isRealm, LINK_REALM } from "../model/index.ts";
import { whoName } from "./login-methods.ts";
import { duration, flag } from "./units.ts";

/** Each is more open than the one before. */
export const Anyone = z.enum(["nobody", "authenticated", "public"]);

const pattern = (what: string) =>
  z
    .string()
    .regex(/^[^\p{Cc}\p{Cf}]{1,253}$/u, { error: "expected a name, where * stands for any text" })
    .optional()
    .describe(`Pattern of ${what}, where * stands for any text. Absent: any.`);

const Rule = z
  .strictObject({
    provider: pattern("the provider's name"),
    kind: pattern("the task's kind, such as notebook"),
    name: pattern("the task's name"),
    service: pattern("the service's name"),
    anyone: Anyone.prefault("nobody").describe("Who may come in: nobody, authenticated or public."),
    with: z
      .array(whoName)
      .max(500)
      .prefault([])
      .describe("Users and groups that may come in. Without a realm, that of the first login method is meant."),
    until: z.iso
      .datetime({ offset: true, error: "expected a time such as 2027-01-31T18:00:00Z" })
      .transform((text) => Date.parse(text))
      .optional()
      .describe("When what it gives to those users and groups ends."),
  })
  .refine((rule) => rule.until === undefined || rule.anyone === "nobody", {
    path: ["until"],
    error: "is for those of `with` alone: what is for everybody has no end here",
  });
export type AccessRuleConfig = z.output<typeof Rule>;

export const AccessConfig = z.strictObject({
  ceiling: Anyone.prefault("public").describe(
    "The most open that anyone may make a service: nobody, authenticated or public.",
  ),
  links: flag.prefault(true).describe("Whether owners may let in whoever has a secret link."),
  longestLink: duration("1m", "3650d").prefault("30d").describe("The longest that a link is good."),
  longestGrant: duration("1m", "3650d")
    .optional()
    .describe("The longest that anything else is given to others. Default: until it is taken back."),
  realms: z
    .array(
      z.string().refine((text) => isRealm(text) && text !== LINK_REALM, { error: "expected a realm, such as corp" }),
    )
    .max(100)
    .optional()
    .describe("Realms of the users and groups that owners may share with. Default: all."),
  groups: z
    .array(whoName.refine((text) => text.startsWith("group:"), { error: "expected a group, such as group:corp/ml" }))
    .max(1000)
    .optional()
    .describe("Groups that owners may share with. Default: all."),
  rules: z
    .array(Rule)
    .max(1000)
    .prefault([])
    .describe("What the administrator gives: who may use the tasks that all patterns of a rule fit. Rules only add."),
});
export type AccessConfig = z.output<typeof AccessConfig>;
