import { z } from "zod";
import { GatewayError, parseWho } from "../model/index.ts";
import { BasicMethod } from "./basic-method.ts";
import { JupyterHubMethod } from "./jupyterhub-method.ts";
import { KerberosMethod } from "./kerberos-method.ts";
import { isSafeUrl, methodKeys, texts } from "./method-keys.ts";
import { TrustedHeaderMethod } from "./trusted-header-method.ts";
import { duration, filePath, flag } from "./units.ts";

/** Of a person who logged in by a method in the browser. */
const lifetimes = {
  lifetime: duration("1m", "365d")
    .prefault("12h")
    .describe("How long a browser stays logged in, at most; then the provider is asked to log it in again."),
  recheck: duration("1s", "1d")
    .prefault("5m")
    .describe(
      "How old what is known of a person may get, while they use anything, before the provider is asked again whether they still may, " +
        "and which groups they are in. It needs a refresh token.",
    ),
  lifetimeUnchecked: duration("1m", "365d")
    .prefault("1h")
    .describe("The `lifetime` where the provider gave no refresh token, so that it cannot be asked again."),
  patience: duration("100ms", "60s")
    .prefault("10s")
    .describe("Longest wait for an answer of the provider; then the login is unavailable, which is never a no."),
};

const Oidc = z.strictObject({
  type: z.literal("oidc").describe("OpenID Connect: Keycloak, Dex, Entra ID, Google, Okta and others."),
  ...methodKeys,
  issuer: z
    .string()
    .refine(isSafeUrl, { error: "expected the provider's issuer, an https URL such as https://id.example.com" })
    .describe("The provider's issuer, to the letter as its discovery document says it."),
  clientId: z.string().min(1).max(500).describe("The gate's client id there."),
  clientSecretFile: filePath
    .optional()
    .describe("File with the client secret, for its owner alone to read. Without it the gate is a public client."),
  scopes: texts("a scope, such as profile")
    .prefault(["openid", "profile", "email"])
    .describe("What is asked for. Many providers give a refresh token only for offline_access."),
  prompt: z
    .enum(["login", "consent", "select_account"])
    .optional()
    .describe("What the provider is to ask people, though they are logged in there."),
  maxAge: duration("0s", "365d")
    .optional()
    .describe("Longest time since somebody proved to the provider who they are; longer ago, they do it again."),
  nameClaim: z
    .string()
    .min(1)
    .max(200)
    .prefault("sub")
    .describe(
      "Claim that is a person's name here. `sub` is the only one that OpenID Connect itself promises never to give to somebody else; " +
        "`email` counts only where email_verified is true.",
    ),
  groupsClaim: z
    .string()
    .min(1)
    .max(200)
    .prefault("groups")
    .describe("Claim that lists a person's groups; dots lead into objects, as in realm_access.roles."),
  adminClaim: z.string().min(1).max(200).optional().describe("Claim that is true for administrators of the gate."),
  adminGroups: texts("a group").prefault([]).describe("Groups whose members are administrators of the gate."),
  allow: z
    .strictObject({
      users: texts("a person's name").prefault([]).describe("Names of people."),
      groups: texts("a group").prefault([]).describe("Groups of people."),
      emailDomains: texts("a domain, such as example.com")
        .prefault([])
        .describe("Domains of verified addresses of e-mail."),
    })
    .prefault({})
    .describe("Who may log in: whom any of its lists names. Where all are empty, everybody at the provider."),
  bearer: flag
    .prefault(true)
    .describe("Take the provider's own JWTs, with an audience of ours, as Authorization: Bearer of programs."),
  audiences: texts("an audience")
    .prefault([])
    .describe("Audiences that a program's JWT may have, beside the client id."),
  clockTolerance: duration("0s", "5m").prefault("30s").describe("How far the provider's clock may be from this one."),
  logout: z
    .enum(["gate", "provider"])
    .prefault("gate")
    .describe(
      "What logging out ends: the login here, or the one at the provider too, which must know the gate's login page as a " +
        "post-logout redirect URI.",
    ),
  ...lifetimes,
});
export type OidcMethod = z.output<typeof Oidc>;

/** One way to log in. To add one, add its member here, and what it does to `src/app/start-auth-methods.ts`. */
export const LoginMethod = z.discriminatedUnion(
  "type",
  [Oidc, JupyterHubMethod, BasicMethod, TrustedHeaderMethod, KerberosMethod],
  {
    error: "expected a type: oidc, jupyterhub, basic, trusted-header or kerberos",
  },
);
export type LoginMethod = z.output<typeof LoginMethod>;

/** The realm of whom a method vouches for. */
export function realmOf(method: { readonly name: string; readonly realm?: string | undefined }): string {
  return method.realm ?? method.name;
}

/** The realm of whoever the config names without one: that of the first method, else `local`. */
export function realmOfConfig(methods: readonly LoginMethod[]): string {
  const [first] = methods;
  return first === undefined ? "local" : realmOf(first);
}

/** `[user:|group:][REALM/]NAME`. */
export const whoName = z
  .string()
  .superRefine((text, context) => {
    try {
      parseWho(text, "local");
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error;
      context.addIssue({ code: "custom", message: error.message });
    }
  })
  .meta({ title: "[user:|group:][REALM/]NAME" });
